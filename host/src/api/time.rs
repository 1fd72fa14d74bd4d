//! Times as the API shows them.

use jiff::Timestamp;

/// Converts milliseconds since the Unix epoch. Times out of range become the nearest one in range.
pub(super) fn timestamp(unix_ms: i64) -> Timestamp {
    let nearest = if unix_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(unix_ms).unwrap_or(nearest)
}
