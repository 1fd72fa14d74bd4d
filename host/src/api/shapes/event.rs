//! Received events.

use crate::pipeline::IncidentChanges;
use hookmill_incident::{EventStatus, FailureCode, IncidentRef, PluginVersion, words};
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
    /// The time from receiving the event until it was stored, in milliseconds; null for events of earlier versions.
    pub stored_after_ms: Option<u64>,
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
    /// The way of the event through the stages.
    pub journey: ShownJourney,
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

/// The way of an event through the stages. Members are null for events of earlier versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownJourney {
    /// The time that receiving the body took, in microseconds; null for an event that the host read itself.
    pub receive_us: Option<u64>,
    /// The time that verifying the sender and unpacking the body took, in microseconds.
    pub verify_us: Option<u64>,
    /// The way in which the sender was verified; null for an event that the host read itself.
    pub verification: Option<ShownVerification>,
    /// When the event was mapped again; null if it was mapped once.
    pub mapped_again_at: Option<Timestamp>,
    /// The calls of mappers when the event was mapped last, in their order.
    pub runs: Vec<ShownRun>,
    /// The number of lines that did not fit into the logs of the calls.
    pub log_lines_dropped: usize,
    /// When the event was written.
    pub stored_at: Option<Timestamp>,
}

/// The way in which the sender of a payload was verified.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownVerification {
    /// The name of the scheme.
    pub scheme: String,
    /// The secret that the sender used; null for a scheme without secrets.
    pub secret: Option<ShownSecretUse>,
}

/// The secret that a sender used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownSecretUse {
    /// The index among the secrets that the source had.
    pub index: usize,
    /// `previous` if another secret was replacing it.
    pub state: SecretState,
}

words!(
    /// The state of a secret when it was used.
    SecretState {
        /// It was valid without a limit.
        Current = "current",
        /// It was valid for a limited time, because another one replaced it.
        Previous = "previous",
    }
);

/// One call of a mapper.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownRun {
    /// The plugin.
    pub plugin: PluginVersion,
    /// The duration of the call in microseconds.
    pub duration_us: u64,
    /// The peak memory of the instance, in bytes.
    pub memory_bytes: u64,
    /// The code of the failure; null if the mapper read the payload.
    pub code: Option<String>,
    /// The lines that the mapper logged; empty after the body was removed.
    pub log: Vec<ShownLogLine>,
}

/// A line of a plugin's log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownLogLine {
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The text.
    pub message: String,
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
