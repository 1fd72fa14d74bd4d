//! The table `audit`.

use super::columns::{read, unreadable};
use super::incidents;
use super::pages::listed;
use crate::columns::audit::{EntryColumns, ObjectColumns, RESTORED_TOGETHER, next_entry, restored, shown};
use crate::columns::incidents::IncidentColumns;
use crate::columns::{Columns, Id, Json, json, value};
use crate::ledger::NewAuditEntry;
use crate::pages::Filling;
use crate::rows::{IncidentKey, Listed, Page};
use anyhow::{Context, Result};
use hookmill_incident::id::{self, row_key};
use hookmill_incident::{AuditEntry, Difference};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::value::RawValue;
use std::ops::ControlFlow;
use uuid::Uuid;

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
        entry.details.as_ref().map(json),
    ])?;
    Ok(())
}

pub(super) fn keep_moved(connection: &Connection, entry: i64, moved: &Difference) -> Result<()> {
    let sql = "UPDATE audit SET moved = ? WHERE key = ? AND moved IS NULL";
    connection.prepare_cached(sql)?.execute(params![json(moved), entry])?;
    Ok(())
}

pub(super) fn keep_difference(
    connection: &Connection,
    entry: i64,
    difference: &Difference,
    next: Option<i64>,
) -> Result<()> {
    let sql = "UPDATE audit SET difference = ?, next = ? WHERE key = ?";
    connection.prepare_cached(sql)?.execute(params![json(difference), next, entry])?;
    Ok(())
}

/// Returns one entry in the form in which it is delivered and shown.
pub(super) fn entry(connection: &Connection, audit: i64) -> Result<AuditEntry> {
    entry_before(connection, audit, None)
}

/// Returns one entry. `later` is the object of a later entry, by the key of that entry, from which to restore this one.
fn entry_before(connection: &Connection, audit: i64, later: Option<(i64, &RawValue)>) -> Result<AuditEntry> {
    let list = EntryColumns::LIST;
    let sql = format!("SELECT {list} FROM audit a JOIN incidents i ON i.key = incident WHERE a.key = ?");
    let found = connection.prepare_cached(&sql)?.query_row([audit], read::<EntryColumns>).optional()?;
    let entry = found.context("the audit entry, or its incident, is not in the database")?;
    entry.into_entry(object(connection, audit, later)?)
}

/// Returns the object of an entry: goes forward to an object that is there as a whole, and back through the differences.
fn object(connection: &Connection, audit: i64, later: Option<(i64, &RawValue)>) -> Result<Box<RawValue>> {
    let sql = format!("SELECT {} FROM audit WHERE key = ?", ObjectColumns::LIST);
    let mut query = connection.prepare_cached(&sql)?;
    let (mut at, mut differences) = (audit, Vec::new());
    let object = loop {
        if let Some((_, object)) = later.filter(|(key, _)| *key == at) {
            break object.to_owned();
        }
        let entry = query.query_row([at], read::<ObjectColumns>)?;
        if let Some(object) = entry.object {
            break RawValue::from_string(object)?;
        }
        differences.extend([entry.moved, entry.difference].into_iter().flatten());
        match next_entry(at, entry.next)? {
            Some(next) => at = next,
            None => break incident(connection, entry.incident)?,
        }
    };
    restored(object, differences.iter().map(|Json(difference)| difference))
}

/// Returns an incident as it is now, also one that was deleted.
fn incident(connection: &Connection, incident: i64) -> Result<Box<RawValue>> {
    let sql = format!("SELECT {} FROM incidents WHERE key = ?", IncidentColumns::LIST);
    let columns = connection.prepare_cached(&sql)?.query_row([incident], read::<IncidentColumns>)?;
    shown(&columns)
}

/// Returns audit entries of an incident after a key, the oldest first; also of an incident that was deleted.
pub(super) fn trail(
    connection: &Connection,
    which: IncidentKey,
    after: Option<i64>,
    limit: usize,
) -> Result<Option<Page<Listed<AuditEntry>>>> {
    let Some(newest) = incidents::newest_audit(connection, which)? else { return Ok(None) };
    let sql = "WITH RECURSIVE trail(key, id, previous) AS (
                   SELECT key, id, previous FROM audit WHERE key = ?1 AND key > ?2
                   UNION ALL SELECT audit.key, audit.id, audit.previous
                   FROM audit JOIN trail ON audit.key = trail.previous WHERE audit.key > ?2
               ) SELECT key, id FROM trail ORDER BY key LIMIT ?3";
    let mut query = connection.prepare_cached(sql)?;
    let rows = query.query_map(params![newest, after.unwrap_or(0), limit as u64 + 1], key_and_id)?;
    let rows: Vec<(i64, Id)> = rows.collect::<Result<_, _>>()?;
    let mut page = Filling::new(limit);
    'page: for block in rows.chunks(RESTORED_TOGETHER) {
        // Backwards, so that each object is restored from the one after it in one step.
        let mut entries: Vec<Listed<AuditEntry>> = Vec::with_capacity(block.len());
        for (index, (key, Id(id))) in block.iter().enumerate().rev() {
            let later = entries.last().and_then(|entry| entry.as_ref().ok());
            let later = later.map(|entry| (block[index + 1].0, &*entry.object));
            entries.push(listed(*id, entry_before(connection, *key, later))?);
        }
        for ((key, _), entry) in block.iter().zip(entries.into_iter().rev()) {
            if !page.has_room() {
                break 'page;
            }
            let bytes = entry.as_ref().map_or(0, AuditEntry::bytes);
            page.push(*key, entry, bytes);
        }
    }
    Ok(Some(page.finish()))
}

/// Returns audit entries of an incident before a key, the newest first; also of an incident that was deleted.
pub(super) fn trail_backwards(
    connection: &Connection,
    which: IncidentKey,
    before: Option<i64>,
    limit: usize,
) -> Result<Option<Page<Listed<AuditEntry>>>> {
    let Some(newest) = incidents::newest_audit(connection, which)? else { return Ok(None) };
    let first = match before {
        None => Some(newest),
        Some(before) => {
            let sql =
                "SELECT previous FROM audit WHERE key = ? AND incident = (SELECT incident FROM audit WHERE key = ?)";
            let found = connection.prepare_cached(sql)?.query_row([before, newest], |row| row.get(0)).optional()?;
            found.flatten()
        }
    };
    let sql = "WITH RECURSIVE trail(key, id, previous) AS (
                   SELECT key, id, previous FROM audit WHERE key = ?1
                   UNION ALL SELECT audit.key, audit.id, audit.previous
                   FROM audit JOIN trail ON audit.key = trail.previous LIMIT ?2
               ) SELECT key, id FROM trail";
    let mut query = connection.prepare_cached(sql)?;
    let rows = query.query_map(params![first, limit as u64 + 1], key_and_id)?;
    backwards(connection, &rows.collect::<Result<Vec<_>, _>>()?, limit).map(Some)
}

/// Returns the audit entries of an incident that a request caused, each followed by the entry before it, the newest first:
/// those before a key.
pub(super) fn of_request(
    connection: &Connection,
    which: IncidentKey,
    request_id: &str,
    before: Option<i64>,
    limit: usize,
) -> Result<Option<Page<Listed<AuditEntry>>>> {
    let Some(newest) = incidents::newest_audit(connection, which)? else { return Ok(None) };
    // The walk begins with the last entry of the page before: the request may have caused it, and the entry before it
    // follows then.
    let sql = "WITH RECURSIVE trail(key, id, previous, is_caused, is_before) AS (
                   SELECT key, id, previous, request_id = ?3, FALSE FROM audit
                   WHERE key = coalesce(?2, ?1) AND incident = (SELECT incident FROM audit WHERE key = ?1)
                   UNION ALL SELECT audit.key, audit.id, audit.previous, audit.request_id = ?3, trail.is_caused
                   FROM audit JOIN trail ON audit.key = trail.previous
               ) SELECT key, id FROM trail WHERE (is_caused OR is_before) AND key IS NOT ?2 LIMIT ?4";
    let mut query = connection.prepare_cached(sql)?;
    let rows = query.query_map(params![newest, before, request_id, limit as u64 + 1], key_and_id)?;
    backwards(connection, &rows.collect::<Result<Vec<_>, _>>()?, limit).map(Some)
}

/// Returns a page of entries of one incident, the newest first.
fn backwards(connection: &Connection, rows: &[(i64, Id)], limit: usize) -> Result<Page<Listed<AuditEntry>>> {
    let mut page = Filling::new(limit);
    let mut last = None;
    for (key, Id(id)) in rows {
        if !page.has_room() {
            break;
        }
        // If the row before is the next entry, its object is the one from which this one is restored in one step.
        let later = last.zip(page.rows().last().and_then(|entry: &Listed<AuditEntry>| entry.as_ref().ok()));
        let entry = listed(*id, entry_before(connection, *key, later.map(|(key, entry)| (key, &*entry.object))))?;
        let bytes = entry.as_ref().map_or(0, AuditEntry::bytes);
        page.push(*key, entry, bytes);
        last = Some(*key);
    }
    Ok(page.finish())
}

pub(super) fn newest(connection: &Connection, which: IncidentKey) -> Result<Option<AuditEntry>> {
    let newest = incidents::newest_audit(connection, which)?;
    newest.map(|key| entry(connection, key)).transpose()
}

pub(super) fn after<T>(
    connection: &Connection,
    after: Uuid,
    mut to: T,
    mut add: impl FnMut(&mut T, Uuid, &Listed<AuditEntry>) -> ControlFlow<()>,
) -> Result<T> {
    let mut query = connection.prepare_cached("SELECT key, id FROM audit WHERE key > ? ORDER BY key")?;
    let mut rows = query.query([row_key(after)])?;
    while let Some(row) = rows.next()? {
        let (key, Id(id)) = key_and_id(row)?;
        let entry = listed(id, entry(connection, key))?;
        if add(&mut to, id, &entry).is_break() {
            break;
        }
    }
    Ok(to)
}

/// Returns the id of the newest entry; if there are no entries, an id that precedes all others.
pub(super) fn newest_id(connection: &Connection) -> Result<Uuid> {
    let mut query = connection.prepare("SELECT id FROM audit ORDER BY key DESC LIMIT 1")?;
    let found = query.query_row([], |row| Ok(value(row, 0, "id"))).optional()?.transpose()?;
    Ok(found.map_or(id::before(0), |Id(id)| id))
}

fn key_and_id(row: &Row) -> rusqlite::Result<(i64, Id)> {
    Ok((row.get(0)?, value(row, 1, "id").map_err(unreadable)?))
}
