//! The store in SQLite.
//!
//! One thread owns the only connection that writes. It takes all waiting writes, up to a bound, into one transaction,
//! and answers them after the commit is on disk. Reads have connections of their own. Nothing outside this folder names
//! SQL or rusqlite.

mod audit;
mod beside_host;
mod check;
mod checkpoints;
mod columns;
mod compact;
mod conditions;
pub(crate) mod copy;
mod counts;
mod database;
mod deliveries;
mod destinations;
#[cfg(test)]
mod dump;
pub(crate) mod epoch;
mod events;
mod gate;
mod incidents;
mod index_rows;
mod key_lists;
mod log;
mod migration;
mod moving;
mod open_incidents;
mod operator_actions;
mod pages;
mod postings;
mod quarantine;
mod queue;
mod readers;
mod reads;
mod recent_repeats;
mod related;
mod repeats;
mod retention;
mod search;
mod search_conditions;
mod sessions;
mod sources;
mod storage;
mod stored_days;
mod tokens;
mod triage;
mod tx;
mod unindexed;
mod versions;
mod wal_file;
mod walk;
mod word_parts;
mod word_segments;
mod writer;

pub(crate) use beside_host::BesideHost;
pub(crate) use compact::compact;
#[cfg(test)]
pub(crate) use dump::{Dump, dump, tables};
pub use migration::Migration;
pub(crate) use moving::MovingFolder;
pub(crate) use tokens::TokenTable;

use crate::leases::LocalLeases;
use crate::mark::{self, Mark};
use crate::private_files::in_use;
use crate::write_queue::WriteQueue;
use crate::writer_shared::WriterShared;
use anyhow::{Result, ensure};
use gate::Gate;
use hookmill_incident::KeptPace;
use log::WriteAheadLog;
use readers::Readers;
use recent_repeats::RecentRepeats;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::warn;
use unindexed::Unindexed;
use uuid::Uuid;
use word_segments::WordSegments;
use writer::SqliteWriter;

/// A database that was opened and migrated, before its writer runs.
pub(crate) struct Opened {
    connection: Connection,
    path: PathBuf,
    /// Locked for as long as the database is open.
    file: Arc<File>,
    pace: Option<KeptPace>,
}

impl Opened {
    /// Checks and opens the database in a data folder, and creates the database if it was never there.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let accepts_loss = mark::accepts_loss(data_dir);
        let file = database::prepare_file(data_dir, accepts_loss)?;
        // A lock on a file of its own does not keep others out after that file was removed.
        ensure!(file.try_lock().is_ok(), in_use(data_dir));
        compact::remove_copy(data_dir)?;
        let connection = database::open_checked(data_dir, accepts_loss)?;
        let mut found = database::mark(&connection)?;
        match Mark::read(data_dir) {
            Ok(None) => {}
            Ok(Some(mark)) if !accepts_loss => {
                mark.check(&found, data_dir)?;
                // Kept for the case that this host ends before it writes the mark again.
                found.pace = mark.pace;
            }
            Err(error) if !accepts_loss => return Err(error),
            Ok(Some(_)) | Err(_) => {
                warn!("the file `accept-loss` is there: rows may be missing, and nothing is refused")
            }
        }
        found.write(data_dir)?;
        mark::end_acceptance(data_dir)?;
        Ok(Self { connection, path: database::path(data_dir), file: Arc::new(file), pace: found.pace })
    }

    /// Returns the pace of the clock of the last host, if it is known.
    pub fn pace(&self) -> Option<KeptPace> {
        self.pace
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
    pub fn start(mut self, queue: usize, shared: WriterShared) -> Result<(Arc<WriteQueue>, Sqlite)> {
        let gate = Arc::new(Gate::default());
        let unindexed = Arc::new(Unindexed::of(&self.connection)?);
        let repeats = RecentRepeats::begin(&mut self.connection)?;
        let log = WriteAheadLog::of(&mut self.connection, &self.path, self.file.clone(), gate.clone())?;
        let writer = SqliteWriter {
            connection: self.connection,
            shared,
            log,
            unindexed: unindexed.clone(),
            segments: WordSegments::default(),
            repeats,
            has_put_off: false,
            recent_writes: 0,
        };
        let queue = Arc::new(WriteQueue::start(queue, writer)?);
        let readers = Readers::new(self.path, gate, readers::DEADLINE);
        let leases = LocalLeases::default();
        Ok((queue.clone(), Sqlite { readers, leases, queue, unindexed, _file: self.file }))
    }
}

/// The database, without its writer.
#[derive(Debug)]
pub(crate) struct Sqlite {
    readers: Readers,
    pub leases: LocalLeases,
    queue: Arc<WriteQueue>,
    unindexed: Arc<Unindexed>,
    /// Locked for as long as the database is open.
    _file: Arc<File>,
}

impl Sqlite {
    /// Waits until searches find all incidents that are stored; while the store takes no writes, they find what they can.
    async fn index(&self) {
        if self.unindexed.is_empty() || self.queue.trouble().is_some() {
            return;
        }
        self.unindexed.want();
        let _ = self.queue.write(|_| Ok(())).await;
    }
}
