//! Retention: removes rows that are old enough, in batches that are short for the other writes.
//!
//! These rows stay: queued events, events with pending deliveries, events that their sender still repeats, everything that
//! belongs to an incident with a hold, and open incidents. The newest event and the newest audit entry stay too: they
//! tell how far the database goes.

use super::{EndedIncident, Ledger, OldEvent, RetentionTx, is_repeat};
use crate::rows::{PrunePosition, Pruned, Removed, StoredKind};
use anyhow::Result;
use hookmill_incident::EventStatus;
use hookmill_incident::id::row_key_at;

/// The rows that one batch removes.
const ROWS_PER_BATCH: usize = 50;
/// An incident counts as so many rows, because its words and values go from the indexes of the search too.
const ROWS_PER_INCIDENT: usize = 10;

impl<T: RetentionTx + ?Sized> Ledger<'_, T> {
    /// Removes one batch of rows of a kind that are older than the key `before`. A dry run removes nothing.
    pub fn prune(
        &mut self,
        kind: StoredKind,
        before: i64,
        from: Option<PrunePosition>,
        is_dry_run: bool,
    ) -> Result<Pruned> {
        match kind {
            StoredKind::Payloads | StoredKind::Events => self.prune_events(kind, before, from, is_dry_run),
            StoredKind::Audit | StoredKind::Incidents => self.prune_incidents(kind, before, from, is_dry_run),
            // Deliveries go with their subjects; those that were delivered also by `purge_delivered`.
            StoredKind::Deliveries => Ok(Pruned { removed: Removed::default(), next: None }),
        }
    }

    fn prune_events(
        &mut self,
        kind: StoredKind,
        before: i64,
        from: Option<PrunePosition>,
        is_dry_run: bool,
    ) -> Result<Pruned> {
        let mut before = before.min(self.rows.newest_event()?);
        if kind == StoredKind::Events {
            before = before.min(self.oldest_repeated());
        }
        let (events, next) = match from.unwrap_or(PrunePosition::Kept(0)) {
            PrunePosition::Kept(after) => {
                let events = self.rows.kept_events_between(after, before, ROWS_PER_BATCH)?;
                let next = match full(&events) {
                    Some(last) => PrunePosition::Kept(last),
                    None => PrunePosition::Old(self.rows.retention_position(kind)?),
                };
                (events, Some(next))
            }
            PrunePosition::Old(after) => {
                let events = self.rows.events_between(after, before, ROWS_PER_BATCH)?;
                if let Some(last) = events.last().filter(|_| !is_dry_run) {
                    self.rows.set_retention_position(kind, last.key)?;
                }
                let next = full(&events).map(PrunePosition::Old);
                (events, next)
            }
        };
        let (mut gone, mut stay) = (Vec::new(), Vec::new());
        for event in &events {
            match self.must_stay(kind, event)? {
                true => stay.push(event.key),
                false => gone.push(event),
            }
        }
        if kind == StoredKind::Payloads {
            gone.retain(|event| event.body_bytes.is_some());
        }
        let mut removed = Removed::default();
        let bodies = gone.iter().filter_map(|event| event.body_bytes);
        removed.add(StoredKind::Payloads, bodies.clone().count(), bodies.sum());
        if kind == StoredKind::Events {
            removed.add(StoredKind::Events, gone.len(), 0);
            for event in &gone {
                let deliveries = self.rows.deliveries_of(event.key, usize::MAX)?;
                removed.add(StoredKind::Deliveries, deliveries.len(), 0);
                if !is_dry_run {
                    self.rows.remove_deliveries(&deliveries)?;
                }
            }
        }
        if is_dry_run {
            return Ok(Pruned { removed, next });
        }
        match kind {
            StoredKind::Payloads => self.rows.remove_bodies(&gone, self.clock.now_ms())?,
            _ => self.rows.remove_events(&gone)?,
        }
        // An event whose row was not looked at yet is found there, without being remembered.
        let position = self.rows.retention_position(StoredKind::Events)?;
        for event in gone.iter().filter(|event| kind == StoredKind::Events || event.key > position) {
            self.rows.forget_kept_event(event.key)?;
        }
        stay.into_iter().try_for_each(|event| self.rows.keep_event(event))?;
        Ok(Pruned { removed, next })
    }

    /// Returns the key below which no event is recognised by a key that is not renewed.
    fn oldest_repeated(&self) -> i64 {
        let dedup = self.policy.dedup;
        // A key is made for the end of a window, and the clock of a sender may be ahead.
        let remembered = dedup.retention.max(dedup.window) + dedup.window.saturating_mul(2);
        row_key_at(self.clock.now_ms().saturating_sub(remembered.as_millis() as i64))
    }

    fn must_stay(&mut self, kind: StoredKind, event: &OldEvent) -> Result<bool> {
        let Some(row) = &event.row else { return Ok(true) };
        if row.state.status == EventStatus::Queued
            || self.rows.has_pending_of(event.key)?
            || self.is_of_held(&row.state)?
        {
            return Ok(true);
        }
        if kind == StoredKind::Payloads {
            return Ok(false);
        }
        // As if the event came again now.
        let mut again = row.event.clone();
        again.received_at = self.clock.now_ms();
        is_repeat(&again, self.policy.dedup, |key| self.rows.find_repeat(key))
    }

    fn prune_incidents(
        &mut self,
        kind: StoredKind,
        before: i64,
        from: Option<PrunePosition>,
        is_dry_run: bool,
    ) -> Result<Pruned> {
        let before = before.min(self.rows.newest_entry()?);
        let mut at = match (from, kind) {
            (Some(PrunePosition::Old(after)), _) => after,
            (_, StoredKind::Audit) => self.rows.retention_position(kind)?,
            _ => 0,
        };
        let incidents = self.rows.ended_incidents(at, before, ROWS_PER_BATCH)?;
        let (mut removed, mut room) = (Removed::default(), if is_dry_run { usize::MAX } else { ROWS_PER_BATCH });
        let (start, mut position, mut is_passed) = (at, None, true);
        for incident in &incidents {
            let is_pending = self.rows.has_pending_of(incident.key)?;
            if !is_pending && !self.rows.is_held(incident.key)? {
                self.prune_incident(kind, *incident, &mut room, &mut removed, is_dry_run)?;
                if room == 0 {
                    break;
                }
            }
            at = incident.newest_audit;
            // The deliveries end without another entry, so the next pass begins before this incident. A hold ends with
            // one, which puts its incident behind the position.
            is_passed &= !is_pending;
            if is_passed {
                position = Some(at);
            }
        }
        // Unless an earlier batch of this pass had to stop before this one.
        if let Some(position) = position.filter(|_| kind == StoredKind::Audit && !is_dry_run)
            && self.rows.retention_position(kind)? == start
        {
            self.rows.set_retention_position(kind, position)?;
        }
        let is_last = room > 0 && incidents.len() < ROWS_PER_BATCH;
        Ok(Pruned { removed, next: (!is_last).then_some(PrunePosition::Old(at)) })
    }

    /// Removes what belongs to an incident, its oldest rows first, until there is no room for more in the batch.
    fn prune_incident(
        &mut self,
        kind: StoredKind,
        incident: EndedIncident,
        room: &mut usize,
        removed: &mut Removed,
        is_dry_run: bool,
    ) -> Result<()> {
        let deliveries = self.rows.deliveries_of(incident.key, *room)?;
        removed.add(StoredKind::Deliveries, deliveries.len(), 0);
        *room -= deliveries.len();
        let entries = self.rows.entries_before(incident.newest_audit, *room)?;
        removed.add(StoredKind::Audit, entries.len(), 0);
        *room -= entries.len();
        if !is_dry_run {
            self.rows.remove_deliveries(&deliveries)?;
            self.rows.remove_entries(&entries)?;
        }
        if kind == StoredKind::Incidents && *room > 0 {
            *room = room.saturating_sub(ROWS_PER_INCIDENT);
            removed.add(StoredKind::Audit, 1, 0);
            removed.add(StoredKind::Incidents, 1, 0);
            if !is_dry_run {
                self.rows.remove_entries(&[incident.newest_audit])?;
                self.rows.remove_triage_request(incident.key)?;
                self.rows.remove_incident(incident.key)?;
            }
        }
        Ok(())
    }
}

/// Returns the last key of a batch after which there may be more.
fn full(events: &[OldEvent]) -> Option<i64> {
    events.last().filter(|_| events.len() == ROWS_PER_BATCH).map(|event| event.key)
}
