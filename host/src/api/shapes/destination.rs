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
    /// The number of pending deliveries.
    pub pending: i64,
    /// The number of dead deliveries.
    pub dead: i64,
}

/// A destination that was enabled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnabledDestination {
    /// The destination's name.
    pub name: String,
    /// Whether the destination was disabled before.
    pub was_disabled: bool,
}
