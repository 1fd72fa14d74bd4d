//! Retention by hand, with or without a running host.

use crate::ledger::Writes;
use crate::options::Policy;
use crate::postgres::{Address as DatabaseAddress, BesideHosts};
use crate::private_files::private_folder;
use crate::rows::{PrunePosition, Pruned, StorageUse, StoredKind};
use crate::sqlite::{BesideHost, compact};
use anyhow::Result;
use hookmill_incident::id::{row_key_at, row_key_ms};
use std::path::Path;
use std::time::Duration;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The rows that retention removes by hand.
#[derive(Debug)]
pub struct Pruner {
    database: Database,
    /// The time from which ages are counted back.
    now_ms: i64,
    is_behind: bool,
}

#[derive(Debug)]
enum Database {
    Embedded(BesideHost),
    Shared(BesideHosts),
}

impl Pruner {
    /// Opens a data folder, whose host may run.
    ///
    /// # Errors
    /// Returns an error if the folder or its database cannot be used.
    pub fn open(data_dir: &Path, policy: Policy, clock: hookmill_incident::Clock) -> Result<Self> {
        private_folder(data_dir)?;
        let database = BesideHost::open(data_dir, policy, clock.clone())?;
        let last_key = database.last_key()?;
        Ok(Self::new(Database::Embedded(database), last_key, &clock))
    }

    /// Connects to a database that hosts share, which may run. Blocks, as all methods do.
    ///
    /// # Errors
    /// Returns an error if the database cannot be used.
    pub fn connect(address: &DatabaseAddress, policy: Policy, clock: hookmill_incident::Clock) -> Result<Self> {
        let database = BesideHosts::open(address, policy, clock.clone())?;
        let last_key = database.last_key()?;
        Ok(Self::new(Database::Shared(database), last_key, &clock))
    }

    fn new(database: Database, last_key: i64, clock: &hookmill_incident::Clock) -> Self {
        let wall_ms = clock.now_ms();
        // The newest row is the last time that is known to have passed.
        let now_ms = wall_ms.min(row_key_ms(last_key) + DAY_MS);
        // The expiry of repeat keys counts from the same time.
        clock.shift_ms(now_ms - wall_ms);
        Self { database, now_ms, is_behind: now_ms < wall_ms }
    }

    /// Returns the time from which ages are counted back, in milliseconds since the Unix epoch, if that is not the present,
    /// because the newest row is more than a day older.
    pub fn counts_back_from(&self) -> Option<i64> {
        self.is_behind.then_some(self.now_ms)
    }

    /// Removes one batch of rows of a kind that have an age; a dry run only returns them.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read or written.
    pub fn prune(
        &mut self,
        kind: StoredKind,
        age: Duration,
        from: Option<PrunePosition>,
        is_dry_run: bool,
    ) -> Result<Pruned> {
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let before = row_key_at(self.now_ms.saturating_sub(age_ms));
        let run = |ledger: &mut Writes| ledger.prune(kind, before, from, is_dry_run);
        match (&mut self.database, is_dry_run) {
            (Database::Embedded(database), true) => database.read(run),
            (Database::Embedded(database), false) => database.write(run),
            (Database::Shared(database), true) => database.read(run),
            (Database::Shared(database), false) => database.write(run),
        }
    }

    /// Gives a few free pages of the database back to the disk. Returns whether there are more to give back.
    ///
    /// # Errors
    /// Returns an error if that is not possible.
    pub fn release_pages(&mut self) -> Result<bool> {
        match &mut self.database {
            Database::Embedded(database) => database.write(|ledger| ledger.rows.release_pages()),
            // The database does so by itself.
            Database::Shared(_) => Ok(false),
        }
    }

    /// Returns the space that the store uses.
    ///
    /// # Errors
    /// Returns an error if it cannot be read.
    pub fn storage(&self) -> Result<StorageUse> {
        match &self.database {
            Database::Embedded(database) => database.storage(),
            Database::Shared(database) => database.storage(),
        }
    }

    /// Writes the database of a data folder anew, without free space, so that it gives space back from then on. Returns its
    /// size before and after.
    ///
    /// # Errors
    /// Returns an error if a host runs, or the disk has no room for a second copy. The database is unchanged then.
    pub fn compact(data_dir: &Path) -> Result<(u64, u64)> {
        compact(data_dir)
    }
}
