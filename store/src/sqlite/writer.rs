//! Groups of writes in SQLite, on the connection that writes.

use super::conditions::is_busy;
use super::log::WriteAheadLog;
use super::postings::BATCH;
use super::recent_repeats::{KEYS_MOVED, RecentRepeats};
use super::tx::SqliteTx;
use super::unindexed::Unindexed;
use super::word_segments::WordSegments;
use crate::write_queue::{CommitGroups, WriteGroup, run_group};
use crate::writer_shared::WriterShared;
use anyhow::Result;
use rusqlite::{Connection, TransactionBehavior};
use std::sync::Arc;
use std::time::Instant;

/// The usual number of writes in a group up to which less is done after it, so that the next one waits for less. It costs more in
/// all, for which there is time.
const FEW_WRITES: usize = 16;
/// The number of groups of which `recent_writes` is about the sum.
const GROUPS_SUMMED: usize = 8;

/// The connection that writes.
pub(super) struct SqliteWriter {
    pub connection: Connection,
    pub shared: WriterShared,
    pub log: WriteAheadLog,
    pub unindexed: Arc<Unindexed>,
    pub segments: WordSegments,
    pub repeats: RecentRepeats,
    /// Whether the last group had nothing done after it but the index of searches.
    pub has_put_off: bool,
    /// The writes of the last groups, the latest of which count the most. One that had to wait is large, and does not count as such.
    pub recent_writes: usize,
}

impl CommitGroups for SqliteWriter {
    fn commit(&mut self, group: &mut WriteGroup) -> Result<()> {
        if self.unindexed.index_if_wanted(&mut self.connection) {
            self.segments.add();
        }
        let started = Instant::now();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut rows = SqliteTx::new(&transaction, &self.shared.clock, &self.repeats);
        let mut ledger = self.shared.begin(&mut rows);
        run_group(group, &mut ledger)?;
        let outcome = ledger.finish()?;
        let finished = rows.finish()?;
        self.unindexed.add(finished.new_incidents);
        transaction.commit()?;
        self.repeats.apply(finished.repeats);
        if finished.has_changed_words {
            self.segments.add();
        }
        self.shared.publish(outcome);
        (self.shared.on_commit)(group.len(), started.elapsed());
        Ok(())
    }

    fn is_blocked(&self, error: &anyhow::Error) -> bool {
        is_busy(error)
    }

    /// Does one thing that takes long, so that the next group waits for no more, and two if each group brings many incidents.
    /// Merges can wait the longest.
    fn tidy(&mut self, writes: usize) {
        self.recent_writes = self.recent_writes - self.recent_writes / GROUPS_SUMMED + writes.min(2 * FEW_WRITES);
        let parts = if self.recent_writes <= GROUPS_SUMMED * FEW_WRITES { 8 } else { 1 };
        let has_indexed = self.unindexed.index_if_many(&mut self.connection, BATCH / parts);
        if has_indexed {
            self.segments.add();
        }
        self.has_put_off = has_indexed && !self.has_put_off;
        if !self.has_put_off && !self.repeats.move_some(&mut self.connection, KEYS_MOVED / parts) {
            self.segments.merge_some(&self.connection);
        }
        self.log.bound(&self.connection);
    }

    fn end(&mut self) {
        self.log.end(&self.connection);
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::WriteClock;
    use crate::rows::Cursor;
    use crate::sqlite::Opened;
    use crate::topics::Topics;
    use crate::writer_shared::WriterShared;
    use crate::{Dedup, Policy, StoreError};
    use anyhow::bail;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::task::JoinSet;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_write_that_fails_or_panics_does_not_fail_the_others_of_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let dedup = Dedup { retention: Duration::from_secs(60), window: Duration::from_secs(60) };
        let committed = Arc::new(AtomicUsize::new(0));
        let counted = committed.clone();
        let shared = WriterShared {
            policy: Policy { dedup, reopen_within: Duration::ZERO },
            clock: Arc::new(WriteClock::after(0, hookmill_incident::Clock::default())),
            outbound: Arc::default(),
            topics: Arc::new(Topics::new(Uuid::nil())),
            on_commit: Box::new(move |writes, _| {
                counted.fetch_add(writes, Ordering::Relaxed);
            }),
        };
        let database = Arc::new(Opened::open(folder.path()).unwrap().start(64, shared).unwrap().0);
        let mut running = JoinSet::new();
        for index in 0..40 {
            let database = database.clone();
            running.spawn(async move {
                let (name, cursor) = (format!("s-{index}"), Cursor { start: "now".into(), position: "1".into() });
                let write = move |ledger: &mut crate::ledger::Writes| {
                    ledger.rows.put_cursor(&name, &cursor)?;
                    match index {
                        11 => bail!("it fails"),
                        22 => std::panic::panic_any("it panics"),
                        _ => Ok(()),
                    }
                };
                (index, database.write(write).await)
            });
        }
        let results = running.join_all().await;
        assert_eq!(committed.load(Ordering::Relaxed), 38, "every committed write is counted");
        for (index, result) in results {
            let fails = [11, 22].contains(&index);
            assert_eq!(matches!(result, Err(StoreError::Failed(_))), fails, "write {index}: {result:?}");
            let name = format!("s-{index}");
            let found = database.write(move |ledger| ledger.rows.find_cursor(&name, "now")).await.unwrap();
            assert_eq!(found.is_none(), fails, "write {index}");
        }
    }
}
