//! Recording, retrying and reading deliveries.

use super::Store;
use crate::error::StoreError;
use crate::leases::Grant;
use crate::ledger::ROWS_PER_WRITE;
use crate::reads::Reads;
use crate::rows::{
    Attempted, DeadLetters, DeliveryFilter, DeliveryRow, DueDeliveries, Page, QueueCounts, QueueRead, StoredDelivery,
};
use anyhow::Result;
use hookmill_notify::Trigger;
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

impl Store {
    /// Records attempts at one destination in the order in which they ended, with the health of the destination.
    ///
    /// # Errors
    /// Returns an error if they cannot be written, or the lease was granted again.
    pub async fn record_attempts(
        &self,
        under: &Grant,
        destination: &str,
        attempts: Vec<Attempted>,
    ) -> Result<(), StoreError> {
        let name = destination.to_owned();
        self.write_under(under, move |ledger| ledger.record_attempts(&name, &attempts)).await
    }

    /// Makes a dead or pending delivery due now, even if an earlier delivery blocks it. Returns its destination, or the
    /// reason why nothing was changed; `None` if the delivery does not exist.
    ///
    /// # Errors
    /// Returns an error if the delivery cannot be written.
    pub async fn retry_delivery(&self, id: Uuid) -> Result<Option<Result<String, String>>, StoreError> {
        self.database.write(move |ledger| ledger.retry_delivery(id)).await
    }

    /// Makes dead letters due again, oldest first. Returns their number. Dead letters of destinations that are not
    /// configured are not changed.
    ///
    /// # Errors
    /// Returns an error if they cannot be written.
    pub async fn retry_dead(&self, filter: DeliveryFilter) -> Result<u64, StoreError> {
        let (mut after, mut retried) = (0, 0);
        loop {
            let filter = filter.clone();
            let keys = self.database.write(move |ledger| ledger.retry_dead(&filter, after)).await?;
            retried += keys.len() as u64;
            match keys.last() {
                Some(last) if keys.len() == ROWS_PER_WRITE => after = *last,
                _ => return Ok(retried),
            }
        }
    }

    /// Removes delivered deliveries with keys between two keys. Returns the key from which to continue, if there may be
    /// more.
    ///
    /// # Errors
    /// Returns an error if they cannot be removed, or the lease was granted again.
    pub async fn purge_delivered(&self, under: &Grant, after: i64, before: i64) -> Result<Option<i64>, StoreError> {
        self.write_under(under, move |ledger| ledger.purge_delivered(after, before)).await
    }

    /// Queues deliveries about something that happened to the host itself, for every notification with this trigger.
    ///
    /// # Errors
    /// Returns an error if they cannot be written.
    pub async fn enqueue_notice(&self, trigger: Trigger, message: Value) -> Result<(), StoreError> {
        self.database.write(move |ledger| ledger.enqueue_notice(trigger, &message)).await
    }

    /// Returns the due deliveries of some destinations, in their order.
    ///
    /// # Errors
    /// Returns an error if those of any destination cannot be read.
    pub async fn due_deliveries(&self, queues: Arc<[QueueRead]>) -> Result<Vec<DueDeliveries>> {
        self.database.reads().due_deliveries(queues).await
    }

    /// Returns a delivery; `None` if it does not exist.
    ///
    /// # Errors
    /// Returns an error if it cannot be read.
    pub async fn delivery(&self, id: Uuid) -> Result<Option<StoredDelivery>> {
        self.database.reads().delivery(id).await
    }

    /// Returns the groups of dead letters with the same destination and error, the largest first.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn dead_letters(&self, destinations: Vec<String>, limit: usize) -> Result<Vec<DeadLetters>> {
        self.database.reads().dead_letters(destinations, limit).await
    }

    /// Returns the numbers of pending and of dead deliveries of each configured destination.
    ///
    /// # Errors
    /// Returns an error if they cannot be counted.
    pub async fn delivery_counts(&self) -> Result<Vec<QueueCounts>> {
        let names = self.outbound.load().destinations.keys().map(ToString::to_string).collect();
        self.database.reads().delivery_counts(names).await
    }

    /// Returns deliveries, the newest first.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn deliveries(
        &self,
        filter: DeliveryFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<DeliveryRow>> {
        self.database.reads().deliveries(filter, before, limit).await
    }
}
