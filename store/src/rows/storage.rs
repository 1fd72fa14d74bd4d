//! The space that the store uses.

use super::{RowCount, StoredKind};
use std::collections::BTreeMap;

/// The space that the store uses, without the disk.
#[derive(Clone, Debug, Default)]
pub struct StorageUse {
    /// The size of the database.
    pub database_bytes: u64,
    /// The part of it that is free, for new rows or to be given back.
    pub free_bytes: u64,
    /// Whether the database gives free space back to the disk.
    pub gives_back: bool,
    /// The size of the write-ahead log.
    pub wal_bytes: u64,
    /// The rows of each kind.
    pub kinds: BTreeMap<StoredKind, KindUse>,
    /// The bytes in use at earlier times: hours since the Unix epoch, the oldest first.
    pub samples: Vec<(i64, u64)>,
}

/// The rows of one kind.
#[derive(Clone, Debug, Default)]
pub struct KindUse {
    /// The rows by the day of their creation, in days since the Unix epoch.
    pub days: BTreeMap<i64, RowCount>,
    /// The average size of a row: exact for payloads, from a sample for the others.
    pub row_bytes: f64,
}

impl KindUse {
    /// Returns the number of rows of days before one, and their bytes.
    pub fn before(&self, day: i64) -> RowCount {
        let rows = self.days.range(..day).map(|(_, count)| count.rows).sum();
        RowCount { rows, bytes: (rows as f64 * self.row_bytes) as i64 }
    }

    /// Returns the number of all rows and their bytes.
    pub fn total(&self) -> RowCount {
        self.before(i64::MAX)
    }
}

impl StorageUse {
    /// Returns the bytes of the database in use.
    pub fn used_bytes(&self) -> u64 {
        self.database_bytes - self.free_bytes
    }
}
