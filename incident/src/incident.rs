//! Incidents: the records that mappers' results add up to.

mod bounds;
mod edit;
mod group;
mod update;

#[cfg(test)]
mod tests;

pub use bounds::{DESCRIPTION_BYTES_MAX, NOTE_BYTES_MAX, RECORD_BYTES_MAX, WORDS_BYTES_MAX};

use crate::{
    DetailMap, Observable, Observation, Origin, PluginVersion, Severity, State, Status, Technique, Tlp, Triage,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The number of event ids that an incident lists; older ids are dropped.
pub const EVENT_IDS_MAX: usize = 100;

/// A note on an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The time of writing.
    pub at: Timestamp,
    /// The author: the name of a token, or `playbook NAME`.
    pub by: String,
    /// The text.
    pub text: String,
}

/// The record of one incident, without its id, its number and the counts that change without a new revision.
///
/// Serialized, it is the record that the store keeps and most of the `object` of an audit entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "docs/API.md describes the fields")]
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
    pub details: DetailMap,
    pub notes: Vec<Note>,
    pub playbook: Option<String>,
    pub triage: Option<Triage>,
    pub plugin: PluginVersion,
    /// Whether everything that belongs to the incident is kept, whatever its age.
    #[serde(default)]
    pub hold: bool,
    pub truncated: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub revision: u64,
}

/// The state that orders updates and protects what was set by hand. The store keeps it with the record and never shows
/// it.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// The time of the newest state that was applied.
    pub changed_at: Timestamp,
    /// The fields that were set by hand or by a playbook; payloads no longer change them.
    pub pinned: BTreeSet<String>,
}

/// The attributes that a change set, with their new values.
pub type Details = Map<String, Value>;

impl Incident {
    /// Returns the incident that a first observation makes.
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
            details: DetailMap::default(),
            notes: Vec::new(),
            playbook: origin.playbook.clone(),
            triage: origin.triage(now).filter(|_| status == Status::New),
            plugin: origin.plugin.clone(),
            hold: false,
            truncated: 0,
            created_at: now,
            updated_at: now,
            revision: 1,
        };
        incident.cut_texts();
        incident.put_details(observation.details);
        incident.unite(observation.tags, observation.observables, observation.techniques);
        (incident, guard)
    }

    /// Starts a new revision. After a clock was set back, it is not from before the creation: searches rely on this.
    fn touch(&mut self, now: Timestamp) {
        self.updated_at = now.max(self.created_at);
        self.revision += 1;
    }

    /// Returns the attributes that differ from those of `before`, without the values that the host itself counts and
    /// maintains.
    fn changes_since(&self, before: &Self) -> Details {
        let mut changes = Details::new();
        macro_rules! compare {
            ($($field:ident)*) => {$(
                if before.$field != self.$field {
                    changes.insert(stringify!($field).to_owned(), json!(self.$field));
                }
            )*};
        }
        compare!(title description category severity status assignee tlp occurred_at external_link tags observables
            techniques details notes hold);
        changes
    }
}
