//! The tables `incidents` and `numbers`.

use super::columns::{read, unreadable};
use super::pages::{listed, size};
use super::postings;
use crate::columns::incidents::IncidentColumns;
use crate::columns::{Columns, Id, id_bytes, json, nanoseconds, value};
use crate::rows::{IncidentKey, IncidentRow, Listed};
use crate::search_words::Texts;
use anyhow::Result;
use hookmill_incident::id::row_key;
use hookmill_incident::{Number, record};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::sync::LazyLock;
use tracing::warn;
use uuid::Uuid;

pub(super) fn row(row: &Row) -> rusqlite::Result<IncidentRow> {
    read::<IncidentColumns>(row)?.into_row().map_err(unreadable)
}

pub(super) fn find(connection: &Connection, which: IncidentKey) -> Result<Option<Listed<IncidentRow>>> {
    let list = IncidentColumns::LIST;
    let read = |columns: &Row| {
        let Id(id) = value(columns, 0, "id").map_err(unreadable)?;
        Ok((id, row(columns)))
    };
    let found = match which {
        IncidentKey::Id(id) => connection
            .prepare_cached(&format!("SELECT {list} FROM incidents WHERE key = ? AND id = ? AND deleted = 0"))?
            .query_row(params![row_key(id), id.as_bytes()], read),
        IncidentKey::Number(number) => connection
            .prepare_cached(&format!("SELECT {list} FROM incidents WHERE number = ? AND deleted = 0"))?
            .query_row([number.to_key()], read),
    };
    found.optional()?.map(|(id, row)| listed(id, row)).transpose()
}

/// Made once: it runs for every event.
static NEWEST: LazyLock<String> = LazyLock::new(|| {
    let list = IncidentColumns::LIST;
    format!(
        "SELECT {list} FROM incidents WHERE source = ? AND source_ref = ? AND deleted = 0 ORDER BY key DESC LIMIT 1"
    )
});

/// Returns the newest incident of a source-ref. One that cannot be read is passed over, so that its source is not held up
/// by it: the next payload makes a new incident.
pub(super) fn newest(connection: &Connection, source: &str, source_ref: &str) -> Result<Option<IncidentRow>> {
    readable(connection.prepare_cached(&NEWEST)?.query_row([source, source_ref], row))
}

/// Returns a row, or none if its values cannot be read.
fn readable(read: rusqlite::Result<IncidentRow>) -> Result<Option<IncidentRow>> {
    match read.optional() {
        Err(error @ rusqlite::Error::FromSqlConversionFailure(..)) => {
            warn!("an incident cannot be read and is passed over: {error}");
            Ok(None)
        }
        other => Ok(other?),
    }
}

/// Returns the incident to which another row points, unless it was deleted or cannot be read.
pub(super) fn of_key(connection: &Connection, incident: i64) -> Result<Option<IncidentRow>> {
    let sql = format!("SELECT {} FROM incidents WHERE key = ? AND deleted = 0", IncidentColumns::LIST);
    readable(connection.prepare_cached(&sql)?.query_row([incident], row))
}

/// Returns the newest audit entry of an incident, also of a deleted incident.
pub(super) fn newest_audit(connection: &Connection, which: IncidentKey) -> Result<Option<i64>> {
    let found = match which {
        IncidentKey::Id(id) => connection
            .prepare_cached("SELECT newest_audit FROM incidents WHERE key = ? AND id = ?")?
            .query_row(params![row_key(id), id.as_bytes()], |row| row.get(0)),
        IncidentKey::Number(number) => connection
            .prepare_cached("SELECT newest_audit FROM incidents WHERE number = ?")?
            .query_row([number.to_key()], |row| row.get(0)),
    };
    Ok(found.optional()?)
}

/// Returns the id of an incident that was not deleted, the size of its row, and the row if it can be read.
#[allow(clippy::type_complexity, reason = "a name would say no more than the sentence above")]
pub(super) fn with_key(
    connection: &Connection,
    key: i64,
) -> Result<Option<(Uuid, usize, rusqlite::Result<IncidentRow>)>> {
    let sql = format!("SELECT {} FROM incidents WHERE key = ? AND deleted = 0", IncidentColumns::LIST);
    let read = |columns: &Row| {
        let Id(id) = value(columns, 0, "id").map_err(unreadable)?;
        Ok((id, size(columns)?, row(columns)))
    };
    Ok(connection.prepare_cached(&sql)?.query_row([key], read).optional()?)
}

/// Returns whether an incident that was not deleted passes a check of its source-ref and its stored record, and one of its
/// texts. One whose record has no texts does not pass.
pub(super) fn passes_texts(
    connection: &Connection,
    key: i64,
    may_pass: impl FnOnce(&str, &str) -> bool,
    passes: impl FnOnce(&Texts) -> bool,
) -> Result<bool> {
    let check = |row: &Row| {
        let may_pass = may_pass(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        Ok(may_pass && postings::texts(row).is_some_and(|texts| passes(&texts)))
    };
    Ok(read_texts(connection, key, check)?.unwrap_or(false))
}

/// Reads the row with the source-ref and the record of an incident that was not deleted.
fn read_texts<T>(connection: &Connection, key: i64, read: impl FnOnce(&Row) -> Result<T>) -> Result<Option<T>> {
    let sql = "SELECT source_ref, record FROM incidents WHERE key = ? AND deleted = 0";
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query([key])?;
    rows.next()?.map(read).transpose()
}

/// Returns the number of incidents that were ever stored.
pub(super) fn total(connection: &Connection) -> Result<i64> {
    let mut query = connection.prepare_cached("SELECT coalesce(sum(last), 0) FROM numbers")?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// Adds an incident. It is found by its values and words after [`postings::add_missing`].
pub(super) fn put(connection: &Connection, row: &IncidentRow) -> Result<()> {
    let sql = "INSERT INTO incidents (key, id, number, source, source_ref, status, severity, created_at, updated_at, \
               changed_at, pinned, occurrences, event_ids, newest_audit, deleted, record) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)";
    connection.prepare_cached(sql)?.execute(params![
        row_key(row.id),
        row.id.as_bytes(),
        row.number.to_key(),
        row.incident.source,
        row.incident.source_ref,
        row.incident.status.as_str(),
        row.incident.severity.as_str(),
        nanoseconds(row.incident.created_at),
        nanoseconds(row.incident.updated_at),
        row.guard.changed_at.as_microsecond(),
        json(&row.guard.pinned),
        row.occurrences,
        id_bytes(&row.event_ids),
        row.newest_audit,
        record::short_text(&row.incident)?,
    ])?;
    Ok(())
}

/// Returns whether the words by which the incident is found changed.
pub(super) fn update(connection: &Connection, before: &IncidentRow, row: &IncidentRow) -> Result<bool> {
    let sql = "UPDATE incidents SET status = ?, severity = ?, updated_at = ?, changed_at = ?, pinned = ?, \
               occurrences = ?, event_ids = ?, newest_audit = ?, record = ? WHERE key = ?";
    let key = row_key(row.id);
    connection.prepare_cached(sql)?.execute(params![
        row.incident.status.as_str(),
        row.incident.severity.as_str(),
        nanoseconds(row.incident.updated_at),
        row.guard.changed_at.as_microsecond(),
        json(&row.guard.pinned),
        row.occurrences,
        id_bytes(&row.event_ids),
        row.newest_audit,
        record::short_text(&row.incident)?,
        key,
    ])?;
    if let Some(dropped) = before.event_ids.first().filter(|first| !row.event_ids.contains(first)) {
        let sql = "INSERT OR IGNORE INTO earlier_events (incident, event) VALUES (?, ?)";
        connection.prepare_cached(sql)?.execute([key, row_key(*dropped)])?;
    }
    postings::update(connection, key, &before.incident, &row.incident)
}

/// Marks an incident as deleted. Of one that cannot be read, the values by which it was found stay in the index.
pub(super) fn delete(connection: &Connection, id: Uuid, newest_audit: i64) -> Result<()> {
    let key = row_key(id);
    remove_from_searches(connection, key)?;
    let sql = "UPDATE incidents SET deleted = 1, newest_audit = ? WHERE key = ?";
    connection.prepare_cached(sql)?.execute(params![newest_audit, key])?;
    Ok(())
}

/// Removes an incident, and the values by which it is found.
pub(super) fn remove(connection: &Connection, key: i64) -> Result<()> {
    remove_from_searches(connection, key)?;
    connection.prepare_cached("DELETE FROM earlier_events WHERE incident = ?")?.execute([key])?;
    connection.prepare_cached("DELETE FROM incidents WHERE key = ?")?.execute([key])?;
    Ok(())
}

fn remove_from_searches(connection: &Connection, key: i64) -> Result<()> {
    let remove = |row: &Row| postings::texts(row).map_or(Ok(()), |texts| postings::remove(connection, key, &texts));
    read_texts(connection, key, remove).map(|_| ())
}

pub(super) fn last_number(connection: &Connection, year: i16) -> Result<u32> {
    let mut query = connection.prepare_cached("SELECT last FROM numbers WHERE year = ?")?;
    Ok(query.query_row([year], |row| row.get(0)).optional()?.unwrap_or(0))
}

pub(super) fn put_last_number(connection: &Connection, number: Number) -> Result<()> {
    let sql = "INSERT INTO numbers (year, last) VALUES (?, ?) ON CONFLICT DO UPDATE SET last = excluded.last";
    connection.prepare_cached(sql)?.execute(params![number.year, number.count])?;
    Ok(())
}
pub(super) fn set_hold(connection: &Connection, incident: i64, is_held: bool) -> Result<()> {
    let sql = match is_held {
        true => "INSERT OR IGNORE INTO holds (incident) VALUES (?)",
        false => "DELETE FROM holds WHERE incident = ?",
    };
    connection.prepare_cached(sql)?.execute([incident])?;
    Ok(())
}

pub(super) fn is_held(connection: &Connection, incident: i64) -> Result<bool> {
    Ok(connection.prepare_cached("SELECT 1 FROM holds WHERE incident = ?")?.exists([incident])?)
}
