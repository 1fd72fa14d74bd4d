//! The free space of the disk that holds the data folder.

use std::path::PathBuf;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// The disk that holds the data folder.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    free_bytes_min: u64,
    /// The disk should have enough free space for this time.
    pub forecast: Duration,
}

impl Disk {
    /// Returns the disk of a folder, on which this much space should be free, now and for some time.
    pub fn new(folder: PathBuf, free_bytes_min: u64, forecast: Duration) -> Self {
        Self { folder, free_bytes_min, forecast }
    }

    /// Returns the space that should be free.
    pub fn free_bytes_min(&self) -> u64 {
        self.free_bytes_min
    }

    /// Returns the free space; `None` if the disk cannot be asked.
    pub fn free_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.folder).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Returns a sentence if less space is free. A disk that cannot be asked is not short of space.
    pub fn shortage(&self) -> Option<String> {
        let free_bytes = self.free_bytes()?;
        let (free_mib, min_mib) = (free_bytes / MIB, self.free_bytes_min / MIB);
        (free_bytes < self.free_bytes_min)
            .then(|| format!("{free_mib} MiB are free on the disk of the data folder, less than {min_mib}"))
    }
}
