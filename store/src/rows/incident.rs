//! Stored incidents.

use super::{Listed, Unreadable};
use crate::search_words::SearchWords;
use hookmill_incident::{Guard, Incident, Number, Severity, ShownIncidentRef, Status};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An incident by its id or its number.
#[derive(Clone, Copy, Debug)]
pub enum IncidentKey {
    /// By id.
    Id(Uuid),
    /// By number.
    Number(Number),
}

/// A stored incident.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentRow {
    /// The id.
    pub id: Uuid,
    /// The number.
    pub number: Number,
    /// The record.
    pub incident: Incident,
    /// The number of events that reported the incident.
    pub occurrences: u64,
    /// The newest of these events, the newest last.
    pub event_ids: Vec<Uuid>,
    pub(crate) guard: Guard,
    /// The key of the newest audit entry.
    pub(crate) newest_audit: i64,
}

impl IncidentRow {
    /// Returns the incident as the API shows it.
    pub fn shown(&self) -> ShownIncidentRef<'_> {
        ShownIncidentRef {
            id: self.id,
            number: self.number.to_string(),
            incident: &self.incident,
            occurrences: self.occurrences,
            event_ids: &self.event_ids,
        }
    }
}

/// The bytes of a beginning of observables that can be searched for.
pub const OBSERVABLE_PREFIX_BYTES_MAX: usize = 128;

/// The filter of a list of incidents. An incident passes that has one of the values of each filter that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the API's query parameters")]
pub struct IncidentFilter {
    pub status: Vec<Status>,
    pub severity: Vec<Severity>,
    pub source: Vec<String>,
    pub source_ref: Vec<String>,
    pub tag: Vec<String>,
    pub assignee: Vec<String>,
    /// The whole value of an observable.
    pub observable: Vec<String>,
    /// The beginning of the value of an observable; at most [`OBSERVABLE_PREFIX_BYTES_MAX`] bytes.
    pub observable_prefix: Vec<String>,
    /// A technique, which includes its sub-techniques; the case of ASCII letters is ignored.
    pub technique: Vec<String>,
    /// Words in the title, the description, the source-ref and the observables.
    pub q: Option<SearchWords>,
    pub created_after: Option<Timestamp>,
    pub created_before: Option<Timestamp>,
    pub updated_after: Option<Timestamp>,
}

/// The reason why an analyst's change was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchRefusal {
    /// The incident does not exist.
    NotFound,
    /// The incident cannot be read.
    Unreadable(Unreadable),
    /// The incident has changed since; this is its present revision.
    Stale(u64),
    /// The incident has as many notes as it can hold.
    NoRoomForNote,
    /// The incident has a hold, so that it cannot be deleted.
    Held,
}

/// An incident that shares observables with another.
#[derive(Clone, Debug)]
pub struct RelatedIncident {
    /// The incident.
    pub incident: Listed<IncidentRow>,
    /// The observables that both have, the rarest first.
    pub shared: Vec<SharedObservable>,
}

/// An observable that several incidents have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedObservable {
    /// The type.
    pub data_type: String,
    /// The value.
    pub value: String,
    /// The number of incidents that have the value.
    pub incidents: usize,
}
