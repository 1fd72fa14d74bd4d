//! Received events.

use crate::pipeline::IncidentChanges;
use hookmill_incident::{EventStatus, FailureCode, IncidentRef, words};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The result of mapping an event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventResult {
    /// The event's id.
    pub id: Uuid,
    /// The state of the event.
    pub status: EventStatus,
    /// The reason for the state, in words.
    pub message: Option<String>,
    /// The failure, if mapping failed.
    pub error: Option<EventError>,
    /// The incidents that the event created or changed.
    pub incidents: Vec<IncidentRef>,
}

/// The result that mapping an event once more would have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventDryRun {
    /// The event's id.
    pub id: Uuid,
    /// The state that the event would have.
    pub status: EventStatus,
    /// The reason for the state, in words.
    pub message: Option<String>,
    /// The failure, if mapping would fail.
    pub error: Option<EventError>,
    /// The incidents that the event would create or change.
    pub incidents: Vec<IncidentChanges>,
}

/// The failure of mapping an event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventError {
    /// The kind of failure.
    pub code: FailureCode,
    /// The failure in words.
    pub message: Option<String>,
}

/// An event without its body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownEvent {
    /// The id, the state and the incidents.
    #[serde(flatten)]
    pub result: EventResult,
    /// The name of the source.
    pub source: String,
    /// When the event was received.
    pub received_at: Timestamp,
    /// The `Content-Type` of the body.
    pub content_type: Option<String>,
    /// The headers of the request, without secrets.
    pub headers: Vec<NamedText>,
    /// The other facts of the request, such as the parameters of its query.
    pub context: Vec<NamedText>,
    /// The SHA-256 digest of the body in hexadecimal.
    pub sha256: String,
    /// The number of attempts to map the event.
    pub attempts: u32,
    /// The plugin versions that were tried, as `NAME@SHA256`.
    pub tried: Vec<String>,
}

/// An event with its body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredEvent {
    /// The event.
    #[serde(flatten)]
    pub event: ShownEvent,
    /// The body; null if it was removed.
    pub body: Option<EventBody>,
    /// When and why the body was removed; null if it is there.
    pub body_removed: Option<RemovedBody>,
    /// Why an operator discarded the event, if a reason was given.
    pub discard_reason: Option<String>,
}

/// The body of a discard.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscardReason {
    /// The reason, for the event and the trail of operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The removal of a body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RemovedBody {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// The body of an event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventBody {
    /// The encoding of `data`.
    pub encoding: BodyEncoding,
    /// The body: as text, or in base64 if the body is not UTF-8.
    pub data: String,
}

words!(
    /// The encoding of a body in JSON.
    BodyEncoding { Utf8 = "utf-8", Base64 = "base64" }
);

/// A header or another named text of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamedText {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}
