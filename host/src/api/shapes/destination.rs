//! Destinations.

use crate::deliver::DestinationType;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A destination with its state and the size of its queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownDestination {
    /// The destination's name.
    pub name: String,
    /// The destination's type.
    #[serde(rename = "type")]
    pub kind: DestinationType,
    /// Whether the destination gets every audit entry.
    #[serde(rename = "told_all")]
    pub gets_all_changes: bool,
    /// The reason why the destination is disabled; null if it is enabled.
    pub disabled: Option<String>,
    /// When the first of the failed attempts since the last success was made.
    pub failing_since: Option<Timestamp>,
    /// The number of consecutive failures.
    pub failures: u32,
    /// The end of the pause after such failures, or after the receiver asked to wait; null if there is none.
    pub paused_until: Option<Timestamp>,
    /// The newest attempt since the start of the host that failed.
    pub last_failure: Option<ShownFailure>,
    /// The duration that half of the newest 256 attempts since the start of the host did not exceed.
    pub p50_ms: Option<i64>,
    /// The same for 95 of 100 attempts.
    pub p95_ms: Option<i64>,
    /// The number of pending deliveries.
    pub pending: i64,
    /// When the oldest of the pending deliveries was queued.
    pub oldest_pending_at: Option<Timestamp>,
    /// The number of dead deliveries.
    pub dead: i64,
}

/// A failed attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownFailure {
    /// When the attempt began.
    pub at: Timestamp,
    /// The HTTP status of the answer.
    pub http_status: Option<u16>,
    /// The failure in words.
    pub error: Option<String>,
}

/// A destination that was enabled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnabledDestination {
    /// The destination's name.
    pub name: String,
    /// Whether the destination was disabled before.
    pub was_disabled: bool,
}
