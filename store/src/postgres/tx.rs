//! The row verbs in PostgreSQL: each verb runs its statements immediately, on the writer thread.

mod access;
mod audit;
mod counts;
mod destinations;
mod events;
pub(super) mod incidents;
mod postings;
mod queue;
mod sources;
mod triage;
mod versions;

pub(super) use access::add_operator_action;

use super::leases::NEWEST_EPOCH;
use super::session::Session;
use crate::clock::WriteClock;
use crate::columns::stored_days::StoredDays;
use crate::leases::Grant;
use crate::ledger::{
    Counts, DeadDelivery, Delivered, DestinationHealth, KnownEvent, NewAuditEntry, NewDelivery, NewEvent, PlainWrites,
    RepeatKeyRow, TriageRequest, Tx,
};
use crate::rows::{
    Attempt, Cursor, DeliveryFilter, DeliveryStatus, IncidentKey, IncidentRow, Listed, OperatorAction, ProofReport,
    SessionRow, SourceRow, StoredKind, Tally, TriageJob, VersionState,
};
use anyhow::Result;
use hookmill_incident::id::row_key;
use hookmill_incident::{Difference, EventState, EventStatus, Mapped, Number, PluginVersion};
use hookmill_notify::Trigger;
use std::sync::Arc;
use uuid::Uuid;

/// A transaction of the writing connection.
pub(super) struct PostgresTx<'a> {
    pub(super) session: &'a Session,
    clock: &'a WriteClock,
    /// The rows that were added and removed in this transaction; written once, at its end.
    pub(super) stored: StoredDays,
    stored_before_dry_run: StoredDays,
    /// The number that was given last in this transaction; written once, at its end.
    last_number: Option<Number>,
    last_number_before_dry_run: Option<Number>,
}

impl<'a> PostgresTx<'a> {
    pub fn new(session: &'a Session, clock: &'a WriteClock) -> Self {
        Self {
            session,
            clock,
            stored: StoredDays::default(),
            stored_before_dry_run: StoredDays::default(),
            last_number: None,
            last_number_before_dry_run: None,
        }
    }

    /// Writes what was kept in memory until the end of the transaction.
    pub fn finish(mut self) -> Result<()> {
        self.save_number()?;
        counts::add_stored_days(self.session, &mut self.stored)
    }

    /// Writes the number that was given last.
    fn save_number(&mut self) -> Result<()> {
        match self.last_number.take() {
            Some(number) => incidents::put_last_number(self.session, number),
            None => Ok(()),
        }
    }
}

impl Tx for PostgresTx<'_> {
    fn is_newest_grant(&mut self, grant: &Grant) -> Result<bool> {
        let newest: Option<i64> = self.session.value(NEWEST_EPOCH, &[&grant.name.to_string()])?;
        Ok(newest == i64::try_from(grant.epoch).ok())
    }

    fn add_repeat(&mut self, key: &RepeatKeyRow, event: KnownEvent) -> Result<Option<KnownEvent>> {
        events::add_repeat(self.session, key, event)
    }

    fn find_repeat(&mut self, key: &RepeatKeyRow) -> Result<Option<KnownEvent>> {
        events::find_repeat(self.session, key)
    }

    fn put_repeat(&mut self, key: &RepeatKeyRow, event: KnownEvent) -> Result<()> {
        events::put_repeat(self.session, key, event)
    }

    fn event_state(&mut self, event: i64) -> Result<Option<EventState>> {
        events::state(self.session, event)
    }

    fn event_status(&mut self, id: Uuid) -> Result<Option<EventStatus>> {
        events::status(self.session, id)
    }

    fn put_event(&mut self, event: &NewEvent) -> Result<()> {
        let key = row_key(event.event.id);
        self.stored.add(StoredKind::Events, key, 1, 0);
        self.stored.add(StoredKind::Payloads, key, 1, event.event.body.len() as i64);
        events::put(self.session, event)
    }

    fn update_event(&mut self, state: &EventState, attempts: u32, mapped: &Mapped) -> Result<()> {
        events::update(self.session, state, attempts, mapped)
    }

    fn discard_event(&mut self, id: Uuid, reason: Option<&str>) -> Result<()> {
        events::discard(self.session, id, reason)
    }

    fn find_incident(&mut self, which: IncidentKey) -> Result<Option<Listed<IncidentRow>>> {
        incidents::find(self.session, which)
    }

    fn newest_audit(&mut self, incident: Uuid) -> Result<i64> {
        incidents::newest_audit(self.session, incident)
    }

    fn newest_incident(&mut self, source: &str, source_ref: &str) -> Result<Option<IncidentRow>> {
        incidents::newest(self.session, source, source_ref)
    }

    fn put_incident(&mut self, row: &IncidentRow) -> Result<()> {
        self.stored.add(StoredKind::Incidents, row_key(row.id), 1, 0);
        incidents::put(self.session, row)
    }

    fn update_incident(&mut self, before: &IncidentRow, row: &IncidentRow) -> Result<()> {
        incidents::update(self.session, before, row)
    }

    fn set_hold(&mut self, incident: i64, is_held: bool) -> Result<()> {
        incidents::set_hold(self.session, incident, is_held)
    }

    fn is_held(&mut self, incident: i64) -> Result<bool> {
        incidents::is_held(self.session, incident)
    }

    fn delete_incident(&mut self, id: Uuid, newest_audit: i64) -> Result<()> {
        incidents::delete(self.session, id, newest_audit)
    }

    fn next_number(&mut self, year: i16) -> Result<Number> {
        let last = match self.last_number {
            Some(number) if number.year == year => number.count,
            _ => {
                self.save_number()?;
                incidents::last_number(self.session, year)?
            }
        };
        let number = Number { year, count: last + 1 };
        self.last_number = Some(number);
        Ok(number)
    }

    fn add_audit(&mut self, entry: &NewAuditEntry) -> Result<()> {
        self.stored.add(StoredKind::Audit, row_key(entry.id), 1, 0);
        audit::add(self.session, entry)
    }

    fn keep_moved(&mut self, entry: i64, moved: &Difference) -> Result<()> {
        audit::keep_moved(self.session, entry, moved)
    }

    fn keep_difference(&mut self, entry: i64, difference: &Difference, next: Option<i64>) -> Result<()> {
        audit::keep_difference(self.session, entry, difference, next)
    }

    fn add_delivery(&mut self, delivery: &NewDelivery) -> Result<()> {
        self.stored.add(StoredKind::Deliveries, row_key(delivery.id), 1, 0);
        queue::add(self.session, delivery)
    }

    fn has_pending(&mut self, destination: &str, subject: i64, before: i64) -> Result<bool> {
        queue::has_pending(self.session, destination, subject, before)
    }

    fn find_delivery(&mut self, id: Uuid) -> Result<Option<(String, DeliveryStatus)>> {
        queue::find(self.session, id)
    }

    fn set_pending(&mut self, delivery: i64, next_at: Option<i64>) -> Result<()> {
        queue::set_pending(self.session, delivery, next_at)
    }

    fn add_attempt(&mut self, delivery: i64, attempt: &Attempt, status: DeliveryStatus, next_at: i64) -> Result<bool> {
        queue::add_attempt(self.session, delivery, attempt, status, next_at)
    }

    fn release_next(&mut self, destination: &str, delivery: i64, at: i64) -> Result<()> {
        queue::release_next(self.session, destination, delivery, at)
    }

    fn find_destination(&mut self, name: &str, fingerprint: &str) -> Result<Option<DestinationHealth>> {
        destinations::find(self.session, name, fingerprint)
    }

    fn put_destination(&mut self, name: &str, fingerprint: &str, health: &DestinationHealth) -> Result<()> {
        destinations::put(self.session, name, fingerprint, health)
    }

    fn update_destination(&mut self, name: &str, failing_since: Option<i64>, disabled: Option<&str>) -> Result<()> {
        destinations::update(self.session, name, failing_since, disabled)
    }

    fn put_triage_request(&mut self, request: &TriageRequest) -> Result<()> {
        triage::put(self.session, request)
    }

    fn has_triage_request(&mut self, job: &TriageJob) -> Result<bool> {
        triage::has(self.session, job)
    }

    fn remove_triage_request(&mut self, incident: i64) -> Result<()> {
        triage::remove(self.session, incident)
    }

    fn fail_triage_request(&mut self, incident: i64, sha256: &str) -> Result<()> {
        triage::fail(self.session, incident, sha256)
    }

    fn count_triage_attempt(&mut self, job: &TriageJob) -> Result<()> {
        triage::count_attempt(self.session, job)
    }

    fn find_cursor(&mut self, source: &str, start: &str) -> Result<Option<String>> {
        sources::find_cursor(self.session, source, start)
    }

    fn put_cursor(&mut self, source: &str, cursor: &Cursor) -> Result<()> {
        sources::put_cursor(self.session, source, cursor)
    }

    fn update_cursor(&mut self, source: &str, cursor: &Cursor) -> Result<()> {
        sources::update_cursor(self.session, source, cursor)
    }

    fn set_silent(&mut self, source: &str, since: Option<i64>) -> Result<()> {
        destinations::set_silent(self.session, source, since)
    }

    fn set_raised(&mut self, trigger: Trigger, since: Option<i64>) -> Result<()> {
        destinations::set_raised(self.session, trigger, since)
    }

    fn add_counts(&mut self, counts: &Counts) -> Result<()> {
        counts::add(self.session, counts)
    }

    fn remove_counts(&mut self, before: i64, limit: usize) -> Result<usize> {
        counts::remove(self.session, before, limit)
    }

    fn begin_dry_run(&mut self) -> Result<()> {
        self.stored_before_dry_run = self.stored.clone();
        self.last_number_before_dry_run = self.last_number;
        self.session.batch("SAVEPOINT dry_run")
    }

    fn undo_dry_run(&mut self) -> Result<()> {
        self.stored = std::mem::take(&mut self.stored_before_dry_run);
        self.last_number = self.last_number_before_dry_run;
        self.session.batch("ROLLBACK TO SAVEPOINT dry_run; RELEASE SAVEPOINT dry_run")
    }

    fn destinations_after(&mut self, key: i64) -> Result<Vec<String>> {
        queue::destinations_after(self.session, key)
    }

    fn remove_repeats(&mut self, before: i64, limit: usize) -> Result<usize> {
        events::remove_repeats(self.session, before, limit)
    }

    fn dead_deliveries(
        &mut self,
        filter: &DeliveryFilter,
        destinations: &[&str],
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadDelivery>> {
        queue::dead(self.session, filter, destinations, after, limit)
    }

    fn kill_pending(&mut self, destination: &str, error: &str, limit: usize) -> Result<usize> {
        queue::kill_pending(self.session, destination, error, limit)
    }

    fn delivered(&mut self, after: i64, before: i64, limit: usize) -> Result<Delivered> {
        queue::delivered(self.session, after, before, limit)
    }

    fn remove_deliveries(&mut self, deliveries: &[i64]) -> Result<()> {
        self.stored.remove_all(StoredKind::Deliveries, deliveries);
        queue::remove(self.session, deliveries)
    }

    fn pull_forward(&mut self, destination: &str, now: i64, latest: i64, limit: usize) -> Result<usize> {
        queue::pull_forward(self.session, destination, now, latest, limit)
    }

    fn order_pending(&mut self, destination: &str, is_ordered: bool) -> Result<()> {
        queue::order_pending(self.session, destination, is_ordered)
    }

    fn retry_triage_requests(&mut self, playbook: &str, sha256: &str) -> Result<()> {
        triage::retry(self.session, playbook, sha256)
    }
}

impl PlainWrites for PostgresTx<'_> {
    fn put_source(&mut self, source: &SourceRow) -> Result<()> {
        sources::put(self.session, source)
    }

    fn remove_source(&mut self, name: &str) -> Result<()> {
        sources::remove(self.session, name)
    }

    fn touch(&mut self) -> Result<()> {
        self.session.execute("UPDATE head SET number = number", &[]).map(|_| ())
    }

    fn refused(&mut self, source: &str) -> Result<u64> {
        sources::refused(self.session, source)
    }

    fn put_storage_sample(&mut self, hour: i64, oldest: i64) -> Result<()> {
        counts::put_storage_sample(self.session, hour, oldest)
    }

    fn release_pages(&mut self) -> Result<bool> {
        // The database does so by itself.
        Ok(false)
    }

    fn put_tallies(&mut self, tallies: &[(Arc<str>, Tally)]) -> Result<()> {
        sources::put_tallies(self.session, tallies)
    }

    fn add_operator_action(&mut self, action: &OperatorAction, oldest: Option<i64>) -> Result<()> {
        access::add_operator_action(self.session, action, oldest)
    }

    fn add_session(&mut self, session: &SessionRow, keep: usize) -> Result<()> {
        access::add_session(self.session, session, keep)
    }

    fn set_session_used(&mut self, digest: &[u8; 32], used_at: i64) -> Result<()> {
        access::set_session_used(self.session, digest, used_at)
    }

    fn remove_session(&mut self, digest: &[u8; 32]) -> Result<bool> {
        access::remove_session(self.session, digest)
    }

    fn remove_token(&mut self, name: &str) -> Result<bool> {
        access::remove_token(self.session, name)
    }

    fn put_version(&mut self, plugin: &PluginVersion, state: VersionState, report: Option<&ProofReport>) -> Result<()> {
        versions::put(self.session, plugin, state, report, self.clock.now_ms())
    }

    fn put_live_version(&mut self, plugin: &PluginVersion, keep: usize) -> Result<Vec<String>> {
        versions::put_live(self.session, plugin, keep, self.clock.now_ms())
    }

    fn put_compiled(&mut self, plugin: &str, name: &str, digest: [u8; 32]) -> Result<Vec<String>> {
        versions::put_compiled(self.session, plugin, name, digest, self.clock.now_ms())
    }
}
