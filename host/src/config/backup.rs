//! `backup` as declared.

use super::scalar::{Mib, Period};
use super::value::Interpolated;
use crate::backup::{BYTES_PER_SECOND, LockFile, Schedule};
use anyhow::{Result, ensure};
use serde::Deserialize;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

const KEEP: usize = 24;
/// A shorter interval is refused: the host would be busy with backups.
const EVERY_MIN: Duration = Duration::from_secs(1);

/// The schedule of backups as declared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackupDeclaration {
    every: Interpolated<Period>,
    to: Interpolated<PathBuf>,
    keep: Option<Interpolated<NonZeroUsize>>,
    passphrase_file: Option<Interpolated<PathBuf>>,
    key_file: Option<Interpolated<PathBuf>>,
    without_keys: Option<Interpolated<bool>>,
    rate_mib: Option<Interpolated<Mib>>,
}

impl BackupDeclaration {
    /// Returns the schedule; relative paths start at `folder`.
    ///
    /// # Errors
    /// Returns an error if it is not clear what seals the key, or the interval is too short.
    pub fn schedule(self, folder: &Path) -> Result<Schedule> {
        let path = |path: Option<Interpolated<PathBuf>>| path.map(|path| folder.join(path.0));
        let without_keys = self.without_keys.is_some_and(|without| without.0);
        let lock = LockFile::new(path(self.passphrase_file), path(self.key_file), without_keys)?;
        let every = Duration::from(self.every.0);
        ensure!(every >= EVERY_MIN, "`every` is shorter than {} s", EVERY_MIN.as_secs());
        Ok(Schedule {
            every,
            keep: self.keep.map_or(KEEP, |keep| keep.0.get()),
            to: folder.join(self.to.0),
            lock,
            bytes_per_second: self.rate_mib.map_or(BYTES_PER_SECOND, |mib| mib.0.bytes() as u64),
        })
    }
}
