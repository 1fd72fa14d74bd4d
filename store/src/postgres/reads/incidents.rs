//! Reads of the table `incidents` by keys.

use super::events::by_id;
use crate::columns::incidents::IncidentColumns;
use crate::columns::{Columns, Id, value};
use crate::pages::readable;
use crate::postgres::columns::size;
use crate::postgres::query::{Value, raw_row, raw_rows};
use crate::rows::{IncidentKey, IncidentRow, Listed};
use anyhow::Result;
use hookmill_incident::id::row_key;
use std::collections::HashMap;
use tokio_postgres::{GenericClient, Row};
use tracing::warn;
use uuid::Uuid;

/// Returns an incident that was not deleted.
pub(super) async fn find(client: &impl GenericClient, which: IncidentKey) -> Result<Option<Listed<IncidentRow>>> {
    let (condition, values) = condition(which);
    let sql = format!("SELECT {} FROM incidents WHERE {condition} AND NOT deleted", IncidentColumns::LIST);
    let found = raw_row(client, &sql, &values).await?;
    found.map(|row| Ok(readable(value::<Id>(&row, 0, "id")?.0, read(&row)))).transpose()
}

/// Returns the key of the newest audit entry of an incident, also of a deleted incident.
pub(super) async fn newest_audit(client: &impl GenericClient, which: IncidentKey) -> Result<Option<i64>> {
    let (condition, values) = condition(which);
    let sql = format!("SELECT newest_audit FROM incidents WHERE {condition}");
    raw_row(client, &sql, &values).await?.map(|row| value(&row, 0, "newest_audit")).transpose()
}

/// Returns the condition that a row is this incident, with its values.
fn condition(which: IncidentKey) -> (&'static str, Vec<Value>) {
    match which {
        IncidentKey::Id(id) => ("key = $1 AND id = $2", vec![row_key(id).into(), id.into()]),
        IncidentKey::Number(number) => ("number = $1", vec![number.to_key().into()]),
    }
}

/// A row of an incident as the database sends it.
pub(super) struct Found(Row);

impl Found {
    /// Returns the bytes of the row.
    pub fn bytes(&self) -> Result<usize> {
        size(&self.0)
    }

    /// Returns the incident, or why it is unreadable.
    pub fn listed(&self) -> Result<Listed<IncidentRow>> {
        let Id(id) = value(&self.0, 0, "id")?;
        Ok(readable(id, read(&self.0)))
    }
}

/// Returns the incidents with these keys that were not deleted.
pub(super) async fn of_keys(client: &impl GenericClient, keys: &[i64]) -> Result<HashMap<i64, Found>> {
    let sql = format!("SELECT {} FROM incidents WHERE key = ANY($1) AND NOT deleted", IncidentColumns::LIST);
    let found: HashMap<Uuid, Row> = by_id(raw_rows(client, &sql, &[keys.to_vec().into()]).await?)?;
    Ok(found.into_iter().map(|(id, row)| (row_key(id), Found(row))).collect())
}

/// Returns the incidents with these keys that were not deleted and can be read.
pub(super) async fn readable_of_keys(client: &impl GenericClient, keys: &[i64]) -> Result<HashMap<i64, IncidentRow>> {
    let mut incidents = HashMap::new();
    for (key, Found(row)) in of_keys(client, keys).await? {
        match read(&row) {
            Ok(row) => drop(incidents.insert(key, row)),
            Err(error) => warn!("an incident cannot be read and is passed over: {error:#}"),
        }
    }
    Ok(incidents)
}

/// Returns incidents as they are now by their keys, also those that were deleted.
pub(super) async fn columns_of_keys(
    client: &impl GenericClient,
    keys: Vec<i64>,
) -> Result<HashMap<i64, Result<IncidentColumns>>> {
    let sql = format!("SELECT {} FROM incidents WHERE key = ANY($1)", IncidentColumns::LIST);
    let found = by_id(raw_rows(client, &sql, &[keys.into()]).await?)?;
    Ok(found.into_iter().map(|(id, row)| (row_key(id), IncidentColumns::read(&row))).collect())
}

fn read(row: &Row) -> Result<IncidentRow> {
    IncidentColumns::read(row)?.into_row()
}
