//! Counts of what happened, in buckets of time.

use hookmill_incident::{Severity, words};

words!(
    /// A kind of counted things.
    CountKind {
        /// Payloads by source: `received`, and what became of them.
        Payloads = "payloads",
        /// Incidents that were created, by source and severity.
        Incidents = "incidents",
        /// Attempts to deliver, by destination and result.
        Deliveries = "deliveries",
    }
);

/// The open incidents of one severity, by the time since their creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIncidents {
    /// The severity.
    pub severity: Severity,
    /// The number of incidents that were created within an hour.
    pub within_hour: i64,
    /// The number of older incidents that were created within a day.
    pub within_day: i64,
    /// The number of older incidents that were created within seven days.
    pub within_week: i64,
    /// The number of incidents that are older.
    pub older: i64,
}

/// The filter and the buckets of a question about counts.
#[derive(Clone, Debug)]
pub struct CountFilter {
    /// The first minute, counted from the Unix epoch.
    pub from: i64,
    /// The minute after the last one.
    pub to: i64,
    /// The minutes in one bucket.
    pub step: i64,
    /// The kinds; all if the list is empty.
    pub kind: Vec<CountKind>,
    /// The sources and destinations; all if the list is empty.
    pub name: Vec<String>,
}

/// The counts of one thing with one result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountSeries {
    /// The kind.
    pub kind: CountKind,
    /// The source or the destination.
    pub name: String,
    /// The result: a status, a severity, the result of an attempt.
    pub result: String,
    /// The number of a bucket, from 0, and the count in it. Buckets in which nothing happened are absent.
    pub buckets: Vec<(i64, u64)>,
}
