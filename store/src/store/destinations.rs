//! The destinations, their health, and the notifications.

use super::Store;
use crate::error::StoreError;
use crate::leases::Grant;
use crate::ledger::ROWS_PER_WRITE;
use crate::reads::Reads;
use crate::rows::{DestinationRow, DestinationState, Outbound};
use anyhow::Result;
use hookmill_notify::Rule;
use std::sync::Arc;

impl Store {
    /// Replaces the destinations and notifications for all later writes.
    ///
    /// # Errors
    /// Returns an error if they cannot be read or written.
    pub async fn set_outbound(
        &self,
        destinations: Vec<DestinationRow>,
        rules: Vec<Rule>,
        public_url: String,
    ) -> Result<(), StoreError> {
        self.database.write(move |ledger| ledger.set_outbound(&destinations, &rules, &public_url)).await
    }

    /// Moves the pending deliveries of destinations that are no longer configured to the dead letters.
    ///
    /// # Errors
    /// Returns an error if they cannot be read or written.
    pub async fn give_up_removed(&self) -> Result<()> {
        let pending = self.database.reads().pending_destinations().await?;
        for name in pending.iter().filter(|name| self.destination(name).is_none()) {
            self.give_up(name).await?;
        }
        Ok(())
    }

    /// Moves the pending deliveries of a destination to the dead letters, if it is disabled or not configured.
    ///
    /// # Errors
    /// Returns an error if they cannot be written.
    pub async fn give_up(&self, name: &str) -> Result<(), StoreError> {
        loop {
            let name = name.to_owned();
            if self.database.write(move |ledger| ledger.give_up(&name)).await? < ROWS_PER_WRITE {
                return Ok(());
            }
        }
    }

    /// Makes deliveries due whose time was set by a clock that was ahead. Returns their number.
    ///
    /// # Errors
    /// Returns an error if they cannot be written.
    pub async fn pull_forward(&self, name: &str) -> Result<usize, StoreError> {
        let mut pulled = 0;
        loop {
            let name = name.to_owned();
            let rows = self.database.write(move |ledger| ledger.pull_forward(&name)).await?;
            pulled += rows;
            if rows < ROWS_PER_WRITE {
                return Ok(pulled);
            }
        }
    }

    /// Disables a destination and queues the notifications about that. Its pending deliveries stay until
    /// [`Store::give_up`].
    ///
    /// # Errors
    /// Returns an error if the destination cannot be written, or the lease was granted again.
    pub async fn disable_destination(&self, under: &Grant, name: &str, reason: String) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write_under(under, move |ledger| ledger.disable_destination(&name, &reason)).await
    }

    /// Enables a destination. Returns whether it was disabled; `None` if it is not configured.
    ///
    /// # Errors
    /// Returns an error if the destination cannot be written.
    pub async fn enable_destination(&self, name: &str) -> Result<Option<bool>, StoreError> {
        let name = name.to_owned();
        self.database.write(move |ledger| ledger.enable_destination(&name)).await
    }

    /// Returns the destinations and notifications.
    pub fn outbound(&self) -> Arc<Outbound> {
        self.outbound.load_full()
    }

    /// Returns whether a destination is disabled.
    pub fn is_disabled(&self, name: &str) -> bool {
        self.outbound.load().destination(name).is_some_and(|state| state.disabled.is_some())
    }

    /// Returns a destination and its health; `None` if it is not configured.
    pub fn destination(&self, name: &str) -> Option<DestinationState> {
        self.outbound.load().destination(name).cloned()
    }
}
