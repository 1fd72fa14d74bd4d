//! Observations: the checked reports of a mapper about incidents.

use crate::observable::{Observable, Technique};
use crate::triage::Triage;
use crate::{DetailMap, Event, PluginVersion, Severity, Tlp};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::HashMap;
use uuid::Uuid;

/// The greatest length of a title, in bytes.
pub const TITLE_BYTES_MAX: usize = 512;
/// The greatest length of a tag, in bytes.
pub const TAG_BYTES_MAX: usize = 128;

/// The state of an incident at the vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Open, or reopened.
    Open,
    /// Closed, fixed or dismissed.
    Resolved,
}

/// The checked report of one payload about one incident. A field that is `None` does not change the stored value.
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
    pub details: DetailMap,
}

/// The checked result of a mapper for one payload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The observations, at most one for each source-ref.
    pub observations: Vec<Observation>,
    /// The reasons why parts of the payload rightly make no incident.
    pub skipped: Vec<String>,
    /// The parts of the payload that should have made an incident and could not.
    pub problems: Vec<String>,
}

/// The facts that all observations of one event share.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The event's id.
    pub event_id: Uuid,
    /// The name of the source.
    pub source: String,
    /// The time of receipt.
    pub received_at: Timestamp,
    /// The plugin that mapped the event.
    pub plugin: PluginVersion,
    /// The playbook that the source names.
    pub playbook: Option<String>,
    /// Whether new incidents are triaged by that playbook without a request.
    pub auto_triage: bool,
}

impl Origin {
    /// Returns the facts about an event that a plugin mapped, for a source without a playbook.
    ///
    /// # Errors
    /// Returns an error if the event's time is outside of the calendar.
    pub fn of(event: &Event, plugin: &PluginVersion) -> Result<Self, jiff::Error> {
        Ok(Self {
            event_id: event.id,
            source: event.source.to_string(),
            received_at: Timestamp::from_millisecond(event.received_at)?,
            plugin: plugin.clone(),
            playbook: None,
            auto_triage: false,
        })
    }

    /// Returns the triage request for an incident whose status became `new`, if the source asks for triage.
    pub(crate) fn triage(&self, now: Timestamp) -> Option<Triage> {
        let playbook = self.playbook.as_ref().filter(|_| self.auto_triage)?;
        Some(Triage::waiting(playbook, now))
    }
}

/// Checks that a text has 1 to `max` bytes; `what` names the text in the error.
///
/// # Errors
/// Returns a sentence with the length and the bounds.
pub fn check_length(what: &str, text: &str, max: usize) -> Result<(), String> {
    match text.len() {
        length if (1..=max).contains(&length) => Ok(()),
        length => Err(format!("{what} has {length} bytes; expected 1 to {max}")),
    }
}

/// Merges the observations of each source-ref, in list order: the result is as if the later one had come later.
pub fn merge_repeats(observations: Vec<Observation>) -> Vec<Observation> {
    if observations.len() < 2 {
        return observations;
    }
    let mut merged: Vec<Observation> = Vec::with_capacity(observations.len());
    let mut places: HashMap<String, usize> = HashMap::with_capacity(observations.len());
    for later in observations {
        match places.get(&later.source_ref) {
            Some(&first) => merged[first].merge(later),
            None => {
                places.insert(later.source_ref.clone(), merged.len());
                merged.push(later);
            }
        }
    }
    merged
}

impl Observation {
    fn merge(&mut self, later: Self) {
        self.title = later.title.or(self.title.take());
        self.description = later.description.or(self.description.take());
        self.category = later.category.or(self.category.take());
        self.severity = later.severity.or(self.severity);
        self.state = later.state.or(self.state);
        self.tlp = self.tlp.max(later.tlp);
        self.occurred_at = match (self.occurred_at, later.occurred_at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.changed_at = self.changed_at.max(later.changed_at);
        self.external_link = later.external_link.or(self.external_link.take());
        self.tags.extend(later.tags);
        self.observables.extend(later.observables);
        self.techniques.extend(later.techniques);
        self.details.extend(later.details.into_map());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn observation(source_ref: &str, severity: Option<Severity>, tag: &str) -> Observation {
        let details = DetailMap::from_iter([(tag.to_owned(), json!(source_ref))]);
        Observation {
            source_ref: source_ref.into(),
            severity,
            tags: vec![tag.into()],
            details,
            ..Observation::default()
        }
    }

    #[test]
    fn observations_of_one_source_ref_are_merged_in_order() {
        let first = Observation { tlp: Some(Tlp::Red), ..observation("a", Some(Severity::High), "one") };
        let later = Observation { tlp: Some(Tlp::Green), ..observation("a", None, "two") };
        let merged = merge_repeats(vec![first, observation("b", None, "x"), later]);
        assert_eq!(merged.len(), 2);
        assert_eq!((merged[0].severity, merged[0].tlp), (Some(Severity::High), Some(Tlp::Red)));
        assert_eq!(merged[0].tags, ["one", "two"]);
        assert_eq!(json!(merged[0].details), json!({"one": "a", "two": "a"}));
    }

    #[test]
    fn lengths_are_counted_in_bytes() {
        assert_eq!(check_length("the tag", "ä", 2), Ok(()));
        assert_eq!(check_length("the tag", "", 2).unwrap_err(), "the tag has 0 bytes; expected 1 to 2");
        assert_eq!(check_length("the tag", "aä", 2).unwrap_err(), "the tag has 3 bytes; expected 1 to 2");
    }
}
