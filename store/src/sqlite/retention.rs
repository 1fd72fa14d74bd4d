//! The rows that retention reads and removes.

use super::columns::{Conditions, read_into};
use super::incidents;
use super::tx::SqliteTx;
use crate::columns::Columns;
use crate::columns::events::{EventColumns, without_body};
use crate::columns::incidents::EndedColumns;
use crate::ledger::{EndedIncident, OldEvent, RetentionTx};
use crate::rows::StoredKind;
use anyhow::Result;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Params, Row, params, params_from_iter};

/// Everything of an event except the body, the logs, which may quote it, and the trace, which only mapping the body again needs.
const KEPT_COLUMNS: [&str; 19] = [
    "key",
    "id",
    "source",
    "status",
    "received_at",
    "attempts",
    "code",
    "message",
    "tried",
    "incidents",
    "content_type",
    "headers",
    "context",
    "signed_at",
    "digest",
    "discard_reason",
    "stored_at",
    "journey",
    "failure_group",
];

/// Returns a number for LIMIT.
fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn keys(connection: &Connection, sql: &str, params: impl Params) -> Result<Vec<i64>> {
    let mut query = connection.prepare_cached(sql)?;
    Ok(query.query_map(params, |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Returns the value of a query that has at most one row.
fn value(connection: &Connection, sql: &str, params: impl Params) -> Result<Option<i64>> {
    Ok(connection.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?)
}

/// Reads events in the order of their keys, which are in the column `place` of `from`.
fn old_events(
    connection: &Connection,
    from: &str,
    place: &str,
    after: i64,
    before: i64,
    limit: usize,
) -> Result<Vec<OldEvent>> {
    let sql = format!(
        "SELECT {}, key, CASE WHEN body_removed_at IS NULL THEN length(body) END AS body_bytes \
         FROM {from} WHERE {place} > ? AND {place} < ? ORDER BY {place} LIMIT ?",
        EventColumns::LIST
    );
    let old = |row: &Row| {
        let (key, body_bytes) = (row.get("key")?, row.get("body_bytes")?);
        Ok(OldEvent { key, row: without_body(row).ok(), body_bytes })
    };
    let mut query = connection.prepare_cached(&sql)?;
    Ok(query.query_map(params![after, before, bound(limit)], old)?.collect::<Result<_, _>>()?)
}

impl RetentionTx for SqliteTx<'_> {
    fn newest_event(&mut self) -> Result<i64> {
        Ok(value(self.connection, "SELECT key FROM events ORDER BY key DESC LIMIT 1", [])?.unwrap_or(0))
    }

    fn newest_entry(&mut self) -> Result<i64> {
        Ok(value(self.connection, "SELECT key FROM audit ORDER BY key DESC LIMIT 1", [])?.unwrap_or(0))
    }

    fn retention_position(&mut self, kind: StoredKind) -> Result<i64> {
        let sql = "SELECT position FROM retention WHERE kind = ?";
        Ok(value(self.connection, sql, [kind.as_str()])?.unwrap_or(0))
    }

    fn set_retention_position(&mut self, kind: StoredKind, key: i64) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO retention (kind, position) VALUES (?, ?)";
        self.connection.prepare_cached(sql)?.execute(params![kind.as_str(), key])?;
        Ok(())
    }

    fn events_between(&mut self, after: i64, before: i64, limit: usize) -> Result<Vec<OldEvent>> {
        old_events(self.connection, "events", "key", after, before, limit)
    }

    fn kept_events_between(&mut self, after: i64, before: i64, limit: usize) -> Result<Vec<OldEvent>> {
        let from = "kept_events CROSS JOIN events ON key = event";
        old_events(self.connection, from, "event", after, before, limit)
    }

    fn keep_event(&mut self, event: i64) -> Result<()> {
        self.connection.prepare_cached("INSERT OR IGNORE INTO kept_events (event) VALUES (?)")?.execute([event])?;
        Ok(())
    }

    fn forget_kept_event(&mut self, event: i64) -> Result<()> {
        self.connection.prepare_cached("DELETE FROM kept_events WHERE event = ?")?.execute([event])?;
        Ok(())
    }

    fn remove_bodies(&mut self, events: &[&OldEvent], at: i64) -> Result<()> {
        // A row that only becomes shorter stays on its page, whose rest no other row can use, because rows lie in the
        // order of their keys. Rows that are removed and added again share pages.
        let (list, marks) = (KEPT_COLUMNS.join(", "), Conditions::marks(KEPT_COLUMNS.len()));
        let mut read = self.connection.prepare_cached(&format!("SELECT {list} FROM events WHERE key = ?"))?;
        let mut rest: Vec<Vec<Value>> = Vec::with_capacity(events.len());
        for event in events {
            let columns = |row: &Row| (0..KEPT_COLUMNS.len()).map(|column| row.get(column)).collect();
            rest.push(read.query_row([event.key], columns)?);
        }
        let mut remove = self.connection.prepare_cached("DELETE FROM events WHERE key = ?")?;
        for event in events {
            remove.execute([event.key])?;
            self.stored.add(StoredKind::Payloads, event.key, -1, -event.body_bytes.unwrap_or(0));
        }
        let sql = format!("INSERT INTO events ({list}, body, body_removed_at) VALUES ({marks}, X'', ?)");
        let mut add = self.connection.prepare_cached(&sql)?;
        for row in rest {
            add.execute(params_from_iter(row.into_iter().chain([Value::Integer(at)])))?;
        }
        Ok(())
    }

    fn remove_events(&mut self, events: &[&OldEvent]) -> Result<()> {
        let mut remove = self.connection.prepare_cached("DELETE FROM events WHERE key = ?")?;
        for event in events {
            remove.execute([event.key])?;
            self.stored.add(StoredKind::Events, event.key, -1, 0);
            if let Some(bytes) = event.body_bytes {
                self.stored.add(StoredKind::Payloads, event.key, -1, -bytes);
            }
        }
        Ok(())
    }

    fn ended_incidents(&mut self, after: i64, before: i64, limit: usize) -> Result<Vec<EndedIncident>> {
        // The condition of the index `incidents_ended`, as it stands in the schema.
        let sql = format!(
            "SELECT {} FROM incidents INDEXED BY incidents_ended \
             WHERE (deleted = 1 OR status = 'resolved' OR status = 'false_positive' OR status = 'closed') \
             AND newest_audit > ? AND newest_audit < ? ORDER BY newest_audit LIMIT ?",
            EndedColumns::LIST
        );
        let mut query = self.connection.prepare_cached(&sql)?;
        let rows = query.query_map(params![after, before, bound(limit)], read_into::<EndedColumns, _>)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn entries_before(&mut self, newest: i64, limit: usize) -> Result<Vec<i64>> {
        let sql = "WITH RECURSIVE trail(key, previous) AS (
                       SELECT key, previous FROM audit WHERE key = ?1
                       UNION ALL SELECT audit.key, audit.previous FROM audit JOIN trail ON audit.key = trail.previous
                   ) SELECT key FROM trail WHERE key < ?1 ORDER BY key LIMIT ?2";
        keys(self.connection, sql, params![newest, bound(limit)])
    }

    fn remove_entries(&mut self, entries: &[i64]) -> Result<()> {
        let mut remove = self.connection.prepare_cached("DELETE FROM audit WHERE key = ?")?;
        entries.iter().try_for_each(|entry| remove.execute([entry]).map(|_| ()))?;
        self.stored.remove_all(StoredKind::Audit, entries);
        Ok(())
    }

    fn remove_incident(&mut self, incident: i64) -> Result<()> {
        self.has_changed_words = true;
        incidents::remove(self.connection, incident)?;
        self.stored.remove_all(StoredKind::Incidents, &[incident]);
        Ok(())
    }

    fn has_pending_of(&mut self, subject: i64) -> Result<bool> {
        let sql =
            "SELECT 1 FROM deliveries INDEXED BY deliveries_told WHERE subject = ? AND status = 'pending' LIMIT 1";
        Ok(self.connection.prepare_cached(sql)?.exists([subject])?)
    }

    fn deliveries_of(&mut self, subject: i64, limit: usize) -> Result<Vec<i64>> {
        let sql = "SELECT key FROM deliveries INDEXED BY deliveries_told WHERE subject = ? ORDER BY key LIMIT ?";
        keys(self.connection, sql, params![subject, bound(limit)])
    }
}
