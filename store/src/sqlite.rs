//! The store in SQLite.
//!
//! One thread owns the only connection that writes. It takes all waiting writes, up to a bound, into one transaction,
//! and answers them after the commit is on disk. Reads have connections of their own. Nothing outside this folder names
//! SQL or rusqlite.

mod audit;
mod columns;
mod database;
mod deliveries;
mod destinations;
#[cfg(test)]
mod dump;
mod events;
mod incidents;
mod queue;
mod readers;
mod reads;
mod repeats;
mod sources;
mod tokens;
mod triage;
mod tx;
mod versions;
mod writer;

#[cfg(test)]
pub(crate) use dump::{Dump, dump};
pub(crate) use tokens::TokenTable;
pub(crate) use tx::Transaction;

use crate::error::StoreError;
use crate::options::Shared;
use anyhow::Result;
use readers::Readers;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use uuid::Uuid;
use writer::Writer;

/// A database that was opened and migrated, before its writer runs.
pub(crate) struct Opened {
    connection: Connection,
    path: PathBuf,
}

impl Opened {
    /// Opens the database in a data folder, and creates it if it is missing.
    pub fn open(data_dir: &Path) -> Result<Self> {
        Ok(Self { connection: database::open(data_dir)?, path: database::path(data_dir) })
    }

    /// Returns the largest key of any row.
    pub fn last_key(&self) -> Result<i64> {
        database::last_key(&self.connection)
    }

    /// Returns the id of the newest audit entry.
    pub fn newest_audit(&self) -> Result<Uuid> {
        audit::newest_id(&self.connection)
    }

    /// Returns the silent sources, each with the start of its silence.
    pub fn silent_sources(&self) -> Result<BTreeMap<String, i64>> {
        destinations::silent_sources(&self.connection)
    }

    /// Starts the thread that writes.
    pub fn start(self, queue: usize, shared: Shared) -> Result<Sqlite> {
        Ok(Sqlite { writer: Writer::start(self.connection, queue, shared)?, readers: Readers::new(self.path) })
    }
}

/// The database.
#[derive(Debug)]
pub(crate) struct Sqlite {
    writer: Writer,
    readers: Readers,
}

impl Sqlite {
    /// Writes, or returns [`StoreError::Busy`] without waiting if too many writes wait.
    pub async fn try_write<A: Send + 'static>(
        &self,
        run: impl FnMut(&mut Transaction) -> Result<A> + Send + 'static,
    ) -> Result<A, StoreError> {
        self.writer.try_write(run).await
    }

    /// Writes, and waits for room in the queue.
    pub async fn write<A: Send + 'static>(
        &self,
        run: impl FnMut(&mut Transaction) -> Result<A> + Send + 'static,
    ) -> Result<A, StoreError> {
        self.writer.write(run).await
    }

    /// Writes from a thread that may block.
    pub fn write_blocking<A: Send + 'static>(
        &self,
        run: impl FnMut(&mut Transaction) -> Result<A> + Send + 'static,
    ) -> Result<A, StoreError> {
        self.writer.write_blocking(run)
    }

    /// Returns the reads.
    pub fn reads(&self) -> &Readers {
        &self.readers
    }

    /// Returns whether the thread that writes is running.
    pub fn is_open(&self) -> bool {
        self.writer.is_open()
    }

    /// Finishes every waiting write and ends the thread that writes.
    pub fn close(&self) {
        self.writer.close();
    }
}
