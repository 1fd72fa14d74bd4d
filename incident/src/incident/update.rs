//! Changes of an incident by later payloads.

use super::{Details, Guard, Incident};
use crate::{Observation, Origin, State, Status};
use jiff::Timestamp;
use std::collections::BTreeSet;

impl Incident {
    /// Applies a later observation: the newest value wins, lists are united, and values that were set by hand are kept.
    ///
    /// Returns the changes; empty if the payload changes nothing.
    pub fn apply(&mut self, guard: &mut Guard, observation: Observation, origin: &Origin, now: Timestamp) -> Details {
        let before = self.clone();
        let changed_at = observation.changed_at.unwrap_or(origin.received_at);
        if changed_at >= guard.changed_at {
            guard.changed_at = changed_at;
            self.take_values(&guard.pinned, &observation);
            self.cut_texts();
            self.put_details(observation.details);
            self.take_state(observation.state);
        }
        let tags = if guard.pinned.contains("tags") { Vec::new() } else { observation.tags };
        self.unite(tags, observation.observables, observation.techniques);
        self.plugin = origin.plugin.clone();
        if self.status == Status::New && before.status != Status::New {
            self.triage = origin.triage(now).or(self.triage.take());
        }
        let changes = self.changes_since(&before);
        if !changes.is_empty() {
            self.touch(now);
        }
        changes
    }

    fn take_values(&mut self, pinned: &BTreeSet<String>, observation: &Observation) {
        let free = |field: &str| !pinned.contains(field);
        if let Some(title) = observation.title.as_ref().filter(|_| free("title")) {
            self.title.clone_from(title);
        }
        if observation.description.is_some() && free("description") {
            self.description.clone_from(&observation.description);
        }
        if observation.category.is_some() && free("category") {
            self.category.clone_from(&observation.category);
        }
        if let Some(severity) = observation.severity.filter(|_| free("severity")) {
            self.severity = severity;
        }
        if observation.external_link.is_some() {
            self.external_link.clone_from(&observation.external_link);
        }
        if free("tlp") {
            self.tlp = self.tlp.max(observation.tlp);
        }
        if let Some(time) = observation.occurred_at {
            self.occurred_at = Some(self.occurred_at.map_or(time, |known| known.min(time)));
        }
    }

    /// Resolves or reopens. Payloads never reopen a false positive.
    fn take_state(&mut self, state: Option<State>) {
        match state {
            Some(State::Resolved) if !matches!(self.status, Status::FalsePositive | Status::Closed) => {
                self.status = Status::Resolved;
            }
            Some(State::Open) if matches!(self.status, Status::Resolved | Status::Closed) => self.status = Status::New,
            _ => {}
        }
    }

    /// Returns whether an observation with the state `open` comes too late to reopen this incident, so that it makes a
    /// new one.
    pub fn is_past_reopening(&self, guard: &Guard, observation: &Observation, origin: &Origin, within_ms: i64) -> bool {
        let reopens = observation.state == Some(State::Open)
            && matches!(self.status, Status::Resolved | Status::Closed)
            && observation.changed_at.unwrap_or(origin.received_at) >= guard.changed_at;
        reopens && origin.received_at.as_millisecond() - self.updated_at.as_millisecond() > within_ms
    }
}
