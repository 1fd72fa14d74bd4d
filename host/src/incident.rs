//! Incidents: what mappers' results add up to, and how one payload, an analyst or time changes them.
//!
//! Nothing here knows of plugins, HTTP or the database.

use crate::words::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Bytes of a title, from 1.
pub const TITLE_BYTES_MAX: usize = 512;
/// Bytes of a tag, from 1.
pub const TAG_BYTES_MAX: usize = 128;
const OBSERVABLES_MAX: usize = 1_000;
const TAGS_MAX: usize = 200;
const TECHNIQUES_MAX: usize = 100;
/// How many of the newest event ids an incident lists.
pub const EVENT_IDS_MAX: usize = 100;

words!(
    /// How bad it is.
    Severity { Informational = "informational", Low = "low", Medium = "medium", High = "high", Critical = "critical" }
);
words!(
    /// Where the work on an incident stands.
    Status {
        New = "new", Triaged = "triaged", InProgress = "in_progress", Escalated = "escalated", Resolved = "resolved",
        FalsePositive = "false_positive", Closed = "closed",
    }
);
words!(
    /// With whom it may be shared (Traffic Light Protocol 2.0), from least to most restricted.
    Tlp { Clear = "clear", Green = "green", Amber = "amber", AmberStrict = "amber-strict", Red = "red" }
);

/// Whether the vendor holds the matter open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Open, or open again.
    Open,
    /// Closed, fixed or dismissed.
    Resolved,
}

/// `INC-2026-0001`: the year in UTC and a count within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    /// The year in which the incident was made.
    pub year: i16,
    /// Its place among that year's, from 1.
    pub count: u32,
}

impl Number {
    /// One integer that sorts as the number does.
    pub fn to_key(self) -> i64 {
        i64::from(self.year) << 32 | i64::from(self.count)
    }

    /// The inverse of [`Number::to_key`].
    pub fn from_key(key: i64) -> Self {
        Self { year: (key >> 32) as i16, count: key as u32 }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "INC-{}-{:04}", self.year, self.count)
    }
}

impl FromStr for Number {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (year, count) = text.strip_prefix("INC-").and_then(|rest| rest.split_once('-')).ok_or(())?;
        Ok(Self { year: year.parse().map_err(drop)?, count: count.parse().map_err(drop)? })
    }
}

/// Something seen that can be looked up or blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observable {
    /// What it is: `ip`, `hash`, ….
    pub data_type: String,
    /// The value itself.
    pub value: String,
    /// What it has to do with the incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Labels of this observable.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Malicious by itself.
    #[serde(default)]
    pub ioc: bool,
}

/// A MITRE ATT&CK technique or tactic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Technique {
    /// `T1059.001`, `TA0002`.
    pub id: String,
    /// The tactic it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tactic: Option<String>,
}

/// The plugin, by file and content, that an incident comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginVersion {
    /// The name of its file, without `.wasm`.
    pub name: String,
    /// The version that it gives itself.
    pub version: String,
    /// The digest of its file, in hexadecimal.
    pub sha256: String,
}

words!(
    /// Where the work of a playbook on an incident stands.
    TriageStatus {
        /// It is to be called.
        Waiting = "waiting",
        /// Its actions are done.
        Done = "done",
        /// It could not; nothing was done.
        Failed = "failed",
        /// It came too late: somebody else was at work on the incident. Nothing was done.
        Skipped = "skipped",
    }
);
words!(
    /// Why a playbook could not.
    TriageCode {
        NotLoaded = "not_loaded", DeadlineExceeded = "deadline_exceeded", MemoryExceeded = "memory_exceeded",
        OutputTooLarge = "output_too_large", Trapped = "trapped",
        /// It said so itself.
        Refused = "refused",
        /// It asked for what is no action.
        InvalidAction = "invalid_action",
    }
);

/// The newest work of a playbook on an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triage {
    /// The playbook's name.
    pub playbook: String,
    /// How far it is.
    pub status: TriageStatus,
    /// Since when.
    pub at: Timestamp,
    /// The version that was called.
    pub plugin: Option<PluginVersion>,
    /// Why it could not.
    pub error: Option<TriageError>,
    /// What of it could not be done, or need not be.
    pub problems: Vec<String>,
}

/// Why a playbook could not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriageError {
    /// The kind of reason.
    pub code: TriageCode,
    /// The reason.
    pub message: String,
}

impl Triage {
    /// A call that is wanted.
    pub fn waiting(playbook: &str, at: Timestamp) -> Self {
        let playbook = playbook.to_owned();
        Self { playbook, status: TriageStatus::Waiting, at, plugin: None, error: None, problems: Vec::new() }
    }
}

/// What a playbook wants done, checked: the WIT variant in the domain's terms.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variants are those of `action` in wit/plugin.wit, described there")]
pub enum Action {
    SetSeverity(Severity),
    SetStatus(Status),
    SetCategory(String),
    SetAssignee(String),
    AddTag(String),
    AddObservable(Observable),
    AddNote(String),
    Notify(String),
}

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

/// What one payload says of one incident, checked: the WIT record in the domain's terms.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of `incident` in wit/plugin.wit, described there")]
pub struct Observation {
    pub source_ref: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub category: Option<String>,
    pub severity: Option<Severity>,
    pub state: Option<State>,
    pub tlp: Option<Tlp>,
    pub occurred_at: Option<Timestamp>,
    pub changed_at: Option<Timestamp>,
    pub external_link: Option<String>,
    pub tags: Vec<String>,
    pub observables: Vec<Observable>,
    pub techniques: Vec<Technique>,
    pub details: Map<String, Value>,
}

/// What is the same for every observation of one event.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The event.
    pub event_id: Uuid,
    /// The registered source.
    pub source: String,
    /// When the event was received.
    pub received_at: Timestamp,
    /// The plugin that mapped it.
    pub plugin: PluginVersion,
    /// The playbook that the source names.
    pub playbook: Option<String>,
    /// Whether it runs by itself.
    pub auto_triage: bool,
}

impl Origin {
    /// The playbook that is to look at an incident which became new.
    fn triage(&self, now: Timestamp) -> Option<Triage> {
        let playbook = self.playbook.as_ref().filter(|_| self.auto_triage)?;
        Some(Triage::waiting(playbook, now))
    }
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

/// What an analyst changes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of the incident")]
pub struct Patch {
    #[serde(default, deserialize_with = "given")]
    pub title: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub description: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    pub severity: Option<Severity>,
    #[serde(default, deserialize_with = "given")]
    pub status: Option<Status>,
    #[serde(default, deserialize_with = "given")]
    pub assignee: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    pub category: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    pub tlp: Option<Option<Tlp>>,
    #[serde(default, deserialize_with = "given")]
    pub tags: Option<Vec<String>>,
    /// Text to add to the notes.
    #[serde(default, deserialize_with = "given")]
    pub note: Option<String>,
    /// The revision that the change was made on.
    #[serde(default, deserialize_with = "given")]
    pub revision: Option<u64>,
}

/// Tells `null`, which clears a field that can be empty and is refused for any other, from a field that is not there.
pub(crate) fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
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

/// Checks that a text has 1 to `max` bytes.
///
/// # Errors
/// A sentence that says how many it has.
pub fn check_length(what: &str, text: &str, max: usize) -> Result<(), String> {
    match text.len() {
        length if (1..=max).contains(&length) => Ok(()),
        length => Err(format!("{what} has {length} bytes; 1 to {max} are taken")),
    }
}

/// Merges what one payload says twice of the same incident: the later word wins, as if it had come later.
pub fn merge_repeats(observations: Vec<Observation>) -> Vec<Observation> {
    let mut merged: Vec<Observation> = Vec::with_capacity(observations.len());
    for later in observations {
        let Some(first) = merged.iter_mut().find(|known| known.source_ref == later.source_ref) else {
            merged.push(later);
            continue;
        };
        first.title = later.title.or(first.title.take());
        first.description = later.description.or(first.description.take());
        first.category = later.category.or(first.category.take());
        first.severity = later.severity.or(first.severity);
        first.state = later.state.or(first.state);
        first.tlp = first.tlp.max(later.tlp);
        first.occurred_at = match (first.occurred_at, later.occurred_at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        first.changed_at = first.changed_at.max(later.changed_at);
        first.external_link = later.external_link.or(first.external_link.take());
        first.tags.extend(later.tags);
        first.observables.extend(later.observables);
        first.techniques.extend(later.techniques);
        first.details.extend(later.details);
    }
    merged
}
