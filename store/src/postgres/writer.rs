//! Groups of writes in PostgreSQL.

use super::ahead::Wanted;
use super::conditions::{is_blocked, is_lost};
use super::connection::Address;
use super::head;
use super::own_groups::OwnGroups;
use super::session::Session;
use super::tx::PostgresTx;
use crate::clock::WriteClock;
use crate::error::StoreError;
use crate::ledger::{Ledger, Outcome, Writes};
use crate::write_queue::{CommitGroups, WriteGroup, run_group};
use crate::writer_shared::WriterShared;
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tracing::debug;

/// The time for which a group waits for a database that is away: about that of a restart.
const WAIT_MAX: Duration = Duration::from_secs(3);
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The host that writes, with its connection.
pub(super) struct PostgresWriter {
    pub address: Address,
    pub runtime: Arc<Runtime>,
    /// The id of the host.
    pub host: String,
    pub shared: WriterShared,
    /// The groups of this host, for the task that follows those of others.
    own_groups: Arc<OwnGroups>,
    session: Option<Session>,
    /// The counter of settings in the row `head` when the health of destinations was last read.
    settings: i64,
    in_doubt: Option<InDoubt>,
    /// Whether the last group found no database. The next ones do not wait for it.
    is_away: bool,
    /// Makes the ids of rehearsals, which no row gets.
    rehearsal_clock: WriteClock,
}

/// A group whose COMMIT had no answer.
struct InDoubt {
    number: i64,
    outcome: Outcome,
    /// Whether its writes still wait for the answer.
    is_current: bool,
}

impl PostgresWriter {
    pub fn new(address: Address, host: String, own_groups: Arc<OwnGroups>, shared: WriterShared) -> Result<Self> {
        let runtime = Arc::new(tokio::runtime::Builder::new_current_thread().enable_all().build()?);
        let rehearsal_clock = WriteClock::after(0, shared.clock.times().clone());
        Ok(Self {
            address,
            runtime,
            host,
            shared,
            own_groups,
            session: None,
            settings: -1,
            in_doubt: None,
            is_away: false,
            rehearsal_clock,
        })
    }

    /// Runs a group once. The connection is kept if it can be used again.
    fn run_once(&mut self, group: &mut WriteGroup) -> Result<Outcome> {
        let session = match self.session.take() {
            Some(session) => session,
            None => Session::connect(self.runtime.clone(), &self.address).context(StoreError::Blocked)?,
        };
        let result = self.run_in(&session, group);
        let is_usable = match &result {
            Ok(_) => true,
            Err(error) => !is_lost(error) && session.batch("ROLLBACK").is_ok(),
        };
        self.session = Some(session).filter(|_| is_usable);
        result
    }

    /// Returns the keys of the rows that the writes of a group will look for.
    fn rehearse(&self, group: &mut WriteGroup) -> Wanted {
        let mut rows = PostgresTx::rehearsal(&self.rehearsal_clock);
        let WriterShared { policy, outbound, .. } = &self.shared;
        for write in group {
            let mut ledger: Writes = Ledger::begin(&mut rows, &self.rehearsal_clock, policy, outbound.load_full());
            // A write that does something else ends here. It reads what it needs itself.
            let _ = run_group(std::slice::from_mut(write), &mut ledger);
        }
        rows.into_wanted()
    }

    fn run_in(&mut self, session: &Session, group: &mut WriteGroup) -> Result<Outcome> {
        let (head, known) = head::begin(session, self.rehearse(group))?;
        ensure!(!head.is_moved, StoreError::Blocked);
        if let Some(doubt) = &self.in_doubt {
            let was_committed = head::was_committed(session, &self.host, doubt.number)?;
            if let Some(InDoubt { outcome, is_current, .. }) = self.in_doubt.take().filter(|_| was_committed) {
                if is_current {
                    session.batch("ROLLBACK")?;
                    return Ok(outcome);
                }
                self.shared.publish(outcome);
            }
        }
        self.shared.clock.advance(head.last_key);
        let mut rows = PostgresTx::new(session, &self.shared.clock, known);
        let mut ledger = self.shared.begin(&mut rows);
        if head.settings != self.settings {
            ledger.read_health()?;
        }
        run_group(group, &mut ledger)?;
        let outcome = ledger.finish()?;
        let mut statements = rows.finish()?;
        let (number, last_key) = (head.number + 1, self.shared.clock.last_row_key());
        statements.push(head::last_statement(Some(&self.host), number, last_key, &outcome));
        match session.commit(&statements) {
            // A server that shuts down may say so instead of answering a COMMIT that it made.
            Err(error) if is_blocked(&error) => {
                self.in_doubt = Some(InDoubt { number, outcome, is_current: true });
                Err(error)
            }
            result => {
                result?;
                self.own_groups.add(number, head::task_counters(&outcome.changed));
                self.settings = head.settings;
                Ok(outcome)
            }
        }
    }
}

impl CommitGroups for PostgresWriter {
    fn commit(&mut self, group: &mut WriteGroup) -> Result<()> {
        let started = Instant::now();
        if let Some(doubt) = &mut self.in_doubt {
            doubt.is_current = false;
        }
        loop {
            match self.run_once(group) {
                Ok(outcome) => {
                    self.is_away = false;
                    self.shared.publish(outcome);
                    (self.shared.on_commit)(group.len(), started.elapsed());
                    return Ok(());
                }
                Err(error) if is_blocked(&error) && !self.is_away && started.elapsed() < WAIT_MAX => {
                    debug!("a group of writes is run again: {error:#}");
                    sleep(TRY_AGAIN_AFTER);
                }
                Err(error) => {
                    self.is_away = is_blocked(&error);
                    return Err(error);
                }
            }
        }
    }

    fn is_blocked(&self, error: &anyhow::Error) -> bool {
        is_blocked(error)
    }
}
