//! Deliveries, their attempts and their subjects.

use super::{EventRow, Health};
use hookmill_incident::{AuditEntry, Operation, words};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::HashSet;
use uuid::Uuid;

/// The code of an attempt that uses up no step of the schedule, because the receiver asked to wait.
pub const ASKED_TO_WAIT: &str = "asked_to_wait";

words!(
    /// The status of a delivery.
    DeliveryStatus {
        /// To be attempted.
        Pending = "pending",
        /// Accepted by its receiver.
        Delivered = "delivered",
        /// Not attempted again unless it is retried.
        Dead = "dead",
    }
);

/// A delivery that is due.
#[derive(Clone, Debug)]
pub struct DueDelivery {
    /// The id, the same for all attempts.
    pub id: Uuid,
    /// The number of attempts that were made.
    pub attempts: u32,
    /// The number of attempts after which the receiver asked to wait, [`ASKED_TO_WAIT`].
    pub asked_waits: u32,
    /// The subject, or the reason why it cannot be read.
    pub message: Result<Message, String>,
    /// The notification and the index of its step; `None` for destinations that receive every audit entry.
    pub step: Option<(String, usize)>,
    /// The trace of the event that caused the delivery, if there is one.
    pub traceparent: Option<String>,
}

/// A read of the queue of one destination.
#[derive(Clone, Debug)]
pub struct QueueRead {
    /// The destination.
    pub destination: String,
    /// The time at which deliveries have to be due, in milliseconds since the Unix epoch.
    pub now: i64,
    /// The position after which to begin.
    pub after: QueuePosition,
    /// The maximum number of deliveries.
    pub limit: usize,
    /// The deliveries to leave out.
    pub without: HashSet<Uuid>,
}

/// The due deliveries of one destination.
#[derive(Debug)]
pub struct DueDeliveries {
    /// The deliveries, the most overdue first.
    pub deliveries: Vec<DueDelivery>,
    /// The position from which to continue, if there may be more.
    pub more_after: Option<QueuePosition>,
    /// If no further delivery is due, the time of the next one, in milliseconds since the Unix epoch.
    pub next_at: Option<i64>,
    /// Whether deliveries were left out that are to be read when attempts were recorded: because that was requested, or
    /// because earlier ones block them.
    pub has_waiting: bool,
}

/// A position in the queue of a destination.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueuePosition {
    pub(crate) next_at: i64,
    pub(crate) key: i64,
}

/// The content of a delivery.
#[derive(Clone, Debug)]
pub enum Message {
    /// A change of an incident.
    Change(Box<AuditEntry>),
    /// A payload.
    Event(Box<EventRow>),
    /// Something that happened to the host itself, as templates see it.
    Notice(Value),
}

impl Message {
    /// Returns about how many bytes the message holds.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Change(entry) => entry.bytes(),
            Self::Event(row) => row.event.body.len(),
            Self::Notice(_) => 0,
        }
    }

    /// Returns the id of the request that caused the message; empty for a notice.
    pub fn request_id(&self) -> String {
        match self {
            Self::Change(entry) => entry.request_id.clone(),
            Self::Event(row) => row.event.id.to_string(),
            Self::Notice(_) => String::new(),
        }
    }
}

/// The outcome of one attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The time when the attempt began, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The duration.
    pub duration_ms: i64,
    /// The status of the receiver's answer, if there was one.
    pub http_status: Option<u16>,
    /// The kind of the error, if there was one.
    pub code: Option<&'static str>,
    /// The error as text.
    pub error: Option<String>,
    /// The beginning of the receiver's answer.
    pub answer: Option<String>,
}

/// The step that follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// No further step: the delivery arrived.
    Delivered,
    /// Another attempt, at this time in milliseconds since the Unix epoch.
    Retry(i64),
    /// No further step, until an operator retries the delivery.
    Dead,
}

/// An attempt with everything that is recorded about it.
#[derive(Clone, Debug)]
pub struct Attempted {
    /// The delivery.
    pub delivery: Uuid,
    /// The outcome.
    pub attempt: Attempt,
    /// The step that follows.
    pub next: Next,
    /// The health of the destination according to this attempt.
    pub health: Health,
}

/// A delivery with its attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryRow {
    /// The id, which receivers see as `webhook-id`.
    pub id: Uuid,
    /// The name of the destination.
    pub destination: String,
    /// The notification; `None` if the destination receives every audit entry.
    pub notification: Option<String>,
    /// The status.
    pub status: DeliveryStatus,
    /// The incident that the delivery is about, if it is about one.
    pub incident_id: Option<Uuid>,
    /// The operation on the incident.
    pub operation: Option<Operation>,
    /// The event that the delivery is about, if it is about one.
    pub event_id: Option<Uuid>,
    /// The time when the next attempt is due, in milliseconds since the Unix epoch; `None` while an earlier delivery
    /// blocks this one.
    pub next_at: Option<i64>,
    /// The last error.
    pub error: Option<String>,
    /// Every attempt, the oldest first.
    pub attempts: Vec<AttemptRow>,
}

/// An attempt to send a delivery.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in `Attempt`")]
pub struct AttemptRow {
    pub number: u32,
    pub at: Timestamp,
    pub duration_ms: i64,
    pub http_status: Option<u16>,
    pub code: Option<String>,
    pub error: Option<String>,
    pub answer: Option<String>,
}

/// A delivery as it is attempted, with its present status.
#[derive(Clone, Debug)]
pub struct StoredDelivery {
    /// The delivery with its attempts.
    pub row: DeliveryRow,
    /// The delivery as its next attempt would have it.
    pub due: DueDelivery,
}

/// The numbers of deliveries of one destination that wait or are dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueCounts {
    /// The name of the destination.
    pub destination: String,
    /// The number of pending deliveries.
    pub pending: i64,
    /// The time at which the oldest pending delivery was queued, in milliseconds since the Unix epoch.
    pub oldest_pending: Option<i64>,
    /// The number of dead deliveries.
    pub dead: i64,
}

/// The dead letters of one destination that have the same error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// The name of the destination.
    pub destination: String,
    /// The error of the last attempt, or the reason why there is no further one.
    pub error: Option<String>,
    /// The number of dead letters.
    pub count: i64,
    /// The time at which the oldest one was queued, in milliseconds since the Unix epoch.
    pub first_at: i64,
    /// The time at which the newest one was queued, in milliseconds since the Unix epoch.
    pub last_at: i64,
    /// The newest one.
    pub sample: Uuid,
}

/// The filter of a list of deliveries.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are those of the API's query parameters")]
pub struct DeliveryFilter {
    pub destination: Vec<String>,
    pub notification: Vec<String>,
    pub status: Vec<DeliveryStatus>,
    pub incident: Vec<Uuid>,
    pub event: Vec<Uuid>,
    pub error: Vec<String>,
    pub created_after: Option<Timestamp>,
}
