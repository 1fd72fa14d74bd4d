//! Events: payloads as they were received, and what became of them.

use crate::id::unix_ms;
use crate::incident::{Observation, PluginVersion};
use crate::source::Source;
use crate::words::words;
use bytes::Bytes;
pub use hookmill_signatures::Identity;
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
    /// How a repeat is told.
    pub identity: Identity,
}

impl Event {
    /// An event that nobody sent, received now, for trying a mapper.
    pub fn trial(id: Uuid, source: Arc<str>, headers: Vec<NamedValue>, body: Bytes) -> Self {
        Self {
            id,
            source,
            received_at: unix_ms(),
            content_type: headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.clone()),
            headers,
            context: Vec::new(),
            digest: Sha256::digest(&body).into(),
            body,
            identity: Identity::Body,
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
        /// What it says of incidents, each source-ref once.
        observations: Vec<Observation>,
        /// Why parts of it rightly make no incident.
        skipped: Vec<String>,
        /// Parts that should have made one and could not.
        problems: Vec<String>,
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
    /// Its sender.
    pub source: Arc<Source>,
    /// What it came to.
    pub verdict: Verdict,
    /// The plugin versions that were tried, as `NAME@SHA256`.
    pub tried: Vec<String>,
}
