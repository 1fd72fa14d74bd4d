//! Recording and reading events.

use super::Store;
use super::retention::Timed;
use crate::error::StoreError;
use crate::leases::Grant;
use crate::ledger::EncodedEvent;
use crate::reads::Reads;
use crate::rows::{BoundedCount, Cursor, EventFilter, EventRow, Listed, Page, QuarantineGroup, RecordDryRun, Recorded};
use anyhow::Result;
use hookmill_incident::{Event, EventStatus, Mapped};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use uuid::Uuid;

impl Store {
    /// Records a new event with everything that follows from it, unless it is a repeat.
    ///
    /// # Errors
    /// Returns [`StoreError::Busy`] without waiting if too many writes wait.
    pub async fn record(&self, mapped: Mapped) -> Result<Recorded, StoreError> {
        let encoded = EncodedEvent::of(&mapped);
        self.database.try_write(move |ledger| ledger.record(&mapped, &encoded)).await
    }

    /// Records the result of mapping a stored event again. Returns `None` if its status is no longer `was`, which also
    /// refuses the result of a host that was stopped while another one mapped the event.
    ///
    /// # Errors
    /// Returns an error if the result cannot be written.
    pub async fn record_again(
        &self,
        mapped: Mapped,
        was: EventStatus,
        attempt: u32,
    ) -> Result<Option<Recorded>, StoreError> {
        self.database.write(move |ledger| ledger.record_again(&mapped, was, attempt)).await
    }

    /// Records events that were pulled from a source, and the position after them, in one transaction. A cursor with
    /// another start than the stored one does not change the position.
    ///
    /// # Errors
    /// Returns an error if they cannot be written, or the lease was granted again.
    pub async fn record_pulled(
        &self,
        under: &Grant,
        source: Arc<str>,
        batch: Vec<Mapped>,
        cursor: Option<Cursor>,
    ) -> Result<Vec<Recorded>, StoreError> {
        let batch: Vec<_> = batch.into_iter().map(|mapped| (EncodedEvent::of(&mapped), mapped)).collect();
        self.write_under(under, move |ledger| ledger.record_pulled(&source, &batch, cursor.as_ref())).await
    }

    /// Returns the position up to which a source was read. Stores and returns that of `begin` if the source was not
    /// read, or was read from another start.
    ///
    /// # Errors
    /// Returns an error if the position cannot be read or written.
    pub async fn cursor(&self, source: Arc<str>, begin: Cursor) -> Result<String, StoreError> {
        self.database.write(move |ledger| ledger.cursor(&source, &begin)).await
    }

    /// Returns the positions up to which sources were read, by their names.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn cursors(&self) -> Result<BTreeMap<String, String>> {
        self.database.reads().cursors().await
    }

    /// Returns everything that recording an event would change, without changing it.
    ///
    /// # Errors
    /// Returns an error if the dry run fails.
    pub async fn dry_run(&self, mapped: Mapped) -> Result<RecordDryRun, StoreError> {
        self.database.write(move |ledger| ledger.dry_run(&mapped)).await
    }

    /// Returns whether an event would be a repeat.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read.
    pub async fn is_repeat(&self, event: Event) -> Result<bool> {
        self.database.reads().is_repeat(event, self.dedup).await
    }

    /// Discards an event, so that it will not be mapped. Returns `None` if the event does not exist, and `Some(false)`
    /// if its status is final.
    ///
    /// # Errors
    /// Returns an error if the status cannot be written.
    pub async fn discard(&self, id: Uuid, reason: Option<String>) -> Result<Option<bool>, StoreError> {
        self.database.write(move |ledger| ledger.discard(id, reason.as_deref())).await
    }

    /// Discards those of some events that are in quarantine, in one transaction. Returns their number.
    ///
    /// # Errors
    /// Returns an error if the status cannot be written.
    pub async fn discard_quarantined(&self, ids: Vec<Uuid>, reason: Option<String>) -> Result<usize, StoreError> {
        self.database.write(move |ledger| ledger.discard_quarantined(&ids, reason.as_deref())).await
    }

    /// Returns the groups of the quarantine, the one with the newest event first: those whose newest event has a key
    /// below `before`.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read.
    pub async fn quarantine_groups(&self, before: Option<i64>, limit: usize) -> Result<Page<QuarantineGroup>> {
        self.database.reads().quarantine_groups(before, limit).await
    }

    /// Returns the ids of events in quarantine of one group, the oldest first: those with keys in a range.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read.
    pub async fn quarantined(&self, group: String, keys: RangeInclusive<i64>, limit: usize) -> Result<Page<Uuid>> {
        self.database.reads().quarantined(group, keys, limit).await
    }

    /// Removes repeat keys that are too old to recognise anything. Returns whether there may be more.
    ///
    /// # Errors
    /// Returns an error if they cannot be removed, or the lease was granted again.
    pub async fn purge_repeats(&self, under: &Grant) -> Result<Timed<bool>, StoreError> {
        self.timed(under, |ledger| ledger.purge_repeats()).await
    }

    /// Returns an event with its body, or why this event cannot be read.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read.
    pub async fn event(&self, id: Uuid) -> Result<Option<Listed<EventRow>>> {
        self.database.reads().event(id).await
    }

    /// Returns events without their bodies, the newest first.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn events(
        &self,
        filter: EventFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<Listed<EventRow>>> {
        self.database.reads().events(filter, before, limit).await
    }

    /// Counts the events that pass a filter, up to a number.
    ///
    /// # Errors
    /// Returns an error if they cannot be counted.
    pub async fn count_found_events(&self, filter: EventFilter, max: usize) -> Result<BoundedCount> {
        self.database.reads().count_found_events(filter, max).await
    }

    /// Returns events that are queued or in quarantine, without their bodies, the oldest first.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn events_with_status(&self, status: EventStatus, after: i64, limit: usize) -> Result<Vec<EventRow>> {
        self.database.reads().events_with_status(status, after, limit).await
    }

    /// Returns events without their bodies, in the order of the ids. Those that are not there any more are left out.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn events_with_ids(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, Listed<EventRow>)>> {
        self.database.reads().events_with_ids(ids).await
    }

    /// Returns the number of events with one status that is not final.
    ///
    /// # Errors
    /// Returns an error if they cannot be counted.
    pub async fn count_events(&self, status: EventStatus) -> Result<i64> {
        self.database.reads().count_events(status).await
    }

    /// Returns the ids of the newest events of some sources: at most `limit`, shared evenly between the sources.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn newest_event_ids(&self, sources: Vec<String>, limit: usize) -> Result<Vec<Uuid>> {
        self.database.reads().newest_event_ids(sources, limit).await
    }
}
