//! The rows that retention reads and removes, in memory.

use super::copies::{EventCopy, as_read};
use super::memory::Memory;
use crate::ledger::{EndedIncident, OldEvent, RetentionTx};
use crate::rows::{DeliveryStatus, EventRow, StoredKind};
use anyhow::{Context, Result};
use hookmill_incident::{Journey, KeptLog, Status};
use std::collections::BTreeMap;

const DAY_MS: i64 = 86_400_000;

fn old_event(key: i64, copy: &EventCopy) -> OldEvent {
    let EventCopy { mut event, state, attempts, tried, body_removed_at, discard_reason, .. } = copy.clone();
    event.repeat_key = as_read(&event.repeat_key);
    let body_bytes = body_removed_at.is_none().then_some(event.body.len() as i64);
    let (stored_at, journey) = (None, Journey::default());
    let row = EventRow { state, event, body_removed_at, attempts, tried, discard_reason, stored_at, journey };
    OldEvent { key, row: Some(row), body_bytes }
}

impl Memory {
    /// Returns the rows and bytes of each kind by day, counted.
    pub fn stored_days(&self) -> BTreeMap<(StoredKind, i64), (i64, i64)> {
        let mut days: BTreeMap<_, (i64, i64)> = BTreeMap::new();
        let mut add = |kind, key: i64, bytes: i64| {
            let count = days.entry((kind, (key >> 15) / DAY_MS)).or_default();
            *count = (count.0 + 1, count.1 + bytes);
        };
        for (key, row) in &self.events {
            add(StoredKind::Events, *key, 0);
            if row.body_removed_at.is_none() {
                add(StoredKind::Payloads, *key, row.event.body.len() as i64);
            }
        }
        self.incidents.keys().for_each(|key| add(StoredKind::Incidents, *key, 0));
        self.audit.keys().for_each(|key| add(StoredKind::Audit, *key, 0));
        self.deliveries.keys().for_each(|key| add(StoredKind::Deliveries, *key, 0));
        days
    }
}

impl RetentionTx for Memory {
    fn newest_event(&mut self) -> Result<i64> {
        Ok(self.events.keys().last().copied().unwrap_or(0))
    }

    fn newest_entry(&mut self) -> Result<i64> {
        Ok(self.audit.keys().last().copied().unwrap_or(0))
    }

    fn retention_position(&mut self, kind: StoredKind) -> Result<i64> {
        Ok(self.positions.get(&kind).copied().unwrap_or(0))
    }

    fn set_retention_position(&mut self, kind: StoredKind, key: i64) -> Result<()> {
        self.positions.insert(kind, key);
        Ok(())
    }

    fn events_between(&mut self, after: i64, before: i64, limit: usize) -> Result<Vec<OldEvent>> {
        let between = self.events.iter().filter(|(key, _)| (after + 1..before).contains(*key));
        Ok(between.take(limit).map(|(key, copy)| old_event(*key, copy)).collect())
    }

    fn kept_events_between(&mut self, after: i64, before: i64, limit: usize) -> Result<Vec<OldEvent>> {
        let between = self.kept.iter().filter(|key| (after + 1..before).contains(*key));
        let events = between.take(limit).map(|key| Some(old_event(*key, self.events.get(key)?)));
        events.collect::<Option<_>>().context("an event that was kept is gone")
    }

    fn keep_event(&mut self, event: i64) -> Result<()> {
        self.kept.insert(event);
        Ok(())
    }

    fn forget_kept_event(&mut self, event: i64) -> Result<()> {
        self.kept.remove(&event);
        Ok(())
    }

    fn remove_bodies(&mut self, events: &[&OldEvent], at: i64) -> Result<()> {
        for event in events {
            let row = self.events.get_mut(&event.key).context("there is no such event")?;
            row.body_removed_at = Some(at);
            (row.event.body, row.event.traceparent) = (Vec::new().into(), None);
            row.journey.log = KeptLog::default();
        }
        Ok(())
    }

    fn remove_events(&mut self, events: &[&OldEvent]) -> Result<()> {
        self.events.retain(|key, _| events.iter().all(|event| event.key != *key));
        Ok(())
    }

    fn ended_incidents(&mut self, after: i64, before: i64, limit: usize) -> Result<Vec<EndedIncident>> {
        let has_ended = |status: Status| matches!(status, Status::Resolved | Status::FalsePositive | Status::Closed);
        let ended = self.incidents.iter().filter(|(_, (row, is_deleted))| {
            (*is_deleted || has_ended(row.incident.status)) && (after + 1..before).contains(&row.newest_audit)
        });
        let mut ended: Vec<_> =
            ended.map(|(key, (row, _))| EndedIncident { key: *key, newest_audit: row.newest_audit }).collect();
        ended.sort_by_key(|incident| incident.newest_audit);
        ended.truncate(limit);
        Ok(ended)
    }

    fn entries_before(&mut self, newest: i64, limit: usize) -> Result<Vec<i64>> {
        let incident = self.audit.get(&newest).context("there is no such entry")?.incident;
        let entries = self.audit.iter().filter(|(key, entry)| entry.incident == incident && **key < newest);
        Ok(entries.map(|(key, _)| *key).take(limit).collect())
    }

    fn remove_entries(&mut self, entries: &[i64]) -> Result<()> {
        self.audit.retain(|key, _| !entries.contains(key));
        Ok(())
    }

    fn remove_incident(&mut self, incident: i64) -> Result<()> {
        self.incidents.remove(&incident);
        Ok(())
    }

    fn has_pending_of(&mut self, subject: i64) -> Result<bool> {
        let mut deliveries = self.deliveries.values();
        Ok(deliveries.any(|row| row.subject == subject && row.status == DeliveryStatus::Pending))
    }

    fn deliveries_of(&mut self, subject: i64, limit: usize) -> Result<Vec<i64>> {
        let deliveries = self.deliveries.iter().filter(|(_, row)| row.subject == subject);
        Ok(deliveries.map(|(key, _)| *key).take(limit).collect())
    }
}
