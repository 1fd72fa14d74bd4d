//! The tables `incidents`, `earlier_events`, `holds` and `numbers`.

use super::postings;
use crate::columns::incidents::IncidentColumns;
use crate::columns::{Columns, Id, value};
use crate::postgres::ahead::readable;
use crate::postgres::batch::Statement;
use crate::postgres::columns::stored_text;
use crate::postgres::session::Session;
use crate::rows::{IncidentKey, IncidentRow, Listed, Unreadable};
use anyhow::{Context, Result};
use hookmill_incident::Number;
use hookmill_incident::id::row_key;
use tokio_postgres::Row;
use uuid::Uuid;

fn incident_row(row: &Row) -> Result<IncidentRow> {
    IncidentColumns::read(row)?.into_row()
}

pub(super) fn find(session: &Session, which: IncidentKey) -> Result<Option<Listed<IncidentRow>>> {
    let list = IncidentColumns::LIST;
    let row = match which {
        IncidentKey::Id(id) => session.row(
            &format!("SELECT {list} FROM incidents WHERE key = $1 AND id = $2 AND NOT deleted"),
            &[&row_key(id), &id.as_bytes().as_slice()],
        ),
        IncidentKey::Number(number) => {
            session.row(&format!("SELECT {list} FROM incidents WHERE number = $1 AND NOT deleted"), &[&number.to_key()])
        }
    };
    let Some(row) = row? else { return Ok(None) };
    let Id(id) = value(&row, 0, "id")?;
    Ok(Some(incident_row(&row).map_err(|error| Unreadable { id, error: format!("{error:#}") })))
}

pub(super) fn newest_audit(session: &Session, id: Uuid) -> Result<i64> {
    let sql = "SELECT newest_audit FROM incidents WHERE key = $1 AND id = $2";
    session.value(sql, &[&row_key(id), &id.as_bytes().as_slice()])?.context("there is no such incident")
}

/// Returns the newest incident of a source-ref, if it can be read.
pub(super) fn newest(session: &Session, source: &str, source_ref: &str) -> Result<Option<IncidentRow>> {
    let list = IncidentColumns::LIST;
    let sql = format!(
        "SELECT {list} FROM incidents WHERE source = $1 AND source_ref = $2 AND NOT deleted ORDER BY key DESC LIMIT 1"
    );
    Ok(session.row(&sql, &[&stored_text(source), &stored_text(source_ref)])?.and_then(|row| readable(&row)))
}

/// Returns an incident, unless it was deleted or cannot be read.
fn of_key(session: &Session, incident: i64) -> Result<Option<IncidentRow>> {
    let sql = format!("SELECT {} FROM incidents WHERE key = $1 AND NOT deleted", IncidentColumns::LIST);
    Ok(session.row(&sql, &[&incident])?.and_then(|row| readable(&row)))
}

/// Marks an incident as deleted. Of one that cannot be read, the values by which it was found stay in the index.
pub(super) fn delete(session: &Session, id: Uuid, newest_audit: i64) -> Result<()> {
    let key = row_key(id);
    if let Some(row) = of_key(session, key)? {
        postings::remove(session, key, &row.incident)?;
    }
    session.execute("UPDATE incidents SET deleted = true, newest_audit = $1 WHERE key = $2", &[&newest_audit, &key])?;
    Ok(())
}

/// Removes an incident, and the values by which it is found.
pub(in crate::postgres) fn remove(session: &Session, key: i64) -> Result<()> {
    if let Some(row) = of_key(session, key)? {
        postings::remove(session, key, &row.incident)?;
    }
    session.execute("DELETE FROM earlier_events WHERE incident = $1", &[&key])?;
    session.execute("DELETE FROM incidents WHERE key = $1", &[&key])?;
    Ok(())
}

pub(super) fn last_number(session: &Session, year: i16) -> Result<u32> {
    let last: Option<i64> = session.value("SELECT last FROM numbers WHERE year = $1", &[&i64::from(year)])?;
    Ok(last.unwrap_or(0).try_into()?)
}

/// Returns the statement that keeps the number that was given last.
pub(super) fn put_last_number(number: Number) -> Statement {
    let sql = "INSERT INTO numbers (year, last) VALUES ($1, $2) ON CONFLICT (year) DO UPDATE SET last = excluded.last";
    Statement { sql: sql.into(), values: vec![Box::new(i64::from(number.year)), Box::new(i64::from(number.count))] }
}

pub(super) fn set_hold(session: &Session, incident: i64, is_held: bool) -> Result<()> {
    let sql = match is_held {
        true => "INSERT INTO holds (incident) VALUES ($1) ON CONFLICT DO NOTHING",
        false => "DELETE FROM holds WHERE incident = $1",
    };
    session.execute(sql, &[&incident])?;
    Ok(())
}

pub(super) fn is_held(session: &Session, incident: i64) -> Result<bool> {
    session.exists("SELECT 1 FROM holds WHERE incident = $1", &[&incident])
}
