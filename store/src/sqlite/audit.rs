//! The table `audit`.

use super::columns::{Id, Ids, Word, columns, json};
use super::incidents;
use crate::ledger::NewAuditEntry;
use crate::rows::{IncidentKey, IncidentRow};
use anyhow::{Context, Result};
use hookmill_incident::id::{self, row_key};
use hookmill_incident::{AuditEntry, Number, Operation};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::value::RawValue;
use std::ops::ControlFlow;
use uuid::Uuid;

columns! {
    /// An entry with its incident.
    EntryColumns {
        operation: Word<Operation>,
        at: i64,
        request_id: String,
        details: Option<String>,
        object: Option<String>,
        id: Id = "i.id",
        number: i64,
        record: String,
        occurrences: u64,
        event_ids: Ids,
    }
}

impl EntryColumns {
    /// Returns the incident as [`hookmill_incident::ShownIncidentRef`] shows it. The record is JSON already and is not
    /// parsed.
    fn shown(&self) -> String {
        let record = self.record.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        let before = format!(r#"{{"id":"{}","number":"{}","#, self.id.0, Number::from_key(self.number));
        let after = format!(r#","occurrences":{},"event_ids":{}}}"#, self.occurrences, json(&self.event_ids.0));
        [&before, record, &after].concat()
    }
}

pub(super) fn add(connection: &Connection, entry: &NewAuditEntry) -> Result<()> {
    let sql = "INSERT INTO audit (key, id, incident, previous, operation, at, request_id, details, object) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)";
    connection.prepare_cached(sql)?.execute(params![
        row_key(entry.id),
        entry.id.as_bytes(),
        entry.incident,
        entry.previous,
        entry.operation.as_str(),
        entry.at,
        entry.request_id,
        entry.details.map(json),
    ])?;
    Ok(())
}

pub(super) fn keep_object(connection: &Connection, row: &IncidentRow) -> Result<()> {
    let sql = "UPDATE audit SET object = ? WHERE key = ? AND object IS NULL";
    connection.prepare_cached(sql)?.execute(params![json(&row.shown()), row.newest_audit])?;
    Ok(())
}

/// Returns one entry in the form in which it is delivered and shown.
pub(super) fn entry(connection: &Connection, audit: i64) -> Result<AuditEntry> {
    let list = EntryColumns::LIST;
    let sql = format!("SELECT {list} FROM audit a JOIN incidents i ON i.key = incident WHERE a.key = ?");
    let found = connection.prepare_cached(&sql)?.query_row([audit], EntryColumns::read).optional()?;
    let mut entry = found.context("the audit entry, or its incident, is not in the database")?;
    let object = entry.object.take().unwrap_or_else(|| entry.shown());
    let details = entry.details.map(RawValue::from_string).transpose()?;
    let object = RawValue::from_string(object)?;
    Ok(AuditEntry::new(entry.operation.0, entry.id.0, entry.at, entry.request_id, details, object)?)
}

/// Returns the audit trail of an incident, also of a deleted incident.
pub(super) fn trail(connection: &Connection, which: IncidentKey) -> Result<Option<Vec<AuditEntry>>> {
    let Some(newest) = incidents::newest_audit(connection, which)? else { return Ok(None) };
    let sql = "WITH RECURSIVE trail(key, previous) AS (
                   SELECT key, previous FROM audit WHERE key = ?
                   UNION ALL SELECT audit.key, audit.previous FROM audit JOIN trail ON audit.key = trail.previous
               ) SELECT key FROM trail ORDER BY key";
    let mut query = connection.prepare_cached(sql)?;
    let keys = query.query_map([newest], |row| row.get::<_, i64>(0))?;
    Ok(Some(keys.map(|key| entry(connection, key?)).collect::<Result<_>>()?))
}

pub(super) fn newest(connection: &Connection, which: IncidentKey) -> Result<Option<AuditEntry>> {
    let newest = incidents::newest_audit(connection, which)?;
    newest.map(|key| entry(connection, key)).transpose()
}

pub(super) fn after<T>(
    connection: &Connection,
    after: Uuid,
    mut to: T,
    mut add: impl FnMut(&mut T, Uuid, &AuditEntry) -> ControlFlow<()>,
) -> Result<T> {
    let mut query = connection.prepare_cached("SELECT key, id FROM audit WHERE key > ? ORDER BY key")?;
    let mut rows = query.query([row_key(after)])?;
    while let Some(row) = rows.next()? {
        let Id(id) = row.get("id")?;
        if add(&mut to, id, &entry(connection, row.get("key")?)?).is_break() {
            break;
        }
    }
    Ok(to)
}

/// Returns the id of the newest entry; if there are no entries, an id that precedes all others.
pub(super) fn newest_id(connection: &Connection) -> Result<Uuid> {
    let mut query = connection.prepare("SELECT id FROM audit ORDER BY key DESC LIMIT 1")?;
    Ok(query.query_row([], |row| row.get(0)).optional()?.map_or(id::before(0), |Id(id)| id))
}
