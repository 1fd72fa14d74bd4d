//! Incidents: what mappers' results add up to, and how one payload, an analyst or time changes them.
//!
//! Nothing here knows of plugins, HTTP or the database.

use crate::{
    Action, Observable, Observation, Origin, Patch, PluginVersion, Severity, State, Status, Technique, Tlp, Triage,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

const OBSERVABLES_MAX: usize = 1_000;
const TAGS_MAX: usize = 200;
const TECHNIQUES_MAX: usize = 100;
/// How many of the newest event ids an incident lists.
pub const EVENT_IDS_MAX: usize = 100;

/// What somebody wrote on an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When.
    pub at: Timestamp,
    /// The name of the token that was used, or `playbook NAME`.
    pub by: String,
    /// What.
    pub text: String,
}

/// The record of one incident: everything about it but its id, its number and what is counted without a change.
///
/// Serialized, it is the record that the store keeps and the `object` of an audit entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are the contract's, described in the documentation of the API")]
pub struct Incident {
    pub source: String,
    pub source_ref: String,
    pub title: String,
    pub description: Option<String>,
    pub category: Option<String>,
    pub severity: Severity,
    pub status: Status,
    pub assignee: Option<String>,
    pub tlp: Option<Tlp>,
    pub occurred_at: Option<Timestamp>,
    pub external_link: Option<String>,
    pub tags: Vec<String>,
    pub observables: Vec<Observable>,
    pub techniques: Vec<Technique>,
    pub details: Map<String, Value>,
    pub notes: Vec<Note>,
    pub playbook: Option<String>,
    pub triage: Option<Triage>,
    pub plugin: PluginVersion,
    pub truncated: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub revision: u64,
}

/// What orders updates and protects an analyst's word; kept beside the record and not shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// The newest state that was applied.
    pub changed_at: Timestamp,
    /// Fields that were set by hand or by a playbook and that payloads leave alone from then on.
    pub pinned: BTreeSet<String>,
}

/// The attributes that an operation set or changed, with their new values.
pub type Details = Map<String, Value>;

/// An incident as the API and the `object` of an audit entry show it.
#[derive(Debug, Serialize)]
pub struct IncidentView<'a> {
    /// Its id.
    pub id: Uuid,
    /// Its number, `INC-2026-0001`.
    pub number: String,
    /// Its record.
    #[serde(flatten)]
    pub incident: &'a Incident,
    /// How many events reported it.
    pub occurrences: u64,
    /// The newest events that reported it, the newest last; at most [`EVENT_IDS_MAX`].
    pub event_ids: &'a [Uuid],
}

impl Incident {
    /// The incident that a first observation makes.
    pub fn create(observation: Observation, origin: &Origin, now: Timestamp) -> (Self, Guard) {
        let status = match observation.state {
            Some(State::Resolved) => Status::Resolved,
            Some(State::Open) | None => Status::New,
        };
        let guard = Guard { changed_at: observation.changed_at.unwrap_or(origin.received_at), pinned: BTreeSet::new() };
        let mut incident = Self {
            source: origin.source.clone(),
            title: observation.title.unwrap_or_else(|| observation.source_ref.clone()),
            source_ref: observation.source_ref,
            description: observation.description,
            category: observation.category,
            severity: observation.severity.unwrap_or(Severity::Medium),
            status,
            assignee: None,
            tlp: observation.tlp,
            occurred_at: observation.occurred_at,
            external_link: observation.external_link,
            tags: Vec::new(),
            observables: Vec::new(),
            techniques: Vec::new(),
            details: observation.details,
            notes: Vec::new(),
            playbook: origin.playbook.clone(),
            triage: origin.triage(now).filter(|_| status == Status::New),
            plugin: origin.plugin.clone(),
            truncated: 0,
            created_at: now,
            updated_at: now,
            revision: 1,
        };
        incident.unite(observation.tags, observation.observables, observation.techniques);
        (incident, guard)
    }

    /// Applies a later observation: what is newer wins, what adds up is united, what was set by hand stays.
    ///
    /// Returns what changed; empty when the payload says nothing new.
    pub fn apply(&mut self, guard: &mut Guard, observation: Observation, origin: &Origin, now: Timestamp) -> Details {
        let before = self.clone();
        let changed_at = observation.changed_at.unwrap_or(origin.received_at);
        if changed_at >= guard.changed_at {
            guard.changed_at = changed_at;
            self.take_newest(&guard.pinned, &observation);
        }
        let tags = if guard.pinned.contains("tags") { Vec::new() } else { observation.tags };
        self.unite(tags, observation.observables, observation.techniques);
        self.plugin = origin.plugin.clone();
        if self.status == Status::New && before.status != Status::New {
            self.triage = origin.triage(now).or(self.triage.take());
        }
        let changes = changes(&before, self);
        if !changes.is_empty() {
            self.touch(now);
        }
        changes
    }

    fn take_newest(&mut self, pinned: &BTreeSet<String>, observation: &Observation) {
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
        for (name, value) in &observation.details {
            self.details.insert(name.clone(), value.clone());
        }
        match observation.state {
            Some(State::Resolved) if !matches!(self.status, Status::FalsePositive | Status::Closed) => {
                self.status = Status::Resolved;
            }
            Some(State::Open) if matches!(self.status, Status::Resolved | Status::Closed) => self.status = Status::New,
            _ => {}
        }
    }

    /// Whether an observation that says `open` comes too late to open this incident again, so that it makes a new one.
    pub fn is_past_reopening(&self, guard: &Guard, observation: &Observation, origin: &Origin, within_ms: i64) -> bool {
        let reopens = observation.state == Some(State::Open)
            && matches!(self.status, Status::Resolved | Status::Closed)
            && observation.changed_at.unwrap_or(origin.received_at) >= guard.changed_at;
        reopens && origin.received_at.as_millisecond() - self.updated_at.as_millisecond() > within_ms
    }

    /// Applies an analyst's change. Returns what changed.
    pub fn patch(&mut self, guard: &mut Guard, patch: Patch, by: &str, now: Timestamp) -> Details {
        let before = self.clone();
        let mut pin = |field: &str| guard.pinned.insert(field.to_owned());
        if let Some(title) = patch.title {
            pin("title");
            self.title = title;
        }
        if let Some(description) = patch.description {
            pin("description");
            self.description = description;
        }
        if let Some(severity) = patch.severity {
            pin("severity");
            self.severity = severity;
        }
        if let Some(status) = patch.status {
            self.status = status;
        }
        if let Some(assignee) = patch.assignee {
            self.assignee = assignee;
        }
        if let Some(category) = patch.category {
            pin("category");
            self.category = category;
        }
        if let Some(tlp) = patch.tlp {
            pin("tlp");
            self.tlp = tlp;
        }
        if let Some(tags) = patch.tags {
            pin("tags");
            self.tags.clear();
            self.unite(tags, Vec::new(), Vec::new());
        }
        if let Some(text) = patch.note {
            self.notes.push(Note { at: now, by: by.to_owned(), text });
        }
        let changes = changes(&before, self);
        if !changes.is_empty() {
            self.touch(now);
        }
        changes
    }

    /// Does what a playbook wants, and notes that it is done. Returns what changed; with `tells` also when that is
    /// nothing but the note, so that there is something to tell.
    pub fn triage(
        &mut self,
        guard: &mut Guard,
        actions: Vec<Action>,
        done: Triage,
        tells: bool,
        now: Timestamp,
    ) -> Details {
        let before = self.clone();
        let by = format!("playbook {}", done.playbook);
        let mut pin = |field: &str| guard.pinned.insert(field.to_owned());
        for action in actions {
            match action {
                Action::SetSeverity(severity) => {
                    pin("severity");
                    self.severity = severity;
                }
                Action::SetStatus(status) => self.status = status,
                Action::SetCategory(category) => {
                    pin("category");
                    self.category = Some(category);
                }
                Action::SetAssignee(assignee) => self.assignee = Some(assignee),
                Action::AddTag(tag) => self.unite(vec![tag], Vec::new(), Vec::new()),
                Action::AddObservable(observable) => self.unite(Vec::new(), vec![observable], Vec::new()),
                Action::AddNote(text) => {
                    if !self.notes.iter().any(|note| note.by == by && note.text == text) {
                        self.notes.push(Note { at: now, by: by.clone(), text });
                    }
                }
                Action::Notify(_) => {}
            }
        }
        let mut changes = changes(&before, self);
        self.triage = Some(done);
        if tells || !changes.is_empty() {
            changes.insert("triage".to_owned(), json!(self.triage));
            self.touch(now);
        }
        changes
    }

    fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.revision += 1;
    }

    fn unite(&mut self, tags: Vec<String>, observables: Vec<Observable>, techniques: Vec<Technique>) {
        for tag in tags {
            if !self.tags.contains(&tag) {
                push_bounded(&mut self.tags, tag, TAGS_MAX, &mut self.truncated);
            }
        }
        for seen in observables {
            let known = self
                .observables
                .iter_mut()
                .find(|known| known.data_type == seen.data_type && known.value == seen.value);
            match known {
                Some(known) => {
                    known.ioc |= seen.ioc;
                    known.message = known.message.take().or(seen.message);
                    for tag in seen.tags {
                        if !known.tags.contains(&tag) {
                            known.tags.push(tag);
                        }
                    }
                }
                None => push_bounded(&mut self.observables, seen, OBSERVABLES_MAX, &mut self.truncated),
            }
        }
        for technique in techniques {
            match self.techniques.iter_mut().find(|known| known.id == technique.id) {
                Some(known) => known.tactic = known.tactic.take().or(technique.tactic),
                None => push_bounded(&mut self.techniques, technique, TECHNIQUES_MAX, &mut self.truncated),
            }
        }
    }
}

fn push_bounded<T>(list: &mut Vec<T>, item: T, max: usize, truncated: &mut u64) {
    if list.len() < max {
        list.push(item);
    } else {
        *truncated += 1;
    }
}

/// The attributes of `after` that differ from `before`.
fn changes(before: &Incident, after: &Incident) -> Details {
    let mut changes = Details::new();
    macro_rules! compare {
        ($($field:ident)*) => {$(
            if before.$field != after.$field {
                changes.insert(stringify!($field).to_owned(), json!(after.$field));
            }
        )*};
    }
    compare!(title description category severity status assignee tlp occurred_at external_link tags observables
        techniques details notes);
    changes
}
