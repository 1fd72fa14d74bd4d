//! Copies of the database, as backups keep them.

use super::{SourceRow, VersionRow};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The progress of a copy.
#[derive(Clone, Copy, Debug)]
pub struct CopyProgress {
    /// The bytes that were copied.
    pub copied_bytes: u64,
    /// The size of the database.
    pub total_bytes: u64,
    /// The growth of the write-ahead log since the copy began. The log cannot be emptied before the copy ends.
    pub log_growth_bytes: u64,
}

/// The content of a copy of the database.
#[derive(Debug)]
pub struct DatabaseCopy {
    /// The version of the schema.
    pub schema: usize,
    /// The content of the file `store.mark` that fits the copy.
    pub mark: Vec<u8>,
    /// The number of rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// The versions of plugins that were live, each plugin's live version first.
    pub versions: Vec<VersionRow>,
    /// The registered sources with their sealed secrets.
    pub sources: Vec<SourceRow>,
}

/// The start of a restored database.
#[derive(Clone, Copy, Debug)]
pub struct NewEpoch {
    /// The time of the backup, in milliseconds since the Unix epoch.
    pub backup_at: i64,
    /// The present time, in milliseconds since the Unix epoch.
    pub now: i64,
    /// The count of incident numbers to leave out, because they may have been given after the backup.
    pub skipped_numbers: u32,
}

impl NewEpoch {
    /// Returns why work that waited in a backup is not done.
    pub(crate) fn reason(backup_at: i64) -> String {
        format!("restored from a backup of {}", Timestamp::from_millisecond(backup_at).unwrap_or_default())
    }
}

/// The changes at the start of a restored database.
#[derive(Clone, Copy, Debug)]
pub struct EpochChanges {
    /// The number of pending deliveries that became dead letters.
    pub dead_deliveries: usize,
    /// The number of failed triage requests that are not repeated for another version of their playbook.
    pub ended_triages: usize,
}
