//! The thread that writes, in groups, and the writes that wait for it.

use crate::error::StoreError;
use crate::ledger::Writes;
use crate::writer_health::WriterHealth;
use anyhow::{Result, anyhow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Writes in one transaction: many enough to share the latency of the disk, few enough that none waits long for the
/// others.
const GROUP_MAX: usize = 256;

/// A write. It may run several times: when another write of its group fails, each runs again in a transaction of its own.
pub(crate) trait Write: Send {
    fn run(&mut self, ledger: &mut Writes) -> Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// The writes of one transaction.
pub(crate) type WriteGroup = [Box<dyn Write>];

/// A database that takes groups of writes.
pub(crate) trait CommitGroups {
    /// Runs writes in one transaction and commits it.
    fn commit(&mut self, group: &mut WriteGroup) -> Result<()>;
    /// Returns whether an error says that no write is possible at the moment.
    fn is_blocked(&self, error: &anyhow::Error) -> bool;
    /// Does what is due after commits of so many writes, which were answered.
    fn tidy(&mut self, _writes: usize) {}
    /// Does what is due after the last write.
    fn end(&mut self) {}
}

/// Runs the writes of a group. A write that panics fails.
pub(crate) fn run_group(group: &mut WriteGroup, ledger: &mut Writes) -> Result<()> {
    group.iter_mut().try_for_each(|write| {
        let run = catch_unwind(AssertUnwindSafe(|| write.run(ledger)));
        run.unwrap_or_else(|_| Err(anyhow!("a write panicked")))
    })
}

struct Job<F, T> {
    run: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F: FnMut(&mut Writes) -> Result<T> + Send, T: Send> Write for Job<F, T> {
    fn run(&mut self, ledger: &mut Writes) -> Result<()> {
        self.result = Some((self.run)(ledger)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        // The caller may no longer wait; the write is kept.
        let _ = reply.send(committed.and_then(|()| result.ok_or(StoreError::Closed)));
    }
}

/// The queue of the thread that writes.
#[derive(Debug)]
pub(crate) struct WriteQueue {
    sender: Mutex<Option<mpsc::Sender<Box<dyn Write>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    health: WriterHealth,
}

impl WriteQueue {
    /// Starts the thread. At most `queue` writes wait for it.
    pub fn start(queue: usize, groups: impl CommitGroups + Send + 'static) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(queue.min(Semaphore::MAX_PERMITS));
        let health = WriterHealth::default();
        let writer = Writer { groups, health: health.clone() };
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || writer.work(receiver))?;
        Ok(Self { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), health })
    }

    /// Returns why the last commit failed or does not end, if so.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.health.trouble()
    }

    /// Writes, or returns [`StoreError::Busy`] without waiting if too many writes wait.
    pub async fn try_write<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Writes) -> Result<T> + Send + 'static,
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
        run: impl FnMut(&mut Writes) -> Result<T> + Send + 'static,
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
        run: impl FnMut(&mut Writes) -> Result<T> + Send + 'static,
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
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }

    fn sender(&self) -> Option<mpsc::Sender<Box<dyn Write>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for WriteQueue {
    fn drop(&mut self) {
        self.close();
    }
}

fn job<T: Send + 'static>(
    run: impl FnMut(&mut Writes) -> Result<T> + Send + 'static,
) -> (Box<dyn Write>, oneshot::Receiver<Result<T, StoreError>>) {
    let (reply, answer) = oneshot::channel();
    (Box::new(Job { run, result: None, reply }), answer)
}

struct Writer<C> {
    groups: C,
    health: WriterHealth,
}

impl<C: CommitGroups> Writer<C> {
    fn work(mut self, mut queue: mpsc::Receiver<Box<dyn Write>>) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        while queue.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
            match self.commit(&mut group) {
                Ok(()) => {
                    let writes = group.len();
                    group.drain(..).for_each(|write| write.answer(Ok(())));
                    self.tidy(writes);
                }
                Err(error) if group.len() > 1 && !self.groups.is_blocked(&error) => {
                    // A write must not fail because of its neighbours.
                    let mut committed = 0;
                    for write in std::mem::take(&mut group) {
                        let mut alone = [write];
                        let result = self.commit(&mut alone);
                        committed += usize::from(result.is_ok());
                        let [write] = alone;
                        write.answer(result.map_err(|error| self.store_error(error)));
                    }
                    self.tidy(committed);
                }
                Err(error) => {
                    let error = self.store_error(error);
                    group.drain(..).for_each(|write| write.answer(Err(error.clone())));
                }
            }
        }
        self.groups.end();
    }

    fn commit(&mut self, group: &mut WriteGroup) -> Result<()> {
        self.health.watch(|| self.groups.commit(group))?;
        self.health.succeed();
        Ok(())
    }

    fn tidy(&mut self, writes: usize) {
        self.health.watch(|| self.groups.tidy(writes));
    }

    fn store_error(&self, error: anyhow::Error) -> StoreError {
        if self.groups.is_blocked(&error) {
            self.health.fail(&format!("{error:#}"));
            return StoreError::Blocked;
        }
        self.health.log(&format!("cannot write to the database: {error:#}"));
        StoreError::Failed(Arc::new(error))
    }
}
