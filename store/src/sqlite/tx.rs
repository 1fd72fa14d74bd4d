//! The row verbs in SQLite: each verb runs its statements immediately, on the writer thread.

use super::recent_repeats::{ChangedRepeats, RecentRepeats, RepeatsTx};
use super::{
    audit, counts, database, deliveries, destinations, events, incidents, operator_actions, queue, sessions, sources,
    storage, stored_days, tokens, triage, versions,
};
use crate::clock::WriteClock;
use crate::columns::stored_days::StoredDays;
use crate::ledger::{
    Counts, DeadDelivery, Delivered, DestinationHealth, KnownEvent, NewAuditEntry, NewDelivery, NewEvent, PlainWrites,
    RepeatKeyRow, TriageRequest, Tx,
};
use crate::rows::{
    Attempt, Cursor, DeliveryFilter, DeliveryStatus, IncidentKey, IncidentRow, Listed, OperatorAction, ProofReport,
    SessionRow, SourceRow, StoredKind, Tally, TriageJob, VersionState,
};
use anyhow::{Context, Result};
use hookmill_incident::id::row_key;
use hookmill_incident::{Difference, EventState, EventStatus, Mapped, Number, PluginVersion};
use hookmill_notify::Trigger;
use rusqlite::Connection;
use std::sync::Arc;
use uuid::Uuid;

/// A transaction of the writing connection.
pub(crate) struct SqliteTx<'a> {
    pub(super) connection: &'a Connection,
    clock: &'a WriteClock,
    /// The rows that were added and removed in this transaction; written once, at its end.
    pub(super) stored: StoredDays,
    stored_before_dry_run: StoredDays,
    /// The number that was given last in this transaction; written once, at its end.
    last_number: Option<Number>,
    last_number_before_dry_run: Option<Number>,
    new_incidents: usize,
    /// Whether words of incidents were changed or removed in this transaction.
    pub(super) has_changed_words: bool,
    repeats: RepeatsTx<'a>,
}

/// What is to be remembered after the commit of a transaction.
pub(super) struct Finished {
    /// The number of incidents that were added.
    pub new_incidents: usize,
    /// Whether words of incidents were changed or removed, each of which may have added segments.
    pub has_changed_words: bool,
    pub repeats: ChangedRepeats,
}

impl<'a> SqliteTx<'a> {
    pub fn new(connection: &'a Connection, clock: &'a WriteClock, recent: &'a RecentRepeats) -> Self {
        Self {
            connection,
            clock,
            stored: StoredDays::default(),
            stored_before_dry_run: StoredDays::default(),
            last_number: None,
            last_number_before_dry_run: None,
            new_incidents: 0,
            has_changed_words: false,
            repeats: RepeatsTx::new(connection, recent),
        }
    }

    /// Writes what was kept in memory until the end of the transaction.
    pub fn finish(mut self) -> Result<Finished> {
        self.save_number()?;
        stored_days::add(self.connection, &mut self.stored)?;
        let Self { new_incidents, has_changed_words, repeats, .. } = self;
        Ok(Finished { new_incidents, has_changed_words, repeats: repeats.finish() })
    }

    /// Writes the number that was given last.
    fn save_number(&mut self) -> Result<()> {
        match self.last_number.take() {
            Some(number) => incidents::put_last_number(self.connection, number),
            None => Ok(()),
        }
    }
}

impl Tx for SqliteTx<'_> {
    fn add_repeat(&mut self, key: &RepeatKeyRow, event: KnownEvent) -> Result<Option<KnownEvent>> {
        self.repeats.add(key, event)
    }

    fn find_repeat(&mut self, key: &RepeatKeyRow) -> Result<Option<KnownEvent>> {
        self.repeats.find(key)
    }

    fn put_repeat(&mut self, key: &RepeatKeyRow, event: KnownEvent) -> Result<()> {
        self.repeats.put(key, event)
    }

    fn event_state(&mut self, event: i64) -> Result<Option<EventState>> {
        events::state(self.connection, event)
    }

    fn event_status(&mut self, id: Uuid) -> Result<Option<EventStatus>> {
        events::status(self.connection, id)
    }

    fn put_event(&mut self, new: &NewEvent) -> Result<()> {
        let key = row_key(new.state.id);
        self.stored.add(StoredKind::Events, key, 1, 0);
        self.stored.add(StoredKind::Payloads, key, 1, new.mapped.event.body.len() as i64);
        events::put(self.connection, new)
    }

    fn update_event(&mut self, state: &EventState, attempts: u32, mapped: &Mapped) -> Result<()> {
        events::update(self.connection, state, attempts, mapped)
    }

    fn discard_event(&mut self, id: Uuid, reason: Option<&str>) -> Result<()> {
        events::discard(self.connection, id, reason)
    }

    fn find_incident(&mut self, which: IncidentKey) -> Result<Option<Listed<IncidentRow>>> {
        incidents::find(self.connection, which)
    }

    fn newest_audit(&mut self, incident: Uuid) -> Result<i64> {
        incidents::newest_audit(self.connection, IncidentKey::Id(incident))?.context("there is no such incident")
    }

    fn newest_incident(&mut self, source: &str, source_ref: &str) -> Result<Option<IncidentRow>> {
        incidents::newest(self.connection, source, source_ref)
    }

    fn put_incident(&mut self, row: &IncidentRow) -> Result<()> {
        self.stored.add(StoredKind::Incidents, row_key(row.id), 1, 0);
        self.new_incidents += 1;
        incidents::put(self.connection, row)
    }

    fn update_incident(&mut self, before: &IncidentRow, row: &IncidentRow) -> Result<()> {
        self.has_changed_words |= incidents::update(self.connection, before, row)?;
        Ok(())
    }

    fn set_hold(&mut self, incident: i64, is_held: bool) -> Result<()> {
        incidents::set_hold(self.connection, incident, is_held)
    }

    fn is_held(&mut self, incident: i64) -> Result<bool> {
        incidents::is_held(self.connection, incident)
    }

    fn delete_incident(&mut self, id: Uuid, newest_audit: i64) -> Result<()> {
        self.has_changed_words = true;
        incidents::delete(self.connection, id, newest_audit)
    }

    fn next_number(&mut self, year: i16) -> Result<Number> {
        let last = match self.last_number {
            Some(number) if number.year == year => number.count,
            _ => {
                self.save_number()?;
                incidents::last_number(self.connection, year)?
            }
        };
        let number = Number { year, count: last + 1 };
        self.last_number = Some(number);
        Ok(number)
    }

    fn add_audit(&mut self, entry: &NewAuditEntry) -> Result<()> {
        self.stored.add(StoredKind::Audit, row_key(entry.id), 1, 0);
        audit::add(self.connection, entry)
    }

    fn keep_moved(&mut self, entry: i64, moved: &Difference) -> Result<()> {
        audit::keep_moved(self.connection, entry, moved)
    }

    fn keep_difference(&mut self, entry: i64, difference: &Difference, next: Option<i64>) -> Result<()> {
        audit::keep_difference(self.connection, entry, difference, next)
    }

    fn add_delivery(&mut self, delivery: &NewDelivery) -> Result<()> {
        self.stored.add(StoredKind::Deliveries, row_key(delivery.id), 1, 0);
        queue::add(self.connection, delivery)
    }

    fn has_pending(&mut self, destination: &str, subject: i64, before: i64) -> Result<bool> {
        queue::has_pending(self.connection, destination, subject, before)
    }

    fn find_delivery(&mut self, id: Uuid) -> Result<Option<(String, DeliveryStatus)>> {
        queue::find(self.connection, id)
    }

    fn set_pending(&mut self, delivery: i64, next_at: Option<i64>) -> Result<()> {
        queue::set_pending(self.connection, delivery, next_at)
    }

    fn add_attempt(&mut self, delivery: i64, attempt: &Attempt, status: DeliveryStatus, next_at: i64) -> Result<bool> {
        queue::add_attempt(self.connection, delivery, attempt, status, next_at)
    }

    fn release_next(&mut self, destination: &str, delivery: i64, at: i64) -> Result<()> {
        queue::release_next(self.connection, destination, delivery, at)
    }

    fn find_destination(&mut self, name: &str, fingerprint: &str) -> Result<Option<DestinationHealth>> {
        destinations::find(self.connection, name, fingerprint)
    }

    fn put_destination(&mut self, name: &str, fingerprint: &str, health: &DestinationHealth) -> Result<()> {
        destinations::put(self.connection, name, fingerprint, health)
    }

    fn update_destination(&mut self, name: &str, failing_since: Option<i64>, disabled: Option<&str>) -> Result<()> {
        destinations::update(self.connection, name, failing_since, disabled)
    }

    fn put_triage_request(&mut self, request: &TriageRequest) -> Result<()> {
        triage::put(self.connection, request)
    }

    fn has_triage_request(&mut self, job: &TriageJob) -> Result<bool> {
        triage::has(self.connection, job)
    }

    fn remove_triage_request(&mut self, incident: i64) -> Result<()> {
        triage::remove(self.connection, incident)
    }

    fn fail_triage_request(&mut self, incident: i64, sha256: &str) -> Result<()> {
        triage::fail(self.connection, incident, sha256)
    }

    fn count_triage_attempt(&mut self, job: &TriageJob) -> Result<()> {
        triage::count_attempt(self.connection, job)
    }

    fn find_cursor(&mut self, source: &str, start: &str) -> Result<Option<String>> {
        sources::find_cursor(self.connection, source, start)
    }

    fn put_cursor(&mut self, source: &str, cursor: &Cursor) -> Result<()> {
        sources::put_cursor(self.connection, source, cursor)
    }

    fn update_cursor(&mut self, source: &str, cursor: &Cursor) -> Result<()> {
        sources::update_cursor(self.connection, source, cursor)
    }

    fn set_silent(&mut self, source: &str, since: Option<i64>) -> Result<()> {
        destinations::set_silent(self.connection, source, since)
    }

    fn set_raised(&mut self, trigger: Trigger, since: Option<i64>) -> Result<()> {
        destinations::set_raised(self.connection, trigger, since)
    }

    fn add_counts(&mut self, counts: &Counts) -> Result<()> {
        counts::add(self.connection, counts)
    }

    fn remove_counts(&mut self, before: i64, limit: usize) -> Result<usize> {
        counts::remove(self.connection, before, limit)
    }

    fn begin_dry_run(&mut self) -> Result<()> {
        self.stored_before_dry_run = self.stored.clone();
        self.last_number_before_dry_run = self.last_number;
        Ok(self.connection.execute_batch("SAVEPOINT dry_run")?)
    }

    fn undo_dry_run(&mut self) -> Result<()> {
        self.stored = std::mem::take(&mut self.stored_before_dry_run);
        self.last_number = self.last_number_before_dry_run;
        Ok(self.connection.execute_batch("ROLLBACK TO dry_run; RELEASE dry_run")?)
    }

    fn destinations_after(&mut self, key: i64) -> Result<Vec<String>> {
        queue::destinations_after(self.connection, key)
    }

    fn remove_repeats(&mut self, before: i64, limit: usize) -> Result<usize> {
        self.repeats.remove(before, limit)
    }

    fn dead_deliveries(
        &mut self,
        filter: &DeliveryFilter,
        destinations: &[&str],
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadDelivery>> {
        deliveries::dead(self.connection, filter, destinations, after, limit)
    }

    fn kill_pending(&mut self, destination: &str, error: &str, limit: usize) -> Result<usize> {
        queue::kill_pending(self.connection, destination, error, limit)
    }

    fn delivered(&mut self, after: i64, before: i64, limit: usize) -> Result<Delivered> {
        queue::delivered(self.connection, after, before, limit)
    }

    fn remove_deliveries(&mut self, deliveries: &[i64]) -> Result<()> {
        self.stored.remove_all(StoredKind::Deliveries, deliveries);
        queue::remove(self.connection, deliveries)
    }

    fn pull_forward(&mut self, destination: &str, now: i64, latest: i64, limit: usize) -> Result<usize> {
        queue::pull_forward(self.connection, destination, now, latest, limit)
    }

    fn order_pending(&mut self, destination: &str, is_ordered: bool) -> Result<()> {
        queue::order_pending(self.connection, destination, is_ordered)
    }

    fn retry_triage_requests(&mut self, playbook: &str, sha256: &str) -> Result<()> {
        triage::retry(self.connection, playbook, sha256)
    }
}

impl PlainWrites for SqliteTx<'_> {
    fn put_source(&mut self, source: &SourceRow) -> Result<()> {
        sources::put(self.connection, source)
    }

    fn remove_source(&mut self, name: &str) -> Result<()> {
        sources::remove(self.connection, name)
    }

    fn touch(&mut self) -> Result<()> {
        database::touch(self.connection)
    }

    fn tally(&mut self, source: &str) -> Result<Tally> {
        sources::tally(self.connection, source)
    }

    fn put_storage_sample(&mut self, hour: i64, oldest: i64) -> Result<()> {
        storage::put_sample(self.connection, hour, oldest)
    }

    fn release_pages(&mut self) -> Result<bool> {
        storage::release_pages(self.connection)
    }

    fn put_tallies(&mut self, tallies: &[(Arc<str>, Tally)]) -> Result<()> {
        sources::put_tallies(self.connection, tallies)
    }

    fn add_operator_action(&mut self, action: &OperatorAction, oldest: Option<i64>) -> Result<()> {
        operator_actions::add(self.connection, action, oldest)
    }

    fn add_session(&mut self, session: &SessionRow, keep: usize) -> Result<()> {
        sessions::add(self.connection, session, keep)
    }

    fn set_session_used(&mut self, digest: &[u8; 32], used_at: i64) -> Result<()> {
        sessions::set_used(self.connection, digest, used_at)
    }

    fn remove_session(&mut self, digest: &[u8; 32]) -> Result<bool> {
        sessions::remove(self.connection, digest)
    }

    fn remove_token(&mut self, name: &str) -> Result<bool> {
        tokens::remove(self.connection, name)
    }

    fn put_version(&mut self, plugin: &PluginVersion, state: VersionState, report: Option<&ProofReport>) -> Result<()> {
        versions::put(self.connection, plugin, state, report, self.clock.now_ms())
    }

    fn put_live_version(&mut self, plugin: &PluginVersion, keep: usize) -> Result<Vec<String>> {
        versions::put_live(self.connection, plugin, keep, self.clock.now_ms())
    }

    fn remove_versions(&mut self, plugin: &str) -> Result<()> {
        versions::remove(self.connection, plugin)
    }

    fn put_compiled(&mut self, plugin: &str, name: &str, digest: [u8; 32]) -> Result<Vec<String>> {
        versions::put_compiled(self.connection, plugin, name, digest, self.clock.now_ms())
    }
}
