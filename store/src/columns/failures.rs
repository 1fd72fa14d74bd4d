//! The failures of events in quarantine, and the groups that they make.

use crate::rows::{QuarantineCause, QuarantineGroup};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use uuid::Uuid;

/// What the row of a failed event says about the failure: the code, the tried versions in JSON, and the message.
pub(crate) type Failure<'a> = [Option<&'a str>; 3];

/// Returns the cause of a failure. An event of another version of Hookmill, or a damaged one, has none; the list of events
/// shows it.
pub(crate) fn cause([code, tried, message]: Failure) -> Option<QuarantineCause> {
    let tried: Vec<String> = serde_json::from_str(tried?).ok()?;
    Some(QuarantineCause::new(code?.parse().ok()?, &tried, message.unwrap_or_default()))
}

/// A group as an index has it. Keys stand for events.
pub(crate) struct Counted {
    pub id: String,
    pub count: u64,
    /// From the oldest event to the newest one.
    pub keys: RangeInclusive<i64>,
    pub sources: BTreeSet<String>,
}

impl Counted {
    /// Returns the group with its cause, its oldest and its newest event, each with its time of arrival.
    pub fn with(self, cause: QuarantineCause, oldest: (Uuid, i64), newest: (Uuid, i64)) -> QuarantineGroup {
        QuarantineGroup { id: self.id, cause, count: self.count, sources: self.sources, oldest, newest }
    }
}
