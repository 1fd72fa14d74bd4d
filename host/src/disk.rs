//! The free space of the disk that holds the data folder.

use std::path::PathBuf;

const MIB: u64 = 1024 * 1024;

/// The disk that holds the data folder.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    free_bytes_min: u64,
}

impl Disk {
    /// Returns the disk of a folder, on which this much space should be free.
    pub fn new(folder: PathBuf, free_bytes_min: u64) -> Self {
        Self { folder, free_bytes_min }
    }

    /// Returns a sentence if less space is free. A disk that cannot be asked is not short of space.
    pub fn shortage(&self) -> Option<String> {
        let disk = rustix::fs::statvfs(&self.folder).ok()?;
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        let (free_mib, min_mib) = (free_bytes / MIB, self.free_bytes_min / MIB);
        (free_bytes < self.free_bytes_min)
            .then(|| format!("{free_mib} MiB are free on the disk of the data folder, less than {min_mib}"))
    }
}
