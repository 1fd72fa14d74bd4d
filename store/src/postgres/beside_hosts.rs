//! A connection of a command that works beside running hosts, in short transactions of its own.

use super::ahead::{Known, Wanted};
use super::connection::Address;
use super::head;
use super::migration::check_current;
use super::moving::refuse_moved;
use super::query::cell;
use super::reads::stored_days;
use super::session::Session;
use super::tx::PostgresTx;
use crate::clock::WriteClock;
use crate::ledger::{Ledger, Writes};
use crate::options::Policy;
use crate::rows::StorageUse;
use anyhow::{Context, Result, ensure};
use std::fmt;
use std::sync::Arc;

/// A writing connection beside those of the hosts.
pub(crate) struct BesideHosts {
    session: Session,
    clock: WriteClock,
    policy: Policy,
}

impl fmt::Debug for BesideHosts {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("BesideHosts").finish_non_exhaustive()
    }
}

impl BesideHosts {
    /// Connects to a database, which must have the tables of this version.
    pub fn open(address: &Address, policy: Policy, times: hookmill_incident::Clock) -> Result<Self> {
        let runtime = Arc::new(tokio::runtime::Builder::new_current_thread().enable_all().build()?);
        let session = Session::connect(runtime, address).context("cannot connect to the database")?;
        session.wait_for(async |client| check_current(client).await)?;
        session.wait_for(async |client| refuse_moved(client, address).await)?;
        let beside = Self { session, clock: WriteClock::after(0, times), policy };
        beside.clock.advance(beside.last_key()?);
        Ok(beside)
    }

    /// Returns the largest key of any row.
    pub fn last_key(&self) -> Result<i64> {
        self.session.wait_for(async |client| cell(client, "SELECT last_key FROM head", &[]).await)
    }

    /// Returns the space that the database uses.
    pub fn storage(&self) -> Result<StorageUse> {
        self.session.wait_for(async |client| stored_days::usage(client, self.session.profile).await)
    }

    /// Runs `run` in one transaction, between the groups of the hosts.
    pub fn write<A>(&self, run: impl FnOnce(&mut Writes) -> Result<A>) -> Result<A> {
        let written = self.write_group(run);
        if written.is_err() {
            let _ = self.session.batch("ROLLBACK");
        }
        written.context("cannot write to the database")
    }

    fn write_group<A>(&self, run: impl FnOnce(&mut Writes) -> Result<A>) -> Result<A> {
        let (head, known) = head::begin(&self.session, Wanted::default())?;
        ensure!(!head.is_moved, "everything was moved to another database meanwhile");
        self.clock.advance(head.last_key);
        let mut rows = PostgresTx::new(&self.session, &self.clock, known);
        let mut ledger: Writes = Ledger::begin(&mut rows, &self.clock, &self.policy, Arc::default());
        let answer = run(&mut ledger)?;
        let outcome = ledger.finish()?;
        let mut statements = rows.finish()?;
        statements.push(head::last_statement(None, head.number + 1, self.clock.last_row_key(), &outcome));
        self.session.commit(&statements)?;
        Ok(answer)
    }

    /// Runs `run`, which must not write, on one snapshot.
    pub fn read<A>(&self, run: impl FnOnce(&mut Writes) -> Result<A>) -> Result<A> {
        self.session.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let mut rows = PostgresTx::new(&self.session, &self.clock, Known::default());
        let mut ledger: Writes = Ledger::begin(&mut rows, &self.clock, &self.policy, Arc::default());
        let answer = run(&mut ledger);
        self.session.batch("ROLLBACK")?;
        answer.context("cannot read the database")
    }
}
