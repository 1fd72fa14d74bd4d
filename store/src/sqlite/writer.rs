//! The thread that owns the writing connection and commits in groups.

use super::conditions::is_busy;
use super::health::WriterHealth;
use super::log::WriteAheadLog;
use super::tx::Transaction;
use crate::StoreError;
use crate::ledger::Ledger;
use crate::options::WriterShared;
use anyhow::{Result, anyhow};
use rusqlite::{Connection, TransactionBehavior};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Writes in one transaction: many enough to share the latency of the disk, few enough that none waits long for the
/// others.
const BATCH_MAX: usize = 256;

/// A write. It may run twice: when another write of its group fails, each runs again in a transaction of its own.
trait Write: Send {
    fn run(&mut self, transaction: &mut Transaction) -> Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Job<F, T> {
    run: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F: FnMut(&mut Transaction) -> Result<T> + Send, T: Send> Write for Job<F, T> {
    fn run(&mut self, transaction: &mut Transaction) -> Result<()> {
        self.result = Some((self.run)(transaction)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        // The caller may no longer wait; the write is kept.
        let _ = reply.send(committed.and_then(|()| result.ok_or(StoreError::Closed)));
    }
}

#[derive(Debug)]
pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Box<dyn Write>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    health: WriterHealth,
}

impl Writer {
    /// Starts the thread. At most `queue` writes wait for it.
    pub fn start(connection: Connection, log: WriteAheadLog, queue: usize, shared: WriterShared) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(queue.min(Semaphore::MAX_PERMITS));
        let health = WriterHealth::default();
        let group = WriteGroup { connection, shared, log, health: health.clone() };
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || group.work(receiver))?;
        Ok(Self { queue: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), health })
    }

    /// Returns why the last commit failed, if it did.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.health.trouble()
    }

    /// Writes, or returns [`StoreError::Busy`] without waiting if too many writes wait.
    pub async fn try_write<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Transaction) -> Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answer) = job(run);
        let sent = self.sender().map(|queue| queue.try_send(job));
        match sent {
            Some(Ok(())) => answer.await.unwrap_or(Err(StoreError::Closed)),
            Some(Err(TrySendError::Full(_))) => Err(StoreError::Busy),
            Some(Err(TrySendError::Closed(_))) | None => Err(StoreError::Closed),
        }
    }

    /// Writes, and waits for room in the queue.
    pub async fn write<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Transaction) -> Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answer) = job(run);
        let Some(queue) = self.sender() else { return Err(StoreError::Closed) };
        queue.send(job).await.map_err(|_| StoreError::Closed)?;
        drop(queue);
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Writes from a thread that may block.
    pub fn write_blocking<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Transaction) -> Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answer) = job(run);
        let queue = self.sender().ok_or(StoreError::Closed)?;
        queue.blocking_send(job).map_err(|_| StoreError::Closed)?;
        drop(queue);
        answer.blocking_recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Returns whether the thread is running.
    pub fn is_open(&self) -> bool {
        self.sender().is_some_and(|queue| !queue.is_closed())
    }

    /// Finishes every waiting write and ends the thread.
    pub fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }

    fn sender(&self) -> Option<mpsc::Sender<Box<dyn Write>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn job<T: Send + 'static>(
    run: impl FnMut(&mut Transaction) -> Result<T> + Send + 'static,
) -> (Box<dyn Write>, oneshot::Receiver<Result<T, StoreError>>) {
    let (reply, answer) = oneshot::channel();
    (Box::new(Job { run, result: None, reply }), answer)
}

struct WriteGroup {
    connection: Connection,
    shared: WriterShared,
    log: WriteAheadLog,
    health: WriterHealth,
}

impl WriteGroup {
    fn work(mut self, mut queue: mpsc::Receiver<Box<dyn Write>>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while queue.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            match self.commit(&mut batch) {
                Ok(()) => {
                    batch.drain(..).for_each(|write| write.answer(Ok(())));
                    self.log.bound(&self.connection);
                }
                Err(error) if batch.len() > 1 && !is_busy(&error) => {
                    // A write must not fail because of its neighbours.
                    for write in std::mem::take(&mut batch) {
                        let mut alone = [write];
                        let result = self.commit(&mut alone);
                        let [write] = alone;
                        write.answer(result.map_err(|error| self.store_error(error)));
                    }
                }
                Err(error) => {
                    let error = self.store_error(error);
                    batch.drain(..).for_each(|write| write.answer(Err(error.clone())));
                }
            }
        }
        self.log.end(&self.connection);
    }

    fn commit(&mut self, batch: &mut [Box<dyn Write>]) -> Result<()> {
        let started = Instant::now();
        let WriterShared { clock, policy, outbound, topics, on_commit } = &self.shared;
        let outbound_before = outbound.load_full();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut ledger = Transaction::begin(&transaction, clock, policy, outbound_before.clone());
        for write in batch.iter_mut() {
            let run = catch_unwind(AssertUnwindSafe(|| write.run(&mut ledger)));
            run.unwrap_or_else(|_| Err(anyhow!("a write panicked")))?;
        }
        ledger.finish()?;
        let Ledger { outbound: outbound_after, changed, events, .. } = ledger;
        transaction.commit()?;
        if !Arc::ptr_eq(&outbound_after, &outbound_before) {
            outbound.store(outbound_after);
        }
        topics.publish(changed, events);
        on_commit(batch.len(), started.elapsed());
        self.health.succeed();
        Ok(())
    }

    fn store_error(&self, error: anyhow::Error) -> StoreError {
        if is_busy(&error) {
            self.health.fail(&format!("{error:#}"));
            return StoreError::Blocked;
        }
        self.health.log(&format!("cannot write to the database: {error:#}"));
        StoreError::Failed(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::WriteClock;
    use crate::ledger::Tx;
    use crate::options::WriterShared;
    use crate::rows::Cursor;
    use crate::sqlite::Opened;
    use crate::topics::Topics;
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
        let database = Arc::new(Opened::open(folder.path()).unwrap().start(64, shared).unwrap());
        let mut running = JoinSet::new();
        for index in 0..40 {
            let database = database.clone();
            running.spawn(async move {
                let (name, cursor) = (format!("s-{index}"), Cursor { start: "now".into(), position: "1".into() });
                let write = move |ledger: &mut crate::sqlite::Transaction| {
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
