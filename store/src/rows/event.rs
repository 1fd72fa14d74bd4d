//! Events and the results of recording them.

use hookmill_incident::{Event, EventState, EventStatus, FailureCode, Journey};
use jiff::Timestamp;
use uuid::Uuid;

/// The result of recording an event.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The state of the event; for a repeat, the state of the event that it repeats.
    pub state: EventState,
    /// Whether the event is a repeat, so that nothing was changed.
    pub duplicate: bool,
}

/// The result of a dry run: everything that recording an event would change.
#[derive(Clone, Debug)]
pub struct RecordDryRun {
    /// The state that the event would have.
    pub state: EventState,
    /// The incidents as they would be stored.
    pub incidents: Vec<serde_json::Value>,
    /// The present state of the same incidents; `null` for an incident that does not exist yet.
    pub present: Vec<serde_json::Value>,
    /// The names of the destinations that would receive a delivery, sorted.
    pub deliveries: Vec<String>,
}

/// A stored event.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// The state of the event.
    pub state: EventState,
    /// The event; without its body in lists.
    pub event: Event,
    /// When retention removed the body, in milliseconds since the Unix epoch.
    pub body_removed_at: Option<i64>,
    /// The number of times that mapping was attempted.
    pub attempts: u32,
    /// The plugin versions that mapping was attempted with, as `NAME@SHA256`.
    pub tried: Vec<String>,
    /// Why an operator discarded the event; not in lists.
    pub discard_reason: Option<String>,
    /// When the event was written, in milliseconds since the Unix epoch; `None` for events of earlier versions.
    pub stored_at: Option<i64>,
    /// The way of the event; empty in lists.
    pub journey: Journey,
}

/// The filter of a list of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the API's query parameters")]
pub struct EventFilter {
    pub id: Vec<Uuid>,
    pub source: Vec<String>,
    pub status: Vec<EventStatus>,
    pub code: Vec<FailureCode>,
    pub incident: Vec<Uuid>,
    pub created_after: Option<Timestamp>,
}

impl EventFilter {
    /// Returns whether all events pass.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
