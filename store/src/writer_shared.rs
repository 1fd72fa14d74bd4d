//! The values that the writer shares with the rest of the store.

use crate::clock::WriteClock;
use crate::ledger::{Ledger, Outcome, RowVerbs, Writes};
use crate::options::{OnCommit, Policy};
use crate::rows::Outbound;
use crate::topics::Topics;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// The values that the writer shares with the rest of the store.
pub(crate) struct WriterShared {
    pub policy: Policy,
    pub clock: Arc<WriteClock>,
    pub outbound: Arc<ArcSwap<Outbound>>,
    pub topics: Arc<Topics>,
    pub on_commit: OnCommit,
}

impl WriterShared {
    /// Returns the writes of a transaction that has begun.
    pub fn begin<'a>(&'a self, rows: &'a mut (dyn RowVerbs + 'a)) -> Writes<'a> {
        Ledger::begin(rows, &self.clock, &self.policy, self.outbound.load_full())
    }

    /// Does what is due after the commit of a transaction.
    pub fn publish(&self, outcome: Outcome) {
        let Outcome { outbound, changed, events } = outcome;
        if !Arc::ptr_eq(&outbound, &self.outbound.load()) {
            self.outbound.store(outbound);
        }
        self.topics.publish(changed, events);
    }
}
