//! The decisions of the store, without a database.
//!
//! Every write is one method of [`Ledger`]: it decides what changes and calls the row verbs of [`Tx`]. Nothing in this
//! folder names SQL, a database or a thread, so that a test can run the decisions over maps in memory.

mod audit;
mod counting;
mod counts;
mod cursors;
mod deliveries;
mod destinations;
mod encoded_event;
mod events;
mod incidents;
mod repeats;
mod retention;
mod retention_tx;
mod row_verbs;
mod triage;
mod tx;

#[cfg(test)]
pub(crate) use counts::CountKey;
pub(crate) use counts::Counts;
pub(crate) use deliveries::ROWS_PER_WRITE;
pub(crate) use encoded_event::EncodedEvent;
pub(crate) use repeats::is_repeat;
pub(crate) use retention_tx::{EndedIncident, OldEvent, RetentionTx};
pub(crate) use row_verbs::RowVerbs;
pub(crate) use tx::{
    DeadDelivery, Delivered, DestinationHealth, KnownEvent, NewAuditEntry, NewDelivery, NewDetails, NewEvent,
    PlainWrites, RepeatKeyRow, Subject, TriageRequest, Tx,
};

use crate::Policy;
use crate::clock::WriteClock;
use crate::rows::Outbound;
use crate::topics::Changed;
use anyhow::Result;
use std::sync::Arc;
use uuid::Uuid;

/// One transaction: its rows, and everything else that belongs to it.
pub(crate) struct Ledger<'a, T: ?Sized> {
    /// The row verbs of the database.
    pub rows: &'a mut T,
    /// The source of ids and times.
    pub clock: &'a WriteClock,
    pub policy: &'a Policy,
    /// The destinations and notifications. A write that changes them changes them for the later writes of the same
    /// transaction, and for all others after the commit.
    pub outbound: Arc<Outbound>,
    /// The topics to publish after the commit.
    pub changed: Changed,
    /// The events whose status changed, to publish after the commit.
    pub events: Vec<Uuid>,
    /// The counts to write before the commit.
    pub counts: Counts,
}

/// The writes of one transaction of any database.
pub(crate) type Writes<'a> = Ledger<'a, dyn RowVerbs + 'a>;

/// What a transaction leaves to be done after its commit.
pub(crate) struct Outcome {
    pub outbound: Arc<Outbound>,
    pub changed: Changed,
    pub events: Vec<Uuid>,
}

impl<'a, T: Tx + ?Sized> Ledger<'a, T> {
    /// Returns the writes of a transaction that has begun.
    pub fn begin(rows: &'a mut T, clock: &'a WriteClock, policy: &'a Policy, outbound: Arc<Outbound>) -> Self {
        let (changed, events, counts) = (Changed::default(), Vec::new(), Counts::default());
        Self { rows, clock, policy, outbound, changed, events, counts }
    }

    /// Writes what was kept in memory until the end of the transaction.
    pub fn finish(mut self) -> Result<Outcome> {
        self.write_counts()?;
        let Self { outbound, changed, events, .. } = self;
        Ok(Outcome { outbound, changed, events })
    }
}
