//! Requesting triage and recording its results.

use super::Store;
use crate::error::StoreError;
use crate::leases::Grant;
use crate::reads::Reads;
use crate::rows::{IncidentKey, IncidentRow, Listed, TriageJob, TriageResult};
use anyhow::Result;

impl Store {
    /// Requests triage of an incident and replaces any earlier request, unless the incident is unreadable. Returns `None`
    /// if the incident does not exist.
    ///
    /// # Errors
    /// Returns an error if the request cannot be written.
    pub async fn request_triage(
        &self,
        which: IncidentKey,
        playbook: String,
        request_id: String,
    ) -> Result<Option<Listed<IncidentRow>>, StoreError> {
        self.database.write(move |ledger| ledger.request_triage(which, &playbook, &request_id)).await
    }

    /// Applies the result of a job in one transaction, which also removes the triage request. Returns `false` if the
    /// request or the incident changed in the meantime, so that the playbook must be called again.
    ///
    /// # Errors
    /// Returns an error if the result cannot be written, or the lease was granted again.
    pub async fn record_triage(&self, under: &Grant, job: TriageJob, result: TriageResult) -> Result<bool, StoreError> {
        self.write_under(under, move |ledger| ledger.record_triage(&job, result.clone())).await
    }

    /// Gives up a request whose incident cannot be read, until there is another version of the playbook.
    ///
    /// # Errors
    /// Returns an error if that cannot be written, or the lease was granted again.
    pub async fn fail_triage(&self, under: &Grant, job: TriageJob, sha256: String) -> Result<(), StoreError> {
        self.write_under(under, move |ledger| ledger.fail_triage(&job, &sha256)).await
    }

    /// Counts a call without a result; the call will be repeated.
    ///
    /// # Errors
    /// Returns an error if the count cannot be written, or the lease was granted again.
    pub async fn count_triage_attempt(&self, under: &Grant, job: TriageJob) -> Result<(), StoreError> {
        self.write_under(under, move |ledger| ledger.count_triage_attempt(&job)).await
    }

    /// Makes failed requests of a playbook wait again, except those that failed on this version.
    ///
    /// # Errors
    /// Returns an error if they cannot be written.
    pub async fn retry_triage(&self, playbook: String, sha256: String) -> Result<(), StoreError> {
        self.database.write(move |ledger| ledger.retry_triage(&playbook, &sha256)).await
    }

    /// Returns the playbooks for which requests wait.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn waiting_playbooks(&self) -> Result<Vec<String>> {
        self.database.reads().waiting_playbooks().await
    }

    /// Returns the waiting requests of a playbook, the oldest incident first, from the incident's key `after` on.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn triage_jobs(&self, playbook: String, after: i64, limit: usize) -> Result<Vec<TriageJob>> {
        self.database.reads().triage_jobs(playbook, after, limit).await
    }

    /// Returns the number of incidents that wait for a playbook.
    ///
    /// # Errors
    /// Returns an error if they cannot be counted.
    pub async fn count_triage(&self) -> Result<i64> {
        self.database.reads().count_triage().await
    }
}
