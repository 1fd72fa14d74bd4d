//! The scheduled backups.

use crate::backup::{LastBackup, LastFailure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The answer of `/api/backups`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownBackups {
    /// The schedule; null if none is configured.
    pub schedule: Option<ShownSchedule>,
    /// The time at which the next backup is due.
    pub next_at: Option<Timestamp>,
    /// The newest complete backup.
    pub last_success: Option<LastBackup>,
    /// The newest failure since then.
    pub last_failure: Option<LastFailure>,
}

/// The interval and the folder of backups.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownSchedule {
    /// The interval in seconds.
    pub every: u64,
    /// The number of backups that are kept.
    pub keep: usize,
    /// The folder of the backups.
    pub to: String,
}
