//! The rows of the store in memory: the row verbs again, written without SQL.

use super::copies::{AuditCopy, DeliveryCopy, EventCopy, RequestCopy};
use crate::ledger::{
    CountKey, Counts, DeadDelivery, Delivered, DestinationHealth, KnownEvent, NewAuditEntry, NewDelivery, NewEvent,
    RepeatKeyRow, Subject, TriageRequest, Tx,
};
use crate::rows::{
    Attempt, Cursor, DeliveryFilter, DeliveryStatus, IncidentKey, IncidentRow, Listed, StoredKind, TriageJob,
};
use anyhow::{Context, Result, ensure};
use hookmill_incident::id::row_key;
use hookmill_incident::{Difference, EventState, EventStatus, Mapped, Number};
use hookmill_notify::Trigger;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

#[derive(Clone, Default)]
pub(super) struct Memory {
    pub repeats: BTreeMap<(i64, String, [u8; 32]), KnownEvent>,
    pub events: BTreeMap<i64, EventCopy>,
    /// The incidents, each with a flag that is true if it was deleted.
    pub incidents: BTreeMap<i64, (IncidentRow, bool)>,
    pub numbers: BTreeMap<i16, u32>,
    pub audit: BTreeMap<i64, AuditCopy>,
    pub deliveries: BTreeMap<i64, DeliveryCopy>,
    pub attempts: BTreeMap<(i64, u32), Attempt>,
    pub destinations: BTreeMap<String, (String, DestinationHealth)>,
    pub triage: BTreeMap<i64, RequestCopy>,
    pub cursors: BTreeMap<String, Cursor>,
    pub silent: BTreeMap<String, i64>,
    /// Incidents with a hold.
    pub holds: BTreeSet<i64>,
    /// The positions of retention.
    pub positions: BTreeMap<StoredKind, i64>,
    /// Events that had to stay.
    pub kept: BTreeSet<i64>,
    pub counts: BTreeMap<CountKey, u64>,
    pub raised: BTreeMap<Trigger, i64>,
    before_dry_run: Option<Box<Memory>>,
}

impl Memory {
    /// Returns the waiting request of an incident as a job.
    pub fn job(&self, incident: i64) -> Option<TriageJob> {
        let request = self.triage.get(&incident).filter(|request| request.failed_on.is_none())?;
        let row = self.incidents.get(&incident).filter(|(_, is_deleted)| !is_deleted).map(|(row, _)| row.clone());
        let RequestCopy { playbook, is_manual, attempts, request_id, .. } = request.clone();
        let of_request = |id: Uuid| self.events.get(&row_key(id)).filter(|copy| copy.event.id == id);
        let traceparent = request_id.parse().ok().and_then(of_request).and_then(|copy| copy.event.traceparent.clone());
        Some(TriageJob { row, is_manual, attempts, request_id, traceparent, key: incident, playbook })
    }

    /// Keeps the incident as the object of its newest entry, unless the entry is an older one.
    fn note_object(&mut self, row: &IncidentRow) -> Result<()> {
        let entry = self.audit.get_mut(&row.newest_audit).context("there is no such entry")?;
        if entry.object.is_null() {
            entry.object = serde_json::to_value(row.shown())?;
        }
        Ok(())
    }

    pub fn pending(&mut self, destination: &str) -> impl Iterator<Item = (&i64, &mut DeliveryCopy)> {
        let is_meant =
            move |row: &DeliveryCopy| row.destination == destination && row.status == DeliveryStatus::Pending;
        self.deliveries.iter_mut().filter(move |(_, row)| is_meant(row))
    }
}

fn repeat_key(key: &RepeatKeyRow) -> (i64, String, [u8; 32]) {
    (key.at, key.source.to_owned(), *key.digest)
}

impl Tx for Memory {
    fn add_repeat(&mut self, key: &RepeatKeyRow, event: KnownEvent) -> Result<Option<KnownEvent>> {
        let known = self.find_repeat(key)?;
        if known.is_none() {
            self.put_repeat(key, event)?;
        }
        Ok(known)
    }

    fn find_repeat(&mut self, key: &RepeatKeyRow) -> Result<Option<KnownEvent>> {
        Ok(self.repeats.get(&repeat_key(key)).copied())
    }

    fn put_repeat(&mut self, key: &RepeatKeyRow, event: KnownEvent) -> Result<()> {
        self.repeats.insert(repeat_key(key), event);
        Ok(())
    }

    fn event_state(&mut self, event: i64) -> Result<Option<EventState>> {
        Ok(self.events.get(&event).map(|row| row.state.clone()))
    }

    fn event_status(&mut self, id: Uuid) -> Result<Option<EventStatus>> {
        Ok(self.events.get(&row_key(id)).filter(|row| row.event.id == id).map(|row| row.state.status))
    }

    fn put_event(&mut self, new: &NewEvent) -> Result<()> {
        let row = EventCopy::of(new)?;
        ensure!(self.events.insert(row_key(new.state.id), row).is_none(), "the event is there already");
        Ok(())
    }

    fn update_event(&mut self, state: &EventState, attempts: u32, mapped: &Mapped) -> Result<()> {
        let row = self.events.get_mut(&row_key(state.id)).context("there is no such event")?;
        (row.state, row.attempts, row.tried) = (state.clone(), attempts, mapped.tried.clone());
        row.journey = mapped.journey.clone();
        Ok(())
    }

    fn discard_event(&mut self, id: Uuid, reason: Option<&str>) -> Result<()> {
        self.events.get_mut(&row_key(id)).context("there is no such event")?.discard(reason);
        Ok(())
    }

    fn find_incident(&mut self, which: IncidentKey) -> Result<Option<Listed<IncidentRow>>> {
        let is_meant = |row: &IncidentRow| match which {
            IncidentKey::Id(id) => row.id == id,
            IncidentKey::Number(number) => row.number == number,
        };
        let found = self.incidents.values().find(|(row, is_deleted)| !is_deleted && is_meant(row));
        Ok(found.map(|(row, _)| Ok(row.clone())))
    }

    fn newest_audit(&mut self, incident: Uuid) -> Result<i64> {
        let (row, _) = self.incidents.get(&row_key(incident)).context("there is no such incident")?;
        Ok(row.newest_audit)
    }

    fn newest_incident(&mut self, source: &str, source_ref: &str) -> Result<Option<IncidentRow>> {
        let is_meant = |row: &IncidentRow| row.incident.source == source && row.incident.source_ref == source_ref;
        let found = self.incidents.values().rev().find(|(row, is_deleted)| !is_deleted && is_meant(row));
        Ok(found.map(|(row, _)| row.clone()))
    }

    fn put_incident(&mut self, row: &IncidentRow) -> Result<()> {
        self.note_object(row)?;
        let is_new = self.incidents.insert(row_key(row.id), (row.clone(), false)).is_none();
        ensure!(is_new, "the incident is there already");
        Ok(())
    }

    fn update_incident(&mut self, _before: &IncidentRow, row: &IncidentRow) -> Result<()> {
        self.note_object(row)?;
        self.incidents.get_mut(&row_key(row.id)).context("there is no such incident")?.0 = row.clone();
        Ok(())
    }

    fn set_hold(&mut self, incident: i64, is_held: bool) -> Result<()> {
        match is_held {
            true => self.holds.insert(incident),
            false => self.holds.remove(&incident),
        };
        Ok(())
    }

    fn is_held(&mut self, incident: i64) -> Result<bool> {
        Ok(self.holds.contains(&incident))
    }

    fn delete_incident(&mut self, id: Uuid, newest_audit: i64) -> Result<()> {
        let (row, is_deleted) = self.incidents.get_mut(&row_key(id)).context("there is no such incident")?;
        (row.newest_audit, *is_deleted) = (newest_audit, true);
        let row = row.clone();
        self.note_object(&row)
    }

    fn next_number(&mut self, year: i16) -> Result<Number> {
        let last = self.numbers.entry(year).or_default();
        *last += 1;
        Ok(Number { year, count: *last })
    }

    fn add_audit(&mut self, entry: &NewAuditEntry) -> Result<()> {
        let row = AuditCopy {
            id: entry.id,
            incident: entry.incident,
            previous: entry.previous,
            operation: entry.operation,
            at: entry.at,
            request_id: entry.request_id.to_owned(),
            details: entry.details.as_ref().map(serde_json::to_string).transpose()?,
            difference: None,
            moved: None,
            next: None,
            object: Value::Null,
        };
        self.audit.insert(row_key(entry.id), row);
        Ok(())
    }

    fn keep_moved(&mut self, entry: i64, moved: &Difference) -> Result<()> {
        let entry = self.audit.get_mut(&entry).context("there is no such entry")?;
        if entry.moved.is_none() {
            entry.moved = Some(serde_json::to_string(moved)?);
        }
        Ok(())
    }

    fn keep_difference(&mut self, entry: i64, difference: &Difference, next: Option<i64>) -> Result<()> {
        let entry = self.audit.get_mut(&entry).context("there is no such entry")?;
        (entry.difference, entry.next) = (Some(serde_json::to_string(difference)?), next);
        Ok(())
    }

    fn add_delivery(&mut self, new: &NewDelivery) -> Result<()> {
        let (audit, event, notice) = match new.subject {
            Subject::Change { audit, .. } => (Some(audit), None, None),
            Subject::Event { event, .. } => (None, Some(event), None),
            Subject::Notice(text) => (None, None, Some(text.to_owned())),
        };
        let row = DeliveryCopy {
            id: new.id,
            destination: new.destination.to_owned(),
            status: new.status,
            attempts: 0,
            next_at: new.next_at,
            error: new.error.map(str::to_owned),
            subject: new.subject.key(row_key(new.id)),
            audit,
            event,
            notice,
            step: new.step.map(|(name, step)| (name.to_owned(), step)),
            traceparent: new.subject.traceparent().map(str::to_owned),
        };
        self.deliveries.insert(row_key(new.id), row);
        Ok(())
    }

    fn has_pending(&mut self, destination: &str, subject: i64, before: i64) -> Result<bool> {
        Ok(self.pending(destination).any(|(key, row)| row.subject == subject && *key < before))
    }

    fn find_delivery(&mut self, id: Uuid) -> Result<Option<(String, DeliveryStatus)>> {
        let row = self.deliveries.get(&row_key(id)).filter(|row| row.id == id);
        Ok(row.map(|row| (row.destination.clone(), row.status)))
    }

    fn set_pending(&mut self, delivery: i64, next_at: Option<i64>) -> Result<()> {
        let row = self.deliveries.get_mut(&delivery).context("there is no such delivery")?;
        (row.status, row.next_at) = (DeliveryStatus::Pending, next_at);
        Ok(())
    }

    fn add_attempt(&mut self, delivery: i64, attempt: &Attempt, status: DeliveryStatus, next_at: i64) -> Result<bool> {
        let Some(row) = self.deliveries.get_mut(&delivery) else { return Ok(false) };
        row.attempts += 1;
        (row.status, row.next_at, row.error) = (status, Some(next_at), attempt.error.clone());
        self.attempts.insert((delivery, row.attempts), attempt.clone());
        Ok(true)
    }

    fn release_next(&mut self, destination: &str, delivery: i64, at: i64) -> Result<()> {
        let subject = self.deliveries.get(&delivery).context("there is no such delivery")?.subject;
        let first = self.pending(destination).find(|(_, row)| row.subject == subject);
        if let Some((_, row)) = first {
            row.next_at = row.next_at.or(Some(at));
        }
        Ok(())
    }

    fn find_destination(&mut self, name: &str, fingerprint: &str) -> Result<Option<DestinationHealth>> {
        let found = self.destinations.get(name).filter(|(known, _)| known == fingerprint);
        Ok(found.map(|(_, health)| health.clone()))
    }

    fn put_destination(&mut self, name: &str, fingerprint: &str, health: &DestinationHealth) -> Result<()> {
        self.destinations.insert(name.to_owned(), (fingerprint.to_owned(), health.clone()));
        Ok(())
    }

    fn update_destination(&mut self, name: &str, failing_since: Option<i64>, disabled: Option<&str>) -> Result<()> {
        let (_, health) = self.destinations.get_mut(name).context("there is no such destination")?;
        *health = DestinationHealth { failing_since, disabled: disabled.map(str::to_owned) };
        Ok(())
    }

    fn put_triage_request(&mut self, request: &TriageRequest) -> Result<()> {
        let row = RequestCopy {
            playbook: request.playbook.to_owned(),
            is_manual: request.is_manual,
            attempts: 0,
            failed_on: None,
            request_id: request.request_id.to_owned(),
        };
        self.triage.insert(request.incident, row);
        Ok(())
    }

    fn has_triage_request(&mut self, job: &TriageJob) -> Result<bool> {
        Ok(self.triage.get(&job.key).is_some_and(|row| row.is_of(job) && row.failed_on.is_none()))
    }

    fn remove_triage_request(&mut self, incident: i64) -> Result<()> {
        self.triage.remove(&incident);
        Ok(())
    }

    fn fail_triage_request(&mut self, incident: i64, sha256: &str) -> Result<()> {
        self.triage.get_mut(&incident).context("there is no such request")?.failed_on = Some(sha256.to_owned());
        Ok(())
    }

    fn count_triage_attempt(&mut self, job: &TriageJob) -> Result<()> {
        if let Some(row) = self.triage.get_mut(&job.key).filter(|row| row.is_of(job)) {
            row.attempts += 1;
        }
        Ok(())
    }

    fn find_cursor(&mut self, source: &str, start: &str) -> Result<Option<String>> {
        let found = self.cursors.get(source).filter(|cursor| cursor.start == start);
        Ok(found.map(|cursor| cursor.position.clone()))
    }

    fn put_cursor(&mut self, source: &str, cursor: &Cursor) -> Result<()> {
        self.cursors.insert(source.to_owned(), cursor.clone());
        Ok(())
    }

    fn update_cursor(&mut self, source: &str, cursor: &Cursor) -> Result<()> {
        if let Some(known) = self.cursors.get_mut(source).filter(|known| known.start == cursor.start) {
            known.position.clone_from(&cursor.position);
        }
        Ok(())
    }

    fn set_silent(&mut self, source: &str, since: Option<i64>) -> Result<()> {
        match since {
            Some(since) => self.silent.insert(source.to_owned(), since),
            None => self.silent.remove(source),
        };
        Ok(())
    }

    fn set_raised(&mut self, trigger: Trigger, since: Option<i64>) -> Result<()> {
        match since {
            Some(since) => self.raised.insert(trigger, since),
            None => self.raised.remove(&trigger),
        };
        Ok(())
    }

    fn add_counts(&mut self, counts: &Counts) -> Result<()> {
        counts.0.iter().for_each(|(key, count)| *self.counts.entry(key.clone()).or_default() += count);
        Ok(())
    }

    fn remove_counts(&mut self, before: i64, limit: usize) -> Result<usize> {
        let old: Vec<_> = self.counts.keys().filter(|key| key.minute < before).take(limit).cloned().collect();
        self.counts.retain(|key, _| !old.contains(key));
        Ok(old.len())
    }

    fn begin_dry_run(&mut self) -> Result<()> {
        self.before_dry_run = Some(Box::new(self.clone()));
        Ok(())
    }

    fn undo_dry_run(&mut self) -> Result<()> {
        *self = *self.before_dry_run.take().context("there is no dry run")?;
        Ok(())
    }

    fn destinations_after(&mut self, key: i64) -> Result<Vec<String>> {
        let mut names: Vec<String> = self.deliveries.range(key + 1..).map(|(_, row)| row.destination.clone()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn remove_repeats(&mut self, before: i64, limit: usize) -> Result<usize> {
        let old: Vec<_> = self.repeats.keys().filter(|(at, ..)| *at < before).take(limit).cloned().collect();
        self.repeats.retain(|key, _| !old.contains(key));
        Ok(old.len())
    }

    fn dead_deliveries(
        &mut self,
        filter: &DeliveryFilter,
        destinations: &[&str],
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadDelivery>> {
        Ok(self.dead(filter, destinations, after, limit))
    }

    fn kill_pending(&mut self, destination: &str, error: &str, limit: usize) -> Result<usize> {
        let mut pending: Vec<_> = self.pending(destination).collect();
        pending.sort_by_key(|(key, row)| (row.next_at, **key));
        pending.truncate(limit);
        for (_, row) in &mut pending {
            (row.status, row.error) = (DeliveryStatus::Dead, Some(error.to_owned()));
        }
        Ok(pending.len())
    }

    fn delivered(&mut self, after: i64, before: i64, limit: usize) -> Result<Delivered> {
        let rows: Vec<_> = self.deliveries.range(after + 1..before.max(after + 1)).take(limit).collect();
        let delivered = rows.iter().filter(|(_, row)| row.status == DeliveryStatus::Delivered);
        let last = rows.last().filter(|_| rows.len() == limit).map(|(key, _)| **key);
        Ok(Delivered { deliveries: delivered.map(|(key, row)| (**key, row.subject)).collect(), last })
    }

    fn remove_deliveries(&mut self, deliveries: &[i64]) -> Result<()> {
        self.deliveries.retain(|key, _| !deliveries.contains(key));
        self.attempts.retain(|(delivery, _), _| !deliveries.contains(delivery));
        Ok(())
    }

    fn pull_forward(&mut self, destination: &str, now: i64, latest: i64, limit: usize) -> Result<usize> {
        Ok(self.pull(destination, now, latest, limit))
    }

    fn order_pending(&mut self, destination: &str, is_ordered: bool) -> Result<()> {
        let mut seen = Vec::new();
        for (key, row) in self.pending(destination) {
            match is_ordered {
                true if seen.contains(&row.subject) => row.next_at = None,
                true => seen.push(row.subject),
                false => row.next_at = row.next_at.or(Some(key >> 15)),
            }
        }
        Ok(())
    }

    fn retry_triage_requests(&mut self, playbook: &str, sha256: &str) -> Result<()> {
        for row in self.triage.values_mut().filter(|row| row.playbook == playbook) {
            if row.failed_on.as_ref().is_some_and(|failed_on| failed_on != sha256) {
                (row.failed_on, row.attempts) = (None, 0);
            }
        }
        Ok(())
    }
}
