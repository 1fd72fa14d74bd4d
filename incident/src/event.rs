//! Events: payloads as they were received.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

/// The name and value of a header, a query parameter or a setting.
pub type NamedValue = (String, String);

/// The name of the context entry that holds the id which the sender gave the delivery.
pub const DELIVERY_ID: &str = "delivery-id";

/// One payload as received.
#[derive(Clone, Debug)]
pub struct Event {
    /// The event's id.
    pub id: Uuid,
    /// The name of the source.
    pub source: Arc<str>,
    /// The time of receipt, in milliseconds since the Unix epoch.
    pub received_at: i64,
    /// The `Content-Type`.
    pub content_type: Option<String>,
    /// The headers, without secrets and signatures.
    pub headers: Vec<NamedValue>,
    /// Facts that are not in the headers, such as query parameters and [`DELIVERY_ID`].
    pub context: Vec<NamedValue>,
    /// The SHA-256 digest that repeats of the event share: that of the body, unless the scheme or the pulled stream
    /// defines another one.
    pub digest: [u8; 32],
    /// The body, decompressed.
    pub body: Bytes,
    /// The key by which repeats of the event are recognised.
    pub repeat_key: RepeatKey,
    /// The trace in which the event was received, in the form of the header `traceparent`; `None` while traces are off.
    pub traceparent: Option<String>,
}

/// The key that, together with source and digest, recognises a repeat of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepeatKey {
    /// The id that the sender gives each delivery.
    DeliveryId(String),
    /// The id that the sender gives each delivery and does not sign. A delivery with another id and the same body is a
    /// repeat nevertheless: with the same signed time, or, without one, within `dedup_window`.
    UnsignedDeliveryId {
        /// The id.
        id: String,
        /// The signed time, in milliseconds since the Unix epoch.
        signed_at: Option<i64>,
    },
    /// The signed time, in milliseconds since the Unix epoch.
    SignedAt(i64),
    /// No further key: an equal body within `dedup_window` is a repeat.
    Body,
}

impl Event {
    /// Returns an event for a dry run, received at a time in milliseconds since the Unix epoch.
    pub fn dry_run(id: Uuid, received_at: i64, source: Arc<str>, headers: Vec<NamedValue>, body: Bytes) -> Self {
        Self {
            id,
            source,
            received_at,
            content_type: headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.clone()),
            headers,
            context: Vec::new(),
            digest: Sha256::digest(&body).into(),
            body,
            repeat_key: RepeatKey::Body,
            traceparent: None,
        }
    }
}
