//! The rows that retention reads and removes.

use super::session::Session;
use super::tx::{PostgresTx, incidents};
use crate::columns::events::{EventColumns, without_body};
use crate::columns::incidents::EndedColumns;
use crate::columns::{Columns, value};
use crate::ledger::{EndedIncident, OldEvent, RetentionTx};
use crate::rows::StoredKind;
use anyhow::Result;

fn old_events(session: &Session, from: &str, after: i64, before: i64, limit: usize) -> Result<Vec<OldEvent>> {
    let sql = format!(
        "SELECT {}, key, CASE WHEN body_removed_at IS NULL THEN octet_length(body)::bigint END \
         FROM {from} WHERE key > $1 AND key < $2 ORDER BY key LIMIT $3",
        EventColumns::LIST
    );
    let rows = session.rows(&sql, &[&after, &before, &bound(limit)])?;
    let old = rows.iter().map(|row| {
        let key = value(row, EventColumns::COUNT, "key")?;
        let body_bytes = value(row, EventColumns::COUNT + 1, "body_bytes")?;
        Ok(OldEvent { key, row: without_body(row).ok(), body_bytes })
    });
    old.collect()
}

/// Returns a number for LIMIT.
fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn keys_of(events: &[&OldEvent]) -> Vec<i64> {
    events.iter().map(|event| event.key).collect()
}

impl RetentionTx for PostgresTx<'_> {
    fn newest_event(&mut self) -> Result<i64> {
        Ok(self.settled()?.value("SELECT key FROM events ORDER BY key DESC LIMIT 1", &[])?.unwrap_or(0))
    }

    fn newest_entry(&mut self) -> Result<i64> {
        Ok(self.settled()?.value("SELECT key FROM audit ORDER BY key DESC LIMIT 1", &[])?.unwrap_or(0))
    }

    fn retention_position(&mut self, kind: StoredKind) -> Result<i64> {
        let sql = "SELECT position FROM retention WHERE kind = $1";
        Ok(self.settled()?.value(sql, &[&kind.as_str()])?.unwrap_or(0))
    }

    fn set_retention_position(&mut self, kind: StoredKind, key: i64) -> Result<()> {
        let sql = "INSERT INTO retention (kind, position) VALUES ($1, $2) \
                   ON CONFLICT (kind) DO UPDATE SET position = excluded.position";
        self.settled()?.execute(sql, &[&kind.as_str(), &key])?;
        Ok(())
    }

    fn events_between(&mut self, after: i64, before: i64, limit: usize) -> Result<Vec<OldEvent>> {
        old_events(self.settled()?, "events", after, before, limit)
    }

    fn kept_events_between(&mut self, after: i64, before: i64, limit: usize) -> Result<Vec<OldEvent>> {
        old_events(self.settled()?, "kept_events JOIN events ON key = event", after, before, limit)
    }

    fn keep_event(&mut self, event: i64) -> Result<()> {
        self.settled()?.execute("INSERT INTO kept_events (event) VALUES ($1) ON CONFLICT DO NOTHING", &[&event])?;
        Ok(())
    }

    fn forget_kept_event(&mut self, event: i64) -> Result<()> {
        self.settled()?.execute("DELETE FROM kept_events WHERE event = $1", &[&event])?;
        Ok(())
    }

    fn remove_bodies(&mut self, events: &[&OldEvent], at: i64) -> Result<()> {
        // The logs may quote the body, and only mapping the body again needs the trace.
        let sql =
            "UPDATE events SET body = '', log = NULL, traceparent = NULL, body_removed_at = $1 WHERE key = ANY($2)";
        self.settled()?.execute(sql, &[&at, &keys_of(events)])?;
        for event in events {
            self.stored.add(StoredKind::Payloads, event.key, -1, -event.body_bytes.unwrap_or(0));
        }
        Ok(())
    }

    fn remove_events(&mut self, events: &[&OldEvent]) -> Result<()> {
        self.settled()?.execute("DELETE FROM events WHERE key = ANY($1)", &[&keys_of(events)])?;
        for event in events {
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
            "SELECT {} FROM incidents WHERE (deleted OR status IN ('resolved', 'false_positive', 'closed')) \
             AND newest_audit > $1 AND newest_audit < $2 ORDER BY newest_audit LIMIT $3",
            EndedColumns::LIST
        );
        let rows = self.settled()?.rows(&sql, &[&after, &before, &bound(limit)])?;
        rows.iter().map(|row| EndedColumns::read(row).map(Into::into)).collect()
    }

    fn entries_before(&mut self, newest: i64, limit: usize) -> Result<Vec<i64>> {
        let sql = "WITH RECURSIVE trail (key, previous) AS ( \
                       SELECT key, previous FROM audit WHERE key = $1 \
                       UNION ALL SELECT audit.key, audit.previous FROM audit JOIN trail ON audit.key = trail.previous \
                   ) SELECT key FROM trail WHERE key < $1 ORDER BY key LIMIT $2";
        self.settled()?.column(sql, &[&newest, &bound(limit)])
    }

    fn remove_entries(&mut self, entries: &[i64]) -> Result<()> {
        self.settled()?.execute("DELETE FROM audit WHERE key = ANY($1)", &[&entries])?;
        self.stored.remove_all(StoredKind::Audit, entries);
        Ok(())
    }

    fn remove_incident(&mut self, incident: i64) -> Result<()> {
        incidents::remove(self.settled()?, incident)?;
        self.stored.remove_all(StoredKind::Incidents, &[incident]);
        Ok(())
    }

    fn has_pending_of(&mut self, subject: i64) -> Result<bool> {
        self.settled()?
            .exists("SELECT 1 FROM deliveries WHERE subject = $1 AND status = 'pending' LIMIT 1", &[&subject])
    }

    fn deliveries_of(&mut self, subject: i64, limit: usize) -> Result<Vec<i64>> {
        let sql = "SELECT key FROM deliveries WHERE subject = $1 ORDER BY key LIMIT $2";
        self.settled()?.column(sql, &[&subject, &bound(limit)])
    }
}
