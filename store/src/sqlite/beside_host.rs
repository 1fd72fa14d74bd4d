//! A connection of a command that works beside a running host, in short transactions of its own.

use super::database;
use super::recent_repeats::RecentRepeats;
use super::storage;
use super::tx::SqliteTx;
use super::word_segments::WordSegments;
use crate::clock::WriteClock;
use crate::ledger::{Ledger, Writes};
use crate::options::Policy;
use crate::rows::StorageUse;
use anyhow::{Context, Result};
use rusqlite::{Connection, Transaction as SqliteTransaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A writing connection beside that of the host.
#[derive(Debug)]
pub(crate) struct BesideHost {
    connection: Connection,
    path: PathBuf,
    clock: WriteClock,
    policy: Policy,
    /// Those of the host, as far as they were read. No command adds one: positions are the host's.
    repeats: RecentRepeats,
    segments: WordSegments,
}

impl BesideHost {
    /// Opens the database in a data folder, which must be there.
    pub fn open(data_dir: &Path, policy: Policy, times: hookmill_incident::Clock) -> Result<Self> {
        database::prepare_file(data_dir, false)?;
        let connection = database::open_beside_host(data_dir)?;
        let clock = WriteClock::after(database::last_key(&connection)?, times);
        let (repeats, segments) = (RecentRepeats::default(), WordSegments::default());
        Ok(Self { connection, path: database::path(data_dir), clock, policy, repeats, segments })
    }

    /// Returns the largest key of any row.
    pub fn last_key(&self) -> Result<i64> {
        database::last_key(&self.connection)
    }

    /// Returns the space that the database uses.
    pub fn storage(&self) -> Result<StorageUse> {
        storage::usage(&self.connection, &self.path)
    }

    /// Runs `run` in one transaction. Waits for a moment if the host writes.
    pub fn write<A>(&mut self, run: impl FnOnce(&mut Writes) -> Result<A>) -> Result<A> {
        self.run(TransactionBehavior::Immediate, run).context("cannot write to the database")
    }

    /// Runs `run`, which must not write, on one snapshot.
    pub fn read<A>(&mut self, run: impl FnOnce(&mut Writes) -> Result<A>) -> Result<A> {
        self.run(TransactionBehavior::Deferred, run).context("cannot read the database")
    }

    fn run<A>(&mut self, behavior: TransactionBehavior, run: impl FnOnce(&mut Writes) -> Result<A>) -> Result<A> {
        let transaction: SqliteTransaction = self.connection.transaction_with_behavior(behavior)?;
        self.repeats.read(&transaction)?;
        let mut rows = SqliteTx::new(&transaction, &self.clock, &self.repeats);
        let mut ledger: Writes = Ledger::begin(&mut rows, &self.clock, &self.policy, Arc::default());
        let answer = run(&mut ledger)?;
        ledger.finish()?;
        let finished = rows.finish()?;
        transaction.commit()?;
        if finished.has_changed_words {
            self.segments.add();
            self.segments.merge_some(&self.connection);
        }
        Ok(answer)
    }
}
