//! Connections that only read.
//!
//! Reads by key and the reads of the host itself never wait for lists and scans, which have connections of their own.
//! A read that takes too long is ended.

use super::conditions::is_interrupted;
use super::database;
use super::gate::Gate;
use crate::StoreError;
use anyhow::Result;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Reads by key, and those of the host itself, at once.
const SHORT_READS: usize = 4;
/// The maximum number of lists and scans at once. They keep old pages in the log.
const LONG_READS_MAX: usize = 4;
/// Short reads that may wait: one for each connection, and more.
const SHORT_WAITING_MAX: usize = 16_384;
/// Lists and scans that may wait.
const LONG_WAITING_MAX: usize = 256;
/// The longest time that a read may take, and the longest time that it may wait.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// The number of steps of SQLite's machine between two looks at the deadline: well under a millisecond.
const STEPS: i32 = 10_000;

/// The reading connections.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    gate: Arc<Gate>,
    deadline: Duration,
    short: Arc<Lane>,
    long: Arc<Lane>,
}

/// Connections for one kind of read.
#[derive(Debug)]
struct Lane {
    /// One permit for each read that runs.
    running: Arc<Semaphore>,
    /// One permit for each read that runs or waits.
    places: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Lane {
    fn new(connections: usize, waiting_max: usize) -> Arc<Self> {
        Arc::new(Self {
            running: Arc::new(Semaphore::new(connections)),
            places: Semaphore::new(connections + waiting_max),
            idle: Mutex::default(),
        })
    }
}

/// Returns the number of lists and scans at once: half of the processors, so that a scan leaves the other half to writes.
pub(super) fn long_reads() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (processors / 2).clamp(1, LONG_READS_MAX)
}

impl Readers {
    pub(super) fn new(path: PathBuf, gate: Arc<Gate>, deadline: Duration) -> Self {
        Self {
            path,
            gate,
            deadline,
            short: Lane::new(SHORT_READS, SHORT_WAITING_MAX),
            long: Lane::new(long_reads(), LONG_WAITING_MAX),
        }
    }

    /// Returns the path of the database.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads rows by their keys, or few rows of an index, in one snapshot.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.read_in(self.short.clone(), read).await
    }

    /// Reads a list, or counts, in one snapshot.
    pub async fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.read_in(self.long.clone(), read).await
    }

    /// Reads one snapshot. Blocks.
    pub fn read_blocking<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.run(&self.short, read)
    }

    async fn read_in<T: Send + 'static>(
        &self,
        lane: Arc<Lane>,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let readers = self.clone();
        let _place = lane.places.try_acquire().map_err(|_| StoreError::Overloaded)?;
        let permit = tokio::time::timeout(self.deadline, lane.running.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| StoreError::Overloaded)??;
        let own = lane.clone();
        let task = tokio::task::spawn_blocking(move || {
            // A read goes on when its caller has gone, and keeps its permit until its end.
            let _permit = permit;
            readers.run(&own, read)
        });
        task.await?
    }

    fn run<T>(&self, lane: &Lane, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let _entered = self.gate.enter();
        let idle = lane.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => database::open_to_read(&self.path)?,
        };
        let (gate, until) = (self.gate.clone(), Instant::now() + self.deadline);
        connection.progress_handler(STEPS, Some(move || gate.ends_reads() || Instant::now() >= until))?;
        let result = match connection.unchecked_transaction() {
            Ok(snapshot) => read(&snapshot),
            Err(error) => Err(error.into()),
        };
        let mut idle = lane.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // There are no more than read at once.
        idle.push(connection);
        result.map_err(|error| if is_interrupted(&error) { StoreError::Overloaded.into() } else { error })
    }
}
