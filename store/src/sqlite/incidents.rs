//! The tables `incidents` and `numbers`.

use super::columns::{Conditions, Id, Ids, Json, Microseconds, columns, id_bytes, json, nanoseconds};
use super::pages::{listed, read_page};
use crate::rows::{IncidentFilter, IncidentKey, IncidentRow, Listed, Page};
use anyhow::Result;
use hookmill_incident::id::row_key;
use hookmill_incident::{Guard, Incident, Number};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use std::collections::BTreeSet;
use tracing::warn;
use uuid::Uuid;

columns! {
    IncidentColumns {
        id: Id,
        number: i64,
        record: Json<Incident>,
        occurrences: u64,
        event_ids: Ids,
        changed_at: Microseconds,
        pinned: Json<BTreeSet<String>>,
        newest_audit: i64,
    }
}

pub(super) fn row(row: &Row) -> rusqlite::Result<IncidentRow> {
    let columns = IncidentColumns::read(row)?;
    Ok(IncidentRow {
        id: columns.id.0,
        number: Number::from_key(columns.number),
        incident: columns.record.0,
        occurrences: columns.occurrences,
        event_ids: columns.event_ids.0,
        guard: Guard { changed_at: columns.changed_at.0, pinned: columns.pinned.0 },
        newest_audit: columns.newest_audit,
    })
}

pub(super) fn find(connection: &Connection, which: IncidentKey) -> Result<Option<Listed<IncidentRow>>> {
    let list = IncidentColumns::LIST;
    let read = |columns: &Row| {
        let Id(id) = columns.get("id")?;
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

/// Returns the newest incident of a source-ref. One that cannot be read is passed over, so that its source is not held up
/// by it: the next payload makes a new incident.
pub(super) fn newest(connection: &Connection, source: &str, source_ref: &str) -> Result<Option<IncidentRow>> {
    let list = IncidentColumns::LIST;
    let sql = format!(
        "SELECT {list} FROM incidents WHERE source = ? AND source_ref = ? AND deleted = 0 ORDER BY key DESC LIMIT 1"
    );
    readable(connection.prepare_cached(&sql)?.query_row([source, source_ref], row))
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
        json(&row.incident),
    ])?;
    Ok(())
}

pub(super) fn update(connection: &Connection, row: &IncidentRow) -> Result<()> {
    let sql = "UPDATE incidents SET status = ?, severity = ?, updated_at = ?, changed_at = ?, pinned = ?, \
               occurrences = ?, event_ids = ?, newest_audit = ?, record = ? WHERE key = ?";
    connection.prepare_cached(sql)?.execute(params![
        row.incident.status.as_str(),
        row.incident.severity.as_str(),
        nanoseconds(row.incident.updated_at),
        row.guard.changed_at.as_microsecond(),
        json(&row.guard.pinned),
        row.occurrences,
        id_bytes(&row.event_ids),
        row.newest_audit,
        json(&row.incident),
        row_key(row.id),
    ])?;
    Ok(())
}

pub(super) fn delete(connection: &Connection, id: Uuid, newest_audit: i64) -> Result<()> {
    let sql = "UPDATE incidents SET deleted = 1, newest_audit = ? WHERE key = ?";
    connection.prepare_cached(sql)?.execute(params![newest_audit, row_key(id)])?;
    Ok(())
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

pub(super) fn list(
    connection: &Connection,
    filter: &IncidentFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<Listed<IncidentRow>>> {
    let mut conditions = Conditions::default();
    conditions.add("deleted = 0", []);
    conditions.one_of("status", &filter.status);
    conditions.one_of("severity", &filter.severity);
    conditions.one_of("source", &filter.source);
    conditions.one_of("source_ref", &filter.source_ref);
    for (elements, texts) in [
        ("json_each(record, '$.tags') WHERE value", &filter.tag),
        ("json_each(record, '$.observables') WHERE value ->> 'value'", &filter.observable),
    ] {
        if !texts.is_empty() {
            let sql = format!("EXISTS (SELECT 1 FROM {elements} IN ({}))", Conditions::marks(texts.len()));
            conditions.add(&sql, texts.iter().cloned().map(Value::Text));
        }
    }
    if let Some(text) = &filter.q {
        let sql = "(instr(lower(record ->> 'title'), ?) OR instr(lower(record ->> 'description'), ?) \
                   OR instr(lower(source_ref), ?))";
        // SQLite's `lower` changes ASCII letters only.
        conditions.add(sql, vec![Value::Text(text.to_ascii_lowercase()); 3]);
    }
    let times = [
        ("created_at > ?", filter.created_after),
        ("created_at < ?", filter.created_before),
        ("updated_at > ?", filter.updated_after),
    ];
    for (sql, time) in times {
        if let Some(time) = time {
            conditions.add(sql, [Value::Integer(nanoseconds(time))]);
        }
    }
    conditions.before("key", before);
    let (list, conditions_sql) = (IncidentColumns::LIST, conditions.sql());
    let sql = format!("SELECT {list}, key FROM incidents {conditions_sql} ORDER BY key DESC LIMIT {}", limit + 1);
    let mut query = connection.prepare(&sql)?;
    read_page(&mut query.query(params_from_iter(conditions.values))?, limit, row)
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
