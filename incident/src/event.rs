//! Events: payloads as they were received, and what became of them.

use crate::id::unix_ms;
use crate::{Number, PluginVersion, Reading, words};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

/// A header, query parameter or setting.
pub type NamedValue = (String, String);

/// The name under which the sender's own id of a delivery stands in the context.
pub const DELIVERY_ID: &str = "delivery-id";

/// One payload as received.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id.
    pub id: Uuid,
    /// The registered name of its sender.
    pub source: Arc<str>,
    /// When it came, in milliseconds since the Unix epoch.
    pub received_at: i64,
    /// Its `Content-Type`.
    pub content_type: Option<String>,
    /// Its headers without what is secret.
    pub headers: Vec<NamedValue>,
    /// What else is known of the delivery.
    pub context: Vec<NamedValue>,
    /// SHA-256 of what a repeat has in common with it: the body, unless the scheme or the stream it comes from says otherwise.
    pub digest: [u8; 32],
    /// The body, unpacked if it came compressed.
    pub body: Bytes,
    /// What tells a repeat of it.
    pub repeat_key: RepeatKey,
}

/// What tells a repeat of an event, beside its source and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepeatKey {
    /// The id that the sender gives each delivery.
    DeliveryId(String),
    /// The signed time, in milliseconds since the Unix epoch.
    SignedAt(i64),
    /// Nothing more, within a window of time.
    Body,
}

impl Event {
    /// Returns an event that was not received, with the current time, for a dry run.
    pub fn dry_run(id: Uuid, source: Arc<str>, headers: Vec<NamedValue>, body: Bytes) -> Self {
        Self {
            id,
            source,
            received_at: unix_ms(),
            content_type: headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.clone()),
            headers,
            context: Vec::new(),
            digest: Sha256::digest(&body).into(),
            body,
            repeat_key: RepeatKey::Body,
        }
    }
}

words!(
    /// What became of an event.
    EventStatus {
        /// It made or changed incidents.
        Mapped = "mapped",
        /// Nothing in it makes an incident.
        Ignored = "ignored",
        /// Some of it could not be mapped.
        Partial = "partial",
        /// The host will map it by itself.
        Queued = "queued",
        /// Mapping was tried and failed.
        Quarantined = "quarantined",
        /// Somebody decided that it will not be mapped.
        Discarded = "discarded",
    }
);

words!(
    /// Why mapping failed.
    FailureCode {
        /// It took longer than `deadline_ms`.
        DeadlineExceeded = "deadline_exceeded",
        /// It wanted more than `memory_mib`.
        MemoryExceeded = "memory_exceeded",
        /// It returned more than `output_mib` or `incidents`.
        OutputTooLarge = "output_too_large",
        /// It trapped.
        Trapped = "trapped",
        /// The mapper says that the payload is broken.
        Malformed = "malformed",
        /// The mapper says that the payload is not of its kind.
        Unsupported = "unsupported",
        /// It returned an incident that cannot be.
        InvalidIncident = "invalid_incident",
    }
);

/// Why an event was not mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of reason.
    pub code: FailureCode,
    /// What happened, with the plugin's name and version.
    pub message: String,
}

/// What mapping an event came to.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// A mapper read it.
    Read {
        /// The mapper.
        plugin: PluginVersion,
        /// Its result.
        reading: Reading,
    },
    /// It has to wait, and why.
    Wait(String),
    /// It failed.
    Failed(Failure),
    /// The source has `plugin: none`.
    NotMapped,
}

impl Verdict {
    /// Why nothing was read, in words.
    pub fn reason(&self) -> &str {
        match self {
            Self::Wait(reason) => reason,
            Self::Failed(failure) => &failure.message,
            Self::Read { .. } => "it was read",
            Self::NotMapped => "the source has `plugin: none`",
        }
    }
}

/// An event with what mapping it came to, ready to be stored.
#[derive(Debug)]
pub struct Mapped {
    /// The event.
    pub event: Event,
    /// What it came to.
    pub verdict: Verdict,
    /// The playbook that the source names.
    pub playbook: Option<String>,
    /// Whether that playbook runs on new incidents by itself.
    pub auto_triage: bool,
    /// The plugin versions that were tried, as `NAME@SHA256`.
    pub tried: Vec<String>,
}

/// An incident that an event made or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRef {
    /// Its id.
    pub id: Uuid,
    /// Its number, `INC-2026-0001`.
    pub number: String,
    /// Whether the event made it.
    pub created: bool,
}

impl IncidentRef {
    /// Returns a reference to the incident of this id and number.
    pub fn new(id: Uuid, number: Number, created: bool) -> Self {
        Self { id, number: number.to_string(), created }
    }
}

/// What became of an event: the basis of its sender's answer.
#[derive(Clone, Debug)]
pub struct EventState {
    /// The event.
    pub id: Uuid,
    /// What became of it.
    pub status: EventStatus,
    /// Why it is not mapped, where it is not.
    pub code: Option<FailureCode>,
    /// The reason in words.
    pub message: Option<String>,
    /// The incidents that it made or changed.
    pub incidents: Vec<IncidentRef>,
}
