//! Incidents: every change comes with its audit entry and its deliveries.

use super::audit::{Cause, Change};
use super::{Ledger, Tx};
use crate::rows::{CountKind, IncidentKey, IncidentRow, Listed, PatchRefusal, Unreadable};
use anyhow::Result;
use hookmill_incident::id::row_key;
use hookmill_incident::{
    Details, Difference, EVENT_IDS_MAX, Incident, IncidentRef, Observation, Operation, Origin, Patch, timestamp,
};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

/// One in this many revisions is kept whole, so that an old one is restored in few steps.
const WHOLE_EVERY: u64 = 16;

impl<T: Tx + ?Sized> Ledger<'_, T> {
    /// Applies an analyst's change.
    pub fn patch(
        &mut self,
        which: IncidentKey,
        patch: Patch,
        by: &str,
        request_id: &str,
    ) -> Result<Result<IncidentRow, PatchRefusal>> {
        let mut row = match self.rows.find_incident(which)? {
            None => return Ok(Err(PatchRefusal::NotFound)),
            Some(Err(unreadable)) => return Ok(Err(PatchRefusal::Unreadable(unreadable))),
            Some(Ok(row)) => row,
        };
        if patch.revision.is_some_and(|revision| revision != row.incident.revision) {
            return Ok(Err(PatchRefusal::Stale(row.incident.revision)));
        }
        if patch.note.as_ref().is_some_and(|note| !row.incident.has_room_for_note(by, note)) {
            return Ok(Err(PatchRefusal::NoRoomForNote));
        }
        let before = row.clone();
        let details = row.incident.patch(&mut row.guard, patch, by, self.clock.now());
        if row.incident.hold != before.incident.hold {
            self.rows.set_hold(row_key(row.id), row.incident.hold)?;
        }
        self.save(&before, &mut row, details, Cause::untraced(request_id))?;
        Ok(Ok(row))
    }

    /// Deletes an incident, which may be unreadable. Its audit entries are kept, and the last one names who deleted the
    /// incident.
    pub fn delete(&mut self, which: IncidentKey, by: &str, request_id: &str) -> Result<Result<(), PatchRefusal>> {
        let Some(found) = self.rows.find_incident(which)? else { return Ok(Err(PatchRefusal::NotFound)) };
        if self.rows.is_held(row_key(id_of(&found)))? {
            return Ok(Err(PatchRefusal::Held));
        }
        let details = Details::from_iter([("deleted_by".to_owned(), Value::from(by))]);
        let (before, details) = (found.as_ref().ok(), Some(&details));
        let change = Change { operation: Operation::Delete, before, details, cause: Cause::untraced(request_id) };
        let (id, previous, audit) = match &found {
            Ok(row) => (row.id, row.newest_audit, self.append(row, &change)?),
            Err(Unreadable { id, .. }) => {
                let previous = self.rows.newest_audit(*id)?;
                let (audit, _) = self.append_entry(*id, Some(previous), &change)?;
                (*id, previous, row_key(audit))
            }
        };
        self.rows.keep_difference(previous, &Difference::default(), Some(audit))?;
        self.rows.delete_incident(id, audit)?;
        self.rows.remove_triage_request(row_key(id))?;
        Ok(Ok(()))
    }

    /// Applies one observation: creates an incident, changes it, or only counts the event. `counted` are the incidents
    /// that have counted the event before: one with many events does not list all of them.
    pub(super) fn apply(
        &mut self,
        observation: &Observation,
        origin: &Origin,
        counted: &[IncidentRef],
        cause: Cause,
    ) -> Result<IncidentRef> {
        let now = self.clock.now();
        let Some(mut row) = self.open_incident(observation, origin)? else {
            return self.create(observation, origin, now, cause);
        };
        let before = row.clone();
        let is_counted = counted.iter().any(|incident| incident.id == row.id);
        if !is_counted && !row.event_ids.contains(&origin.event_id) {
            row.occurrences += 1;
            if row.event_ids.len() == EVENT_IDS_MAX {
                row.event_ids.remove(0);
            }
            row.event_ids.push(origin.event_id);
        }
        let details = row.incident.apply(&mut row.guard, observation.clone(), origin, now);
        self.save(&before, &mut row, details, cause)?;
        if row.incident.triage != before.incident.triage {
            self.request_triage_of(&row, false, cause.request_id)?;
        }
        Ok(IncidentRef::new(row.id, row.number, false))
    }

    /// Returns the incident that an observation is about, unless the observation makes a new one.
    fn open_incident(&mut self, observation: &Observation, origin: &Origin) -> Result<Option<IncidentRow>> {
        let row = self.rows.newest_incident(&origin.source, &observation.source_ref)?;
        let within_ms = self.policy.reopen_within.as_millis() as i64;
        Ok(row.filter(|row| !row.incident.is_past_reopening(&row.guard, observation, origin, within_ms)))
    }

    fn create(
        &mut self,
        observation: &Observation,
        origin: &Origin,
        now: Timestamp,
        cause: Cause,
    ) -> Result<IncidentRef> {
        let (incident, guard) = Incident::create(observation.clone(), origin, now);
        let mut row = IncidentRow {
            id: self.clock.new_id(),
            number: self.rows.next_number(timestamp::year(now))?,
            incident,
            occurrences: 1,
            event_ids: vec![origin.event_id],
            guard,
            newest_audit: 0,
        };
        let change = Change { operation: Operation::Creation, before: None, details: None, cause };
        row.newest_audit = self.append(&row, &change)?;
        self.rows.put_incident(&row)?;
        self.count(CountKind::Incidents, &row.incident.source, row.incident.severity.as_str());
        if row.incident.triage.is_some() {
            self.request_triage_of(&row, false, cause.request_id)?;
        }
        Ok(IncidentRef::new(row.id, row.number, true))
    }

    /// Replaces a row, with an audit entry unless `details` is empty.
    pub(super) fn save(
        &mut self,
        before: &IncidentRow,
        row: &mut IncidentRow,
        details: Details,
        cause: Cause,
    ) -> Result<()> {
        // The newest entry keeps its object before the incident moves on from it.
        if details.is_empty() {
            self.rows.keep_moved(before.newest_audit, &before.shown().without_entry()?)?;
        } else {
            let change = Change { operation: Operation::Update, before: Some(before), details: Some(&details), cause };
            row.newest_audit = self.append(row, &change)?;
            if before.incident.revision.is_multiple_of(WHOLE_EVERY) {
                self.rows.keep_difference(before.newest_audit, &before.shown().whole()?, None)?;
            } else {
                let difference = before.shown().difference_from(&row.shown())?;
                self.rows.keep_difference(before.newest_audit, &difference, Some(row.newest_audit))?;
            }
        }
        self.rows.update_incident(before, row)
    }
}

fn id_of(found: &Listed<IncidentRow>) -> Uuid {
    found.as_ref().map_or_else(|unreadable| unreadable.id, |row| row.id)
}
