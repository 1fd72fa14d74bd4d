//! Counts of what happened, in buckets of time.

use hookmill_incident::words;
use hookmill_store::CountKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

words!(
    /// The length of a bucket.
    Step { Minute = "minute", Hour = "hour", Day = "day" }
);

/// The answer of `/api/stats`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stats {
    /// The start of the first bucket.
    pub from: Timestamp,
    /// The end of the last bucket.
    pub to: Timestamp,
    /// The length of a bucket.
    pub step: Step,
    /// The starts of the buckets.
    pub times: Vec<Timestamp>,
    /// A series for each kind, name and result that occurred.
    pub series: Vec<StatsSeries>,
}

/// The counts of one thing with one result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatsSeries {
    /// The kind of thing.
    pub kind: CountKind,
    /// The source or the destination.
    pub name: String,
    /// The result: of a payload, an incident's severity, the result of an attempt.
    pub result: String,
    /// The sum of `counts`.
    pub total: u64,
    /// The count in each bucket.
    pub counts: Vec<u64>,
}
