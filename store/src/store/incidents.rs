//! Changing and reading incidents and their audit entries.

use super::Store;
use crate::error::StoreError;
use crate::reads::Reads;
use crate::rows::{
    BoundedCount, IncidentFilter, IncidentKey, IncidentRow, Listed, OpenIncidents, Order, Page, PatchRefusal, Position,
    RelatedIncident, SharedObservable,
};
use anyhow::Result;
use hookmill_incident::{AuditEntry, Patch};
use std::ops::ControlFlow;
use uuid::Uuid;

impl Store {
    /// Applies an analyst's change.
    ///
    /// # Errors
    /// Returns an error if the change cannot be written.
    pub async fn patch(
        &self,
        which: IncidentKey,
        patch: Patch,
        by: String,
        request_id: String,
    ) -> Result<Result<IncidentRow, PatchRefusal>, StoreError> {
        self.database.write(move |ledger| ledger.patch(which, patch.clone(), &by, &request_id)).await
    }

    /// Deletes an incident. Its audit entries are kept, and the last one names who deleted the incident.
    ///
    /// # Errors
    /// Returns an error if the incident cannot be deleted.
    pub async fn delete(
        &self,
        which: IncidentKey,
        by: String,
        request_id: String,
    ) -> Result<Result<(), PatchRefusal>, StoreError> {
        self.database.write(move |ledger| ledger.delete(which, &by, &request_id)).await
    }

    /// Returns one incident.
    ///
    /// # Errors
    /// Returns an error if it cannot be read.
    pub async fn incident(&self, which: IncidentKey) -> Result<Option<Listed<IncidentRow>>> {
        self.database.reads().incident(which).await
    }

    /// Returns the incidents that pass all filters, in an order, after the last position of the page before.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn incidents(
        &self,
        filter: IncidentFilter,
        order: Order,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Page<Listed<IncidentRow>, Position>> {
        self.database.reads().incidents(filter, order, after, limit).await
    }

    /// Counts the incidents that pass all filters, up to a number.
    ///
    /// # Errors
    /// Returns an error if they cannot be counted.
    pub async fn count_incidents(&self, filter: IncidentFilter, max: usize) -> Result<BoundedCount> {
        self.database.reads().count_incidents(filter, max).await
    }

    /// Returns the incidents that share observables with one: those with the rarest first, then those with the most, then
    /// the newest. Values that more than 50 incidents share and local addresses do not count.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn related_incidents(
        &self,
        which: IncidentKey,
        limit: usize,
    ) -> Result<Option<Listed<Vec<RelatedIncident>>>> {
        self.database.reads().related_incidents(which, limit).await
    }

    /// Returns the observables of an incident, each with the number of incidents that have its value, itself included. 51
    /// stands for all larger numbers.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn counted_observables(&self, which: IncidentKey) -> Result<Option<Listed<Vec<SharedObservable>>>> {
        self.database.reads().counted_observables(which).await
    }

    /// Returns audit entries of an incident after a key, the oldest first; also of an incident that was deleted.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn audit(
        &self,
        which: IncidentKey,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Option<Page<Listed<AuditEntry>>>> {
        self.database.reads().audit(which, after, limit).await
    }

    /// Returns audit entries of an incident before a key, the newest first; also of an incident that was deleted.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn audit_backwards(
        &self,
        which: IncidentKey,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Option<Page<Listed<AuditEntry>>>> {
        self.database.reads().audit_backwards(which, before, limit).await
    }

    /// Returns the audit entries of an incident that a request caused, each followed by the entry before it, the newest
    /// first: those before a key.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn audit_of_request(
        &self,
        which: IncidentKey,
        request_id: String,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Option<Page<Listed<AuditEntry>>>> {
        self.database.reads().audit_of_request(which, request_id, before, limit).await
    }

    /// Returns the newest audit entry of an incident; also of an incident that was deleted.
    ///
    /// # Errors
    /// Returns an error if it cannot be read.
    pub async fn newest_audit(&self, which: IncidentKey) -> Result<Option<AuditEntry>> {
        self.database.reads().newest_audit(which).await
    }

    /// Calls `add` with `to` and each audit entry after this id, the oldest first, until `add` breaks. Returns `to`.
    ///
    /// # Errors
    /// Returns an error if the entries cannot be read.
    pub async fn audit_after<T: Send + 'static>(
        &self,
        after: Uuid,
        to: T,
        add: impl FnMut(&mut T, Uuid, &Listed<AuditEntry>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<T> {
        self.database.reads().audit_after(after, to, add).await
    }

    /// Returns the numbers of open incidents by severity, the highest first, and by age.
    ///
    /// # Errors
    /// Returns an error if they cannot be counted.
    pub async fn open_incidents(&self) -> Result<Vec<OpenIncidents>> {
        self.database.reads().open_incidents(self.clock.now_ms()).await
    }
}
