//! Copies of the database in a data folder, and the start of a restored one.

use super::Store;
use crate::leases::{LeaseName, Leases};
use crate::postgres::{self, Address as DatabaseAddress};
use crate::private_files::{in_use, lock_file};
use crate::reads::Reads;
use crate::rows::{CopyProgress, DatabaseCopy, EpochChanges, NewEpoch, TriageResult};
use crate::sqlite::{copy, epoch};
use anyhow::{Result, bail, ensure};
use hookmill_incident::Clock;
use std::fs::File;
use std::path::Path;

/// The triage requests that are read at once.
const REQUESTS: usize = 256;

/// Returns the version of the schema that this hookmill writes, which is the newest that it reads.
pub fn schema_version() -> usize {
    copy::known_version()
}

/// Copies the database in a data folder into a new file, also while a host runs on the folder. The copy is one snapshot.
/// `on_step` is called after every MiB or so; its error ends the copy. Blocks.
///
/// # Errors
/// Returns an error if the database is damaged, or cannot be read or written to `to`.
pub fn copy_database(data_dir: &Path, to: &Path, on_step: &mut dyn FnMut(CopyProgress) -> Result<()>) -> Result<()> {
    ensure!(data_dir.is_dir(), "there is no data folder {}", data_dir.display());
    let is_in_use = lock_file(data_dir)?.try_lock().is_err();
    copy::copy(data_dir, is_in_use, to, on_step)
}

/// Checks a copy of the database and returns what it contains. A thorough check also compares indexes with their tables.
/// Blocks.
///
/// # Errors
/// Returns an error if the copy is damaged.
pub fn inspect_copy(path: &Path, is_thorough: bool) -> Result<DatabaseCopy> {
    copy::inspect(path, is_thorough)
}

/// Locks a data folder that has no database, so that no host starts on it.
///
/// # Errors
/// Returns an error if a host runs on the folder or it has a database.
pub fn lock_without_database(data_dir: &Path) -> Result<File> {
    let lock = lock_file(data_dir)?;
    if lock.try_lock().is_err() {
        bail!(in_use(data_dir));
    }
    for name in ["hookmill.db", "hookmill.db-wal"] {
        let path = data_dir.join(name);
        ensure!(
            std::fs::metadata(&path).map_or(true, |metadata| metadata.len() == 0),
            "{} is there, and a restore replaces no data; move the files of {} away, or name another data folder",
            path.display(),
            data_dir.display()
        );
    }
    Ok(lock)
}

/// Prepares the restored database in a folder: pending deliveries become dead letters, numbers are left out, ids will come
/// after all earlier ones, and the database gets a new identity. Blocks.
///
/// # Errors
/// Returns an error if the database cannot be migrated or written.
pub fn begin_epoch(folder: &Path, epoch: NewEpoch) -> Result<EpochChanges> {
    epoch::begin(folder, epoch)
}

/// Prepares a database that hosts share and that was restored from a backup, as [`begin_epoch`] does. Returns the time of its
/// newest row, which is that of the backup, in milliseconds since the Unix epoch.
///
/// # Errors
/// Returns an error if a host runs on the database, or it cannot be written.
pub async fn begin_shared_epoch(
    address: &DatabaseAddress,
    clock: &Clock,
    skipped_numbers: u32,
) -> Result<(i64, EpochChanges)> {
    postgres::begin_epoch(address, clock, skipped_numbers).await
}

impl Store {
    /// Ends the triage requests that wait in a restored database, and returns their number.
    ///
    /// # Errors
    /// Returns an error if they cannot be read or written.
    pub async fn skip_triage(&self, backup_at: i64) -> Result<usize> {
        let mut skipped = 0;
        for playbook in self.database.reads().waiting_playbooks().await? {
            let lease = self.acquire(LeaseName::Playbook(playbook.clone())).await;
            let mut after = 0;
            loop {
                let jobs = self.database.reads().triage_jobs(playbook.clone(), after, REQUESTS).await?;
                let Some(last) = jobs.last() else { break };
                after = last.key;
                for job in jobs {
                    let result = TriageResult::Skipped(NewEpoch::reason(backup_at));
                    skipped += usize::from(self.record_triage(lease.grant(), job, result).await?);
                }
            }
        }
        Ok(skipped)
    }
}
