//! The start of a shared database that the tools of PostgreSQL restored.

use crate::host_identity::new_identity;
use anyhow::Result;
use hookmill_incident::Clock;
use hookmill_store::{DatabaseAddress, Dedup, EpochChanges, Policy, Store, begin_shared_epoch};
use jiff::Timestamp;
use std::path::Path;
use std::time::Duration;

/// The changes in a restored database.
#[derive(Debug)]
pub struct RestoredDatabase {
    /// The time of the newest row.
    pub backup_at: Timestamp,
    /// The number of pending deliveries that became dead letters.
    pub dead_deliveries: usize,
    /// The number of triage requests that were ended.
    pub ended_triages: usize,
}

/// Prepares a restored database before the first host uses it: what waited in it is not done again, and ids and numbers of the
/// lost time are not given again. `data_dir` is the data folder of a host, which must not run.
///
/// # Errors
/// Returns an error if a host runs, or the database cannot be written.
pub async fn begin_restored(
    address: &DatabaseAddress,
    data_dir: &Path,
    skipped_numbers: u32,
) -> Result<RestoredDatabase> {
    let clock = Clock::default();
    let (backup_ms, changes) = begin_shared_epoch(address, &clock, skipped_numbers).await?;
    let EpochChanges { dead_deliveries, ended_triages } = changes;
    // No event arrives, so the policy does not matter.
    let dedup = Dedup { retention: Duration::ZERO, window: Duration::ZERO };
    let (policy, on_commit) = (Policy { dedup, reopen_within: Duration::ZERO }, Box::new(|_, _| {}));
    let store = Store::connect(address.clone(), new_identity()?, data_dir, 16, policy, on_commit, clock).await?;
    let skipped_triages = store.skip_triage(backup_ms).await?;
    tokio::task::spawn_blocking(move || store.close()).await?;
    let backup_at = Timestamp::from_millisecond(backup_ms)?;
    Ok(RestoredDatabase { backup_at, dead_deliveries, ended_triages: ended_triages + skipped_triages })
}
