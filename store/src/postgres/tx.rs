//! The row verbs in PostgreSQL, on the writer thread.
//!
//! New rows wait in a buffer, and rows that are read often are loaded ahead. Every other verb runs its statements
//! immediately; before those that must see rows of the buffer, the buffer is written.

mod access;
mod counts;
mod destinations;
mod events;
pub(super) mod incidents;
mod plain_writes;
mod postings;
mod queue;
mod sources;
mod triage;
mod versions;

pub(super) use access::add_operator_action;

use super::ahead::{Known, Wanted, owned};
use super::batch::Statement;
use super::buffer::Buffer;
use super::session::Session;
use crate::clock::WriteClock;
use crate::columns::stored_days::StoredDays;
use crate::leases::Grant;
use crate::ledger::{
    Counts, DeadDelivery, Delivered, DestinationHealth, KnownEvent, NewAuditEntry, NewDelivery, NewEvent, RepeatKeyRow,
    TriageRequest, Tx,
};
use crate::rows::{
    Attempt, Cursor, DeliveryFilter, DeliveryStatus, IncidentKey, IncidentRow, Listed, StoredKind, TriageJob,
};
use anyhow::{Context, Result};
use hookmill_incident::id::row_key;
use hookmill_incident::{Difference, EventState, EventStatus, Mapped, Number};
use hookmill_notify::Trigger;
use uuid::Uuid;

/// A transaction of the writing connection, or the rehearsal of one.
pub(super) struct PostgresTx<'a> {
    /// None: nothing is written, and the rows that are looked for are noted.
    session: Option<&'a Session>,
    clock: &'a WriteClock,
    wanted: Wanted,
    known: Known,
    buffer: Buffer,
    /// The rows that were added and removed in this transaction; written once, at its end.
    pub(super) stored: StoredDays,
    /// The number that was given last in this transaction; written once, at its end.
    given_number: Option<Number>,
    before_dry_run: (StoredDays, Option<Number>),
}

impl<'a> PostgresTx<'a> {
    /// Returns a transaction with rows that were loaded.
    pub fn new(session: &'a Session, clock: &'a WriteClock, known: Known) -> Self {
        Self { session: Some(session), known, ..Self::rehearsal(clock) }
    }

    /// Returns the rehearsal of a transaction.
    pub fn rehearsal(clock: &'a WriteClock) -> Self {
        Self {
            session: None,
            clock,
            wanted: Wanted::default(),
            known: Known::default(),
            buffer: Buffer::default(),
            stored: StoredDays::default(),
            given_number: None,
            before_dry_run: Default::default(),
        }
    }

    /// Returns the keys of the rows that were looked for.
    pub fn into_wanted(self) -> Wanted {
        self.wanted
    }

    /// Returns the statements that remain to be run.
    pub fn finish(mut self) -> Result<Vec<Statement>> {
        self.save_number();
        counts::add_stored_days(&mut self.buffer, &mut self.stored);
        self.buffer.take()
    }

    /// Writes the number that was given last.
    fn save_number(&mut self) {
        if let Some(number) = self.given_number.take() {
            self.buffer.add(Some(incidents::put_last_number(number)));
        }
    }

    /// Returns the connection, for statements that need no rows of the buffer. A rehearsal of a write ends here.
    fn direct(&self) -> Result<&'a Session> {
        self.session.context("a rehearsal reads and writes nothing else")
    }

    /// Returns the connection after the buffer was written. What was known may change.
    pub(super) fn settled(&mut self) -> Result<&'a Session> {
        let session = self.direct()?;
        session.run(&self.buffer.take()?)?;
        self.forget_rows();
        Ok(session)
    }

    /// Forgets what is known of rows that may change. Leases are locked.
    fn forget_rows(&mut self) {
        self.known = Known { epochs: std::mem::take(&mut self.known.epochs), ..Known::default() };
    }
}

impl Tx for PostgresTx<'_> {
    fn is_newest_grant(&mut self, grant: &Grant) -> Result<bool> {
        let name = grant.name.to_string();
        if self.session.is_none() {
            self.wanted.leases.insert(name);
            return Ok(true);
        }
        // A lease that was not looked for in the rehearsal has no grant.
        let newest = self.known.epochs.get(&name).copied().flatten();
        Ok(newest == i64::try_from(grant.epoch).ok())
    }

    fn add_repeat(&mut self, key: &RepeatKeyRow, event: KnownEvent) -> Result<Option<KnownEvent>> {
        let known = self.find_repeat(key)?;
        if known.is_none() {
            self.put_repeat(key, event)?;
        }
        Ok(known)
    }

    fn find_repeat(&mut self, key: &RepeatKeyRow) -> Result<Option<KnownEvent>> {
        let owned = owned(key);
        if let Some(known) = self.known.repeats.get(&owned) {
            return Ok(*known);
        }
        let Some(session) = self.session else {
            self.wanted.repeats.insert(owned);
            return Ok(None);
        };
        let known = events::find_repeat(session, key)?;
        self.known.repeats.insert(owned, known);
        Ok(known)
    }

    fn put_repeat(&mut self, key: &RepeatKeyRow, event: KnownEvent) -> Result<()> {
        self.buffer.put_repeat(owned(key), event);
        self.known.repeats.insert(owned(key), Some(event));
        Ok(())
    }

    fn event_state(&mut self, event: i64) -> Result<Option<EventState>> {
        match (self.known.events.get(&event), self.session) {
            (Some(state), _) => Ok(Some(state.clone())),
            (None, Some(session)) => events::state(session, event),
            (None, None) => Ok(None),
        }
    }

    fn event_status(&mut self, id: Uuid) -> Result<Option<EventStatus>> {
        events::status(self.settled()?, id)
    }

    fn put_event(&mut self, event: &NewEvent) -> Result<()> {
        let key = row_key(event.state.id);
        self.stored.add(StoredKind::Events, key, 1, 0);
        self.stored.add(StoredKind::Payloads, key, 1, event.mapped.event.body.len() as i64);
        if self.session.is_some() {
            self.buffer.put_event(event);
        }
        self.known.events.insert(key, event.state.clone());
        Ok(())
    }

    fn update_event(&mut self, state: &EventState, attempts: u32, mapped: &Mapped) -> Result<()> {
        events::update(self.settled()?, state, attempts, mapped)
    }

    fn discard_event(&mut self, id: Uuid, reason: Option<&str>) -> Result<()> {
        events::discard(self.settled()?, id, reason)
    }

    fn find_incident(&mut self, which: IncidentKey) -> Result<Option<Listed<IncidentRow>>> {
        incidents::find(self.settled()?, which)
    }

    fn newest_audit(&mut self, incident: Uuid) -> Result<i64> {
        incidents::newest_audit(self.settled()?, incident)
    }

    fn newest_incident(&mut self, source: &str, source_ref: &str) -> Result<Option<IncidentRow>> {
        let key = (source.to_owned(), source_ref.to_owned());
        if let Some(known) = self.known.incidents.get(&key) {
            return Ok(known.clone());
        }
        if self.session.is_none() {
            self.wanted.incidents.insert(key);
            return Ok(None);
        }
        let session = if self.buffer.has_incidents() { self.settled()? } else { self.direct()? };
        let found = incidents::newest(session, source, source_ref)?;
        self.known.incidents.insert(key, found.clone());
        Ok(found)
    }

    fn put_incident(&mut self, row: &IncidentRow) -> Result<()> {
        self.stored.add(StoredKind::Incidents, row_key(row.id), 1, 0);
        self.buffer.put_incident(row);
        let key = (row.incident.source.clone(), row.incident.source_ref.clone());
        self.known.incidents.insert(key, Some(row.clone()));
        Ok(())
    }

    fn update_incident(&mut self, before: &IncidentRow, row: &IncidentRow) -> Result<()> {
        self.buffer.update_incident(before, row);
        let key = (row.incident.source.clone(), row.incident.source_ref.clone());
        if let Some(Some(known)) =
            self.known.incidents.get_mut(&key).filter(|known| known.as_ref().is_some_and(|known| known.id == row.id))
        {
            known.clone_from(row);
        }
        Ok(())
    }

    fn set_hold(&mut self, incident: i64, is_held: bool) -> Result<()> {
        incidents::set_hold(self.direct()?, incident, is_held)
    }

    fn is_held(&mut self, incident: i64) -> Result<bool> {
        incidents::is_held(self.direct()?, incident)
    }

    fn delete_incident(&mut self, id: Uuid, newest_audit: i64) -> Result<()> {
        incidents::delete(self.settled()?, id, newest_audit)
    }

    fn next_number(&mut self, year: i16) -> Result<Number> {
        let last = match (self.given_number.or(self.known.last_number), self.session) {
            (Some(number), _) if number.year == year => number.count,
            (_, Some(session)) => {
                self.save_number();
                // A number of another year may wait in the buffer.
                session.run(&self.buffer.take()?)?;
                incidents::last_number(session, year)?
            }
            (_, None) => 0,
        };
        let number = Number { year, count: last + 1 };
        self.given_number = Some(number);
        Ok(number)
    }

    fn add_audit(&mut self, entry: &NewAuditEntry) -> Result<()> {
        self.stored.add(StoredKind::Audit, row_key(entry.id), 1, 0);
        self.buffer.add_audit(entry);
        Ok(())
    }

    fn keep_moved(&mut self, entry: i64, moved: &Difference) -> Result<()> {
        self.buffer.keep_moved(entry, moved);
        Ok(())
    }

    fn keep_difference(&mut self, entry: i64, difference: &Difference, next: Option<i64>) -> Result<()> {
        self.buffer.keep_difference(entry, difference, next);
        Ok(())
    }

    fn add_delivery(&mut self, delivery: &NewDelivery) -> Result<()> {
        let key = row_key(delivery.id);
        self.stored.add(StoredKind::Deliveries, key, 1, 0);
        self.buffer.add_delivery(delivery);
        if delivery.status == DeliveryStatus::Pending {
            self.known.pending.insert((delivery.destination.to_owned(), delivery.subject.key(key)));
        }
        Ok(())
    }

    fn has_pending(&mut self, destination: &str, subject: i64, before: i64) -> Result<bool> {
        if before < i64::MAX {
            return queue::has_pending(self.settled()?, destination, subject, before);
        }
        // Attempts may end what waits in the database.
        let session = if self.buffer.attempts().is_empty() { self.direct()? } else { self.settled()? };
        if self.known.pending.contains(&(destination.to_owned(), subject)) {
            return Ok(true);
        }
        if self.known.whole.contains(&subject) {
            return Ok(false);
        }
        queue::has_pending(session, destination, subject, before)
    }

    fn find_delivery(&mut self, id: Uuid) -> Result<Option<(String, DeliveryStatus)>> {
        queue::find(self.settled()?, id)
    }

    fn set_pending(&mut self, delivery: i64, next_at: Option<i64>) -> Result<()> {
        queue::set_pending(self.settled()?, delivery, next_at)
    }

    fn add_attempt(&mut self, delivery: i64, attempt: &Attempt, status: DeliveryStatus, next_at: i64) -> Result<bool> {
        let subject = match (self.known.deliveries.get(&delivery), self.session) {
            (Some(subject), _) => *subject,
            (None, Some(session)) => queue::subject(session, delivery)?,
            (None, None) => {
                self.wanted.deliveries.insert(delivery);
                return Ok(true);
            }
        };
        let Some(subject) = subject else { return Ok(false) };
        if self.buffer.attempts().depends_on_order(delivery, subject, status) {
            self.settled()?;
        }
        self.buffer.attempts().add(delivery, subject, attempt, status, next_at);
        Ok(true)
    }

    fn release_next(&mut self, destination: &str, delivery: i64, at: i64) -> Result<()> {
        self.buffer.attempts().release_next(destination, delivery, at);
        Ok(())
    }

    fn find_destination(&mut self, name: &str, fingerprint: &str) -> Result<Option<DestinationHealth>> {
        destinations::find(self.direct()?, name, fingerprint)
    }

    fn put_destination(&mut self, name: &str, fingerprint: &str, health: &DestinationHealth) -> Result<()> {
        destinations::put(self.direct()?, name, fingerprint, health)
    }

    fn update_destination(&mut self, name: &str, failing_since: Option<i64>, disabled: Option<&str>) -> Result<()> {
        destinations::update(self.direct()?, name, failing_since, disabled)
    }

    fn put_triage_request(&mut self, request: &TriageRequest) -> Result<()> {
        triage::put(self.direct()?, request)
    }

    fn has_triage_request(&mut self, job: &TriageJob) -> Result<bool> {
        triage::has(self.direct()?, job)
    }

    fn remove_triage_request(&mut self, incident: i64) -> Result<()> {
        triage::remove(self.direct()?, incident)
    }

    fn fail_triage_request(&mut self, incident: i64, sha256: &str) -> Result<()> {
        triage::fail(self.direct()?, incident, sha256)
    }

    fn count_triage_attempt(&mut self, job: &TriageJob) -> Result<()> {
        triage::count_attempt(self.direct()?, job)
    }

    fn find_cursor(&mut self, source: &str, start: &str) -> Result<Option<String>> {
        sources::find_cursor(self.direct()?, source, start)
    }

    fn put_cursor(&mut self, source: &str, cursor: &Cursor) -> Result<()> {
        sources::put_cursor(self.direct()?, source, cursor)
    }

    fn update_cursor(&mut self, source: &str, cursor: &Cursor) -> Result<()> {
        sources::update_cursor(self.direct()?, source, cursor)
    }

    fn set_silent(&mut self, source: &str, since: Option<i64>) -> Result<()> {
        destinations::set_silent(self.direct()?, source, since)
    }

    fn set_raised(&mut self, trigger: Trigger, since: Option<i64>) -> Result<()> {
        destinations::set_raised(self.direct()?, trigger, since)
    }

    fn add_counts(&mut self, counts: &Counts) -> Result<()> {
        self.buffer.add(counts::add(counts));
        Ok(())
    }

    fn remove_counts(&mut self, before: i64, limit: usize) -> Result<usize> {
        counts::remove(self.direct()?, before, limit)
    }

    fn begin_dry_run(&mut self) -> Result<()> {
        let session = self.settled()?;
        self.before_dry_run = (self.stored.clone(), self.given_number);
        session.batch("SAVEPOINT dry_run")
    }

    fn undo_dry_run(&mut self) -> Result<()> {
        (self.stored, self.given_number) = std::mem::take(&mut self.before_dry_run);
        self.buffer = Buffer::default();
        self.forget_rows();
        self.direct()?.batch("ROLLBACK TO SAVEPOINT dry_run; RELEASE SAVEPOINT dry_run")
    }

    fn destinations_after(&mut self, key: i64) -> Result<Vec<String>> {
        queue::destinations_after(self.settled()?, key)
    }

    fn remove_repeats(&mut self, before: i64, limit: usize) -> Result<usize> {
        events::remove_repeats(self.settled()?, before, limit)
    }

    fn dead_deliveries(
        &mut self,
        filter: &DeliveryFilter,
        destinations: &[&str],
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadDelivery>> {
        queue::dead(self.settled()?, filter, destinations, after, limit)
    }

    fn kill_pending(&mut self, destination: &str, error: &str, limit: usize) -> Result<usize> {
        queue::kill_pending(self.settled()?, destination, error, limit)
    }

    fn delivered(&mut self, after: i64, before: i64, limit: usize) -> Result<Delivered> {
        queue::delivered(self.settled()?, after, before, limit)
    }

    fn remove_deliveries(&mut self, deliveries: &[i64]) -> Result<()> {
        self.stored.remove_all(StoredKind::Deliveries, deliveries);
        queue::remove(self.settled()?, deliveries)
    }

    fn pull_forward(&mut self, destination: &str, now: i64, latest: i64, limit: usize) -> Result<usize> {
        queue::pull_forward(self.settled()?, destination, now, latest, limit)
    }

    fn order_pending(&mut self, destination: &str, is_ordered: bool) -> Result<()> {
        queue::order_pending(self.settled()?, destination, is_ordered)
    }

    fn retry_triage_requests(&mut self, playbook: &str, sha256: &str) -> Result<()> {
        triage::retry(self.direct()?, playbook, sha256)
    }
}
