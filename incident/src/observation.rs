//! What a mapper reports about incidents, after its result was checked.

use crate::triage::Triage;
use crate::{PluginVersion, Severity, Tlp};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Bytes of a title, from 1.
pub const TITLE_BYTES_MAX: usize = 512;
/// Bytes of a tag, from 1.
pub const TAG_BYTES_MAX: usize = 128;

/// Whether the vendor holds the matter open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Open, or open again.
    Open,
    /// Closed, fixed or dismissed.
    Resolved,
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

/// What a mapper made of one payload, after its result was checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// What the payload reports about incidents, each source-ref once.
    pub observations: Vec<Observation>,
    /// Why parts of the payload rightly make no incident.
    pub skipped: Vec<String>,
    /// Parts of the payload that should have made an incident and could not.
    pub problems: Vec<String>,
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
    pub(crate) fn triage(&self, now: Timestamp) -> Option<Triage> {
        let playbook = self.playbook.as_ref().filter(|_| self.auto_triage)?;
        Some(Triage::waiting(playbook, now))
    }
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
