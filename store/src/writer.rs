//! The thread that owns the writing connection and commits in groups.

use super::destinations::Outbound;
use super::topics::{Changed, Topics};
use super::{OnCommit, Policy, StoreError};
use anyhow::{Result, anyhow};
use arc_swap::ArcSwap;
use hookmill_incident::Number;
use hookmill_incident::id::IdSource;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Writes in one transaction: enough that the disk's latency is shared by all that wait, few enough that nobody waits
/// long for the others.
const BATCH_MAX: usize = 256;

/// One write's view of the transaction that it is part of.
pub(super) struct Tx<'a> {
    pub connection: &'a Connection,
    pub ids: &'a IdSource,
    pub policy: &'a Policy,
    /// Who is told what: a write that changes it changes it for those after it, and for all when it is on disk.
    pub outbound: Arc<Outbound>,
    /// What to publish after the commit.
    pub changed: Changed,
    last_number: &'a mut Option<Number>,
}

impl Tx<'_> {
    /// The next incident number of a year. Written to the database once per transaction.
    pub fn next_number(&mut self, year: i16) -> Result<Number> {
        let last = match self.last_number {
            Some(number) if number.year == year => number.count,
            _ => {
                self.save_number()?;
                let query = "SELECT last FROM numbers WHERE year = ?";
                self.connection.prepare_cached(query)?.query_row([year], |row| row.get(0)).optional()?.unwrap_or(0)
            }
        };
        let number = Number { year, count: last + 1 };
        *self.last_number = Some(number);
        Ok(number)
    }

    /// The number that was given last in this transaction, if one was.
    pub fn last_number(&self) -> Option<Number> {
        *self.last_number
    }

    /// Goes back to a number, after what took the later ones was undone.
    pub fn set_last_number(&mut self, number: Option<Number>) {
        *self.last_number = number;
    }

    fn save_number(&mut self) -> Result<()> {
        if let Some(number) = self.last_number.take() {
            let query = "INSERT INTO numbers (year, last) VALUES (?, ?) ON CONFLICT DO UPDATE SET last = excluded.last";
            self.connection.prepare_cached(query)?.execute(params![number.year, number.count])?;
        }
        Ok(())
    }
}

/// Something to write. It may run twice: when another write of its group fails, each is tried alone.
trait Write: Send {
    fn run(&mut self, tx: &mut Tx) -> Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Job<F, T> {
    run: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F: FnMut(&mut Tx) -> Result<T> + Send, T: Send> Write for Job<F, T> {
    fn run(&mut self, tx: &mut Tx) -> Result<()> {
        self.result = Some((self.run)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        // Whoever asked may have gone; what was written stays written.
        let _ = reply.send(committed.and_then(|()| result.ok_or(StoreError::Overloaded)));
    }
}

#[derive(Debug)]
pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Box<dyn Write>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub fn start(
        connection: Connection,
        queue: usize,
        policy: Policy,
        ids: Arc<IdSource>,
        outbound: Arc<ArcSwap<Outbound>>,
        topics: Arc<Topics>,
        on_commit: OnCommit,
    ) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(queue.min(Semaphore::MAX_PERMITS));
        let group = Group { connection, policy, ids, outbound, topics, on_commit };
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || group.work(receiver))?;
        Ok(Self { queue: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    /// Writes, or says at once that too much waits already.
    pub async fn try_write<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Tx) -> Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answer) = job(run);
        let sent = self.sender().map(|queue| queue.try_send(job));
        match sent {
            Some(Ok(())) => answer.await.unwrap_or(Err(StoreError::Overloaded)),
            Some(Err(_)) | None => Err(StoreError::Overloaded),
        }
    }

    /// Writes, and waits for a place in the queue.
    pub async fn write<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Tx) -> Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answer) = job(run);
        let Some(queue) = self.sender() else { return Err(StoreError::Overloaded) };
        queue.send(job).await.map_err(|_| StoreError::Overloaded)?;
        drop(queue);
        answer.await.unwrap_or(Err(StoreError::Overloaded))
    }

    /// Writes from a thread that may block.
    pub fn write_blocking<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Tx) -> Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answer) = job(run);
        let queue = self.sender().ok_or(StoreError::Overloaded)?;
        queue.blocking_send(job).map_err(|_| StoreError::Overloaded)?;
        drop(queue);
        answer.blocking_recv().unwrap_or(Err(StoreError::Overloaded))
    }

    /// Whether the thread is there.
    pub fn is_open(&self) -> bool {
        self.sender().is_some_and(|queue| !queue.is_closed())
    }

    /// Finishes what waits and ends the thread.
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
    run: impl FnMut(&mut Tx) -> Result<T> + Send + 'static,
) -> (Box<dyn Write>, oneshot::Receiver<Result<T, StoreError>>) {
    let (reply, answer) = oneshot::channel();
    (Box::new(Job { run, result: None, reply }), answer)
}

struct Group {
    connection: Connection,
    policy: Policy,
    ids: Arc<IdSource>,
    outbound: Arc<ArcSwap<Outbound>>,
    topics: Arc<Topics>,
    on_commit: OnCommit,
}

impl Group {
    fn work(mut self, mut queue: mpsc::Receiver<Box<dyn Write>>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while queue.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            let started = Instant::now();
            match self.commit(&mut batch) {
                Ok(()) => {
                    (self.on_commit)(batch.len(), started.elapsed());
                    batch.drain(..).for_each(|write| write.answer(Ok(())));
                }
                Err(Broken::Write(_)) if batch.len() > 1 => {
                    // A write must not fail because of its neighbours.
                    for write in std::mem::take(&mut batch) {
                        let mut alone = [write];
                        let result = self.commit(&mut alone);
                        let [write] = alone;
                        write.answer(result.map_err(StoreError::from));
                    }
                }
                Err(broken) => {
                    let error = StoreError::from(broken);
                    batch.drain(..).for_each(|write| write.answer(Err(error.clone())));
                }
            }
        }
    }

    fn commit(&mut self, batch: &mut [Box<dyn Write>]) -> Result<(), Broken> {
        let outbound = self.outbound.load_full();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut last_number = None;
        let mut tx = Tx {
            connection: &transaction,
            ids: &self.ids,
            policy: &self.policy,
            outbound: outbound.clone(),
            changed: Changed::default(),
            last_number: &mut last_number,
        };
        for write in batch.iter_mut() {
            let run = catch_unwind(AssertUnwindSafe(|| write.run(&mut tx)));
            run.unwrap_or_else(|_| Err(anyhow!("a write panicked"))).map_err(Broken::Write)?;
        }
        tx.save_number().map_err(Broken::Write)?;
        let (new_outbound, changed) = (tx.outbound, tx.changed);
        transaction.commit()?;
        if !Arc::ptr_eq(&new_outbound, &outbound) {
            self.outbound.store(new_outbound);
        }
        self.topics.publish(changed);
        Ok(())
    }
}

/// Why a group was not committed.
enum Broken {
    /// One of its writes failed.
    Write(anyhow::Error),
    /// The database failed.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Broken {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Broken> for StoreError {
    fn from(broken: Broken) -> Self {
        let error = match broken {
            Broken::Write(error) => error,
            Broken::Database(error) => error.into(),
        };
        tracing::error!("cannot write to the database: {error:#}");
        Self::Failed(Arc::new(error))
    }
}
