//! Counts what happens: in memory, and written once for all writes of a transaction.

use super::counts::MINUTE_MS;
use super::{Ledger, Tx};
use crate::rows::CountKind;
use anyhow::Result;

/// The days for which counts are kept.
const DAYS_KEPT: i64 = 30;
/// The counts that one write removes.
const COUNTS_PER_WRITE: usize = 1000;

impl<T: Tx + ?Sized> Ledger<'_, T> {
    pub(super) fn count(&mut self, kind: CountKind, name: &str, result: &'static str) {
        self.counts.add(self.clock, kind, name, result, 1);
    }

    /// Counts payloads that were refused, of which nothing is stored.
    pub fn count_refused(&mut self, source: &str, count: u64) {
        for result in ["received", "refused"] {
            self.counts.add(self.clock, CountKind::Payloads, source, result, count);
        }
    }

    /// Writes the counts of the transaction.
    pub fn write_counts(&mut self) -> Result<()> {
        let counts = std::mem::take(&mut self.counts);
        self.rows.add_counts(&counts)
    }

    /// Removes counts that are too old to be shown, unless the clock may be wrong. Returns whether there may be more.
    pub fn purge_counts(&mut self) -> Result<bool> {
        let Some(now) = self.clock.steady_ms() else { return Ok(false) };
        let before = now / MINUTE_MS - DAYS_KEPT * 24 * 60;
        Ok(self.rows.remove_counts(before, COUNTS_PER_WRITE)? == COUNTS_PER_WRITE)
    }
}
