//! The space that the store uses.

use hookmill_store::StoredKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The answer of `/api/storage`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownStorage {
    /// The size of the database.
    pub database_bytes: u64,
    /// The part of it that is free.
    pub free_bytes: u64,
    /// Whether the database gives free space back to the disk.
    pub gives_back: bool,
    /// The size of the write-ahead log.
    pub wal_bytes: u64,
    /// The free space of the disk.
    pub disk_free_bytes: Option<u64>,
    /// The space that should be free on the disk.
    pub disk_free_bytes_min: u64,
    /// By how much the used space grows in a day.
    pub growth_bytes_per_day: Option<i64>,
    /// In how many days less than `disk_free_bytes_min` will be free.
    pub days_until_low: Option<f64>,
    /// The rows of each kind.
    pub stored: Vec<StoredRows>,
    /// What retention removes next.
    pub retention: Vec<DueRows>,
}

/// The rows of one kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredRows {
    /// The kind.
    pub kind: StoredKind,
    /// The number of rows.
    pub rows: i64,
    /// The size of their content: exact for payloads, estimated for the others.
    pub bytes: i64,
    /// The day of the oldest row.
    pub oldest_day: Option<Timestamp>,
}

/// The rows of one kind that retention removes next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DueRows {
    /// The kind.
    pub kind: StoredKind,
    /// The age from which rows are removed; null if they are kept for ever.
    pub age_seconds: Option<u64>,
    /// The number of rows that reach this age within a day. Some of these may have to stay.
    pub due_rows: i64,
    /// The size of their content.
    pub due_bytes: i64,
}
