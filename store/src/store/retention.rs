//! Retention, counts by minute, and the space that the store uses.

use super::Store;
use crate::error::StoreError;
use crate::leases::Grant;
use crate::ledger::Writes;
use crate::reads::Reads;
use crate::rows::{CountFilter, CountSeries, PrunePosition, Pruned, StorageUse, StoredKind};
use anyhow::Result;
use hookmill_incident::id::row_key_at;
use hookmill_notify::Trigger;
use serde_json::Value;
use std::time::{Duration, Instant};

const HOUR_MS: i64 = 60 * 60 * 1000;
/// The hours for which samples of the used space are kept.
const SAMPLE_HOURS: i64 = 30 * 24;

/// The answer of a write that should not delay others, and how long it kept the writer.
#[derive(Clone, Copy, Debug)]
pub struct Timed<T> {
    /// The answer.
    pub answer: T,
    /// The time of the write itself, without the time that it waited for others and for the disk.
    pub took: Duration,
}

impl Store {
    /// Returns the key before which rows of an age are old enough to be removed; `None` if the clock may be wrong.
    pub fn aged_key(&self, age: Duration) -> Option<i64> {
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        self.clock.steady_ms().map(|now| row_key_at(now.saturating_sub(age_ms)))
    }

    /// Removes one batch of rows of a kind that are older than a key.
    ///
    /// # Errors
    /// Returns an error if they cannot be removed, or the lease was granted again.
    pub async fn prune(
        &self,
        under: &Grant,
        kind: StoredKind,
        before: i64,
        from: Option<PrunePosition>,
    ) -> Result<Timed<Pruned>, StoreError> {
        self.timed(under, move |ledger| ledger.prune(kind, before, from, false)).await
    }

    pub(super) async fn timed<A: Send + 'static>(
        &self,
        under: &Grant,
        mut run: impl FnMut(&mut Writes) -> Result<A> + Send + 'static,
    ) -> Result<Timed<A>, StoreError> {
        let timed = move |ledger: &mut Writes| {
            let started = Instant::now();
            run(ledger).map(|answer| Timed { answer, took: started.elapsed() })
        };
        self.write_under(under, timed).await
    }

    /// Gives a few free pages of the database back to the disk. Returns whether there are more to give back.
    ///
    /// # Errors
    /// Returns an error if that is not possible, or the lease was granted again.
    pub async fn release_pages(&self, under: &Grant) -> Result<Timed<bool>, StoreError> {
        self.timed(under, |ledger| ledger.rows.release_pages()).await
    }

    /// Removes counts that are too old to be shown. Returns whether there may be more.
    ///
    /// # Errors
    /// Returns an error if they cannot be removed, or the lease was granted again.
    pub async fn purge_counts(&self, under: &Grant) -> Result<Timed<bool>, StoreError> {
        self.timed(under, |ledger| ledger.purge_counts()).await
    }

    /// Returns counts of what happened. Refused payloads are counted after some seconds.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn count_series(&self, filter: CountFilter) -> Result<Vec<CountSeries>> {
        self.database.reads().count_series(filter).await
    }

    /// Returns the space that the store uses.
    ///
    /// # Errors
    /// Returns an error if it cannot be read.
    pub async fn storage(&self) -> Result<StorageUse> {
        self.database.reads().storage().await
    }

    /// Records the space that the store uses now, once for each hour.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub async fn sample_storage(&self) -> Result<(), StoreError> {
        let hour = self.clock.now_ms() / HOUR_MS;
        self.database.write(move |ledger| ledger.rows.put_storage_sample(hour, hour - SAMPLE_HOURS)).await
    }

    /// Returns whether notifications were queued about a disk that becomes too small.
    ///
    /// # Errors
    /// Returns an error if that cannot be read.
    pub async fn is_storage_low(&self) -> Result<bool> {
        Ok(self.database.reads().raised_since(Trigger::StorageLow).await?.is_some())
    }

    /// Records that the disk becomes too small and queues the notifications about it, or, without a message, that it is
    /// large enough again.
    ///
    /// # Errors
    /// Returns an error if that cannot be written.
    pub async fn set_storage_low(&self, message: Option<Value>) -> Result<(), StoreError> {
        self.database.write(move |ledger| ledger.set_storage_low(message.as_ref())).await
    }
}
