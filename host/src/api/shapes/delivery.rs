//! Deliveries.

use crate::api::time::timestamp;
use crate::deliver::DryRunMessage;
use hookmill_incident::{Operation, given};
use hookmill_store::{AttemptRow, DeadLetters, DeliveryRow, DeliveryStatus};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A delivery with its attempts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownDelivery {
    /// The delivery's id, which its receiver sees as `webhook-id`.
    pub id: Uuid,
    /// The name of the destination.
    pub destination: String,
    /// The notification that the delivery belongs to; null if the destination gets every audit entry.
    pub notification: Option<String>,
    /// The status.
    pub status: DeliveryStatus,
    /// The incident that the delivery is about.
    pub incident_id: Option<Uuid>,
    /// The operation on that incident.
    pub operation: Option<Operation>,
    /// The event that the delivery is about.
    pub event_id: Option<Uuid>,
    /// When the next attempt is due. Absent unless the delivery is pending; null while another delivery of the same
    /// incident is before it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub next_attempt_at: Option<Option<Timestamp>>,
    /// The newest error.
    pub error: Option<String>,
    /// The attempts, the oldest first.
    pub attempts: Vec<ShownAttempt>,
}

/// A delivery with the message that its next attempt would send.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryWithMessage {
    /// The delivery.
    #[serde(flatten)]
    pub delivery: ShownDelivery,
    /// The message, rendered from the present configuration; null for a token of scope `read`.
    pub message: Option<DryRunMessage>,
}

/// Dead letters with the same destination and error.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownDeadLetters {
    /// The name of the destination.
    pub destination: String,
    /// The error of the last attempt, or the reason why there is no further one.
    pub error: Option<String>,
    /// The number of dead letters.
    pub count: i64,
    /// When the oldest one was queued.
    pub first_at: Timestamp,
    /// When the newest one was queued.
    pub last_at: Timestamp,
    /// The id of the newest one.
    pub sample: Uuid,
}

/// An attempt to send a delivery.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownAttempt {
    /// The number of the attempt, from 1.
    pub number: u32,
    /// When the attempt began.
    pub at: Timestamp,
    /// The duration of the attempt.
    pub duration_ms: i64,
    /// The HTTP status of the answer.
    pub http_status: Option<u16>,
    /// The kind of failure.
    pub code: Option<String>,
    /// The failure in words.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub answer: Option<String>,
}

/// The dead deliveries to retry: those that have all given properties, or all dead deliveries.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryFilter {
    /// The name of the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The name of the notification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification: Option<String>,
    /// The incident that the deliveries are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<Uuid>,
    /// The event that the deliveries are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Uuid>,
    /// The error of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The time after which the deliveries were queued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Timestamp>,
}

/// A delivery that was made due.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RetriedDelivery {
    /// The delivery's id.
    pub id: Uuid,
    /// The name of the destination.
    pub destination: String,
    /// The status now: `pending`.
    pub status: DeliveryStatus,
}

/// The number of dead deliveries that were made due.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RetriedDeliveries {
    /// The number of deliveries.
    pub retried: u64,
}

impl From<DeliveryRow> for ShownDelivery {
    fn from(row: DeliveryRow) -> Self {
        let next_at = row.next_at.and_then(|unix_ms| Timestamp::from_millisecond(unix_ms).ok());
        Self {
            next_attempt_at: (row.status == DeliveryStatus::Pending).then_some(next_at),
            id: row.id,
            destination: row.destination,
            notification: row.notification,
            status: row.status,
            incident_id: row.incident_id,
            operation: row.operation,
            event_id: row.event_id,
            error: row.error,
            attempts: row.attempts.into_iter().map(ShownAttempt::from).collect(),
        }
    }
}

impl From<DeadLetters> for ShownDeadLetters {
    fn from(group: DeadLetters) -> Self {
        let DeadLetters { destination, error, count, first_at, last_at, sample } = group;
        Self { destination, error, count, first_at: timestamp(first_at), last_at: timestamp(last_at), sample }
    }
}

impl From<AttemptRow> for ShownAttempt {
    fn from(row: AttemptRow) -> Self {
        let AttemptRow { number, at, duration_ms, http_status, code, error, answer } = row;
        Self { number, at, duration_ms, http_status, code, error, answer }
    }
}
