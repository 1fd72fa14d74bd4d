//! The trail of what operators change.

use super::Store;
use crate::error::StoreError;
use crate::reads::Reads;
use crate::rows::{OperatorAction, Page};
use anyhow::Result;
use hookmill_incident::id::row_key_at;
use uuid::Uuid;

/// The time for which actions are kept: a year and a month, so that a yearly review sees all of them.
const RETENTION_MS: i64 = 400 * 24 * 60 * 60 * 1000;

impl Store {
    /// Records an action of an operator, and removes those that are too old.
    ///
    /// # Errors
    /// Returns an error if the action cannot be written.
    pub async fn record_operator_action(&self, action: OperatorAction) -> Result<(), StoreError> {
        let oldest = self.clock.steady_ms().map(|now| row_key_at(now - RETENTION_MS));
        self.database.write(move |ledger| ledger.rows.add_operator_action(&action, oldest)).await
    }

    /// Returns the actions before a key, the newest first; with `ids`, those with these ids.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn operator_actions(
        &self,
        ids: Vec<Uuid>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<OperatorAction>> {
        self.database.reads().operator_actions(ids, before, limit).await
    }
}
