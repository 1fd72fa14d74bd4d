//! The answers to senders of payloads.

use hookmill_incident::{EventState, EventStatus, IncidentRef, words};
use serde::{Deserialize, Serialize};
use std::ops::Not;
use uuid::Uuid;

/// The answer to the sender of a payload that was stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Accepted {
    /// The state of the event.
    pub status: AcceptedStatus,
    /// The event's id.
    pub event_id: Uuid,
    /// The id of the first incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<Uuid>,
    /// The number of the first incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident_number: Option<String>,
    /// The incidents that the event created or changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<IncidentRef>,
    /// The event's id, if the event waits in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_id: Option<Uuid>,
    /// The reason for the state, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the payload repeats an earlier one.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub duplicate: bool,
}

words!(
    /// The state of a stored event as its sender sees it.
    AcceptedStatus {
        /// Mapped to incidents.
        Accepted = "accepted",
        /// To be mapped later.
        Queued = "queued",
        /// Mapped, without an incident.
        Ignored = "ignored",
        /// Refused by its mapper.
        Quarantined = "quarantined",
    }
);

/// The answer to the sender of a payload that was stored and that its mapper refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unmappable {
    /// The refusal.
    pub error: UnmappableError,
    /// Whether the payload repeats an earlier one.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub duplicate: bool,
}

/// A refusal by a mapper.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnmappableError {
    /// Always `unmappable_payload`.
    pub code: String,
    /// The mapper's reason.
    pub message: String,
    /// The event's id.
    pub event_id: Uuid,
}

impl Unmappable {
    pub(super) fn new(state: EventState, duplicate: bool) -> Self {
        let message = for_sender(state.message.as_deref()).unwrap_or_default();
        Self {
            error: UnmappableError { code: "unmappable_payload".to_owned(), message, event_id: state.id },
            duplicate,
        }
    }
}

impl Accepted {
    /// `refused` is true if the mapper refused the payload.
    pub(super) fn new(state: EventState, refused: bool, duplicate: bool) -> Self {
        let status = match state.status {
            EventStatus::Mapped => AcceptedStatus::Accepted,
            EventStatus::Partial if !state.incidents.is_empty() => AcceptedStatus::Accepted,
            EventStatus::Quarantined if refused => AcceptedStatus::Quarantined,
            EventStatus::Queued | EventStatus::Quarantined => AcceptedStatus::Queued,
            EventStatus::Partial | EventStatus::Ignored | EventStatus::Discarded => AcceptedStatus::Ignored,
        };
        let first = state.incidents.first();
        Self {
            status,
            event_id: state.id,
            incident_id: first.map(|incident| incident.id),
            incident_number: first.map(|incident| incident.number.clone()),
            incidents: state.incidents,
            queue_id: (status == AcceptedStatus::Queued).then_some(state.id),
            message: for_sender(state.message.as_deref()),
            duplicate,
        }
    }
}

/// Returns the part of an event's message that its sender gets: the first line. Further lines name the plugins that
/// were called.
fn for_sender(message: Option<&str>) -> Option<String> {
    message.and_then(|message| message.lines().next()).map(str::to_owned)
}
