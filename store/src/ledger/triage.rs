//! Triage requests and their results.

use super::audit::Cause;
use super::{Ledger, Subject, TriageRequest, Tx};
use crate::rows::{IncidentKey, IncidentRow, Listed, TriageJob, TriageResult};
use anyhow::Result;
use hookmill_incident::id::row_key;
use hookmill_incident::{Action, Details, Triage, TriageStatus};
use std::collections::BTreeSet;

impl<T: Tx + ?Sized> Ledger<'_, T> {
    /// Requests triage of an incident and replaces any earlier request, unless the incident is unreadable. Returns `None`
    /// if there is no such incident.
    pub fn request_triage(
        &mut self,
        which: IncidentKey,
        playbook: &str,
        request_id: &str,
    ) -> Result<Option<Listed<IncidentRow>>> {
        let before = match self.rows.find_incident(which)? {
            Some(Ok(before)) => before,
            not_found_or_unreadable => return Ok(not_found_or_unreadable),
        };
        let mut row = before.clone();
        row.incident.triage = Some(Triage::waiting(playbook, self.clock.now()));
        self.request_triage_of(&row, true, request_id)?;
        self.save(&before, &mut row, Details::new(), Cause::untraced(request_id))?;
        Ok(Some(Ok(row)))
    }

    /// Adds a request for the playbook in the incident's record, if there is one.
    pub(super) fn request_triage_of(&mut self, row: &IncidentRow, is_manual: bool, request_id: &str) -> Result<()> {
        let Some(triage) = &row.incident.triage else { return Ok(()) };
        let (incident, playbook) = (row_key(row.id), triage.playbook.as_str());
        self.rows.put_triage_request(&TriageRequest { incident, playbook, is_manual, request_id })?;
        self.changed.triage = true;
        Ok(())
    }

    /// Applies the result of a job. Everything that a playbook requests is applied in one transaction, which also
    /// removes the triage request. Returns `false` if the request or the incident changed in the meantime, so that the
    /// playbook must be called again.
    pub fn record_triage(&mut self, job: &TriageJob, result: TriageResult) -> Result<bool> {
        let is_wanted = self.rows.has_triage_request(job)?;
        let Some(seen) = job.row.as_ref().filter(|_| is_wanted) else { return Ok(false) };
        let Some(Ok(before)) = self.rows.find_incident(IncidentKey::Id(seen.id))? else { return Ok(false) };
        if before.incident.revision != seen.incident.revision {
            return Ok(false);
        }
        let (mut row, now) = (before.clone(), self.clock.now());
        let mut triage = Triage::waiting(&job.playbook, now);
        let (mut details, mut to) = (Details::new(), BTreeSet::new());
        match result {
            TriageResult::Actions(plugin, actions) => {
                (triage.status, triage.plugin) = (TriageStatus::Done, Some(plugin));
                let names = actions.iter().filter_map(|action| match action {
                    Action::Notify(name) => Some(name),
                    _ => None,
                });
                let (known, unknown): (BTreeSet<&String>, BTreeSet<&String>) =
                    names.partition(|name| self.outbound.destination(name).is_some());
                to = known.into_iter().cloned().collect();
                triage.problems = unknown.iter().map(|name| format!("unknown destination `{name}`")).collect();
                let notifies = !to.is_empty();
                details = row.incident.triage(&mut row.guard, actions, triage, notifies, now);
                self.rows.remove_triage_request(row_key(row.id))?;
            }
            TriageResult::Failed(plugin, error) => {
                self.rows.fail_triage_request(job.key, &plugin.sha256)?;
                (triage.status, triage.plugin, triage.error) = (TriageStatus::Failed, Some(plugin), Some(error));
                row.incident.put_triage(triage);
            }
            TriageResult::Skipped(reason) => {
                (triage.status, triage.problems) = (TriageStatus::Skipped, vec![reason]);
                row.incident.put_triage(triage);
                self.rows.remove_triage_request(row_key(row.id))?;
            }
        }
        let traceparent = job.traceparent.as_deref();
        self.save(&before, &mut row, details, Cause { request_id: &job.request_id, traceparent })?;
        let outbound = self.outbound.clone();
        // Destinations that receive every audit entry already have a delivery of it.
        let known = to.iter().filter_map(|name| outbound.destination(name));
        for destination in known.filter(|known| !known.gets_all_changes) {
            let (incident, audit) = (row_key(row.id), row.newest_audit);
            let subject = Subject::Change { incident, audit, is_first: false, traceparent };
            self.enqueue(destination, subject, None)?;
        }
        Ok(true)
    }

    /// Gives up a request whose incident cannot be read, until there is another version of the playbook.
    pub fn fail_triage(&mut self, job: &TriageJob, sha256: &str) -> Result<()> {
        if self.rows.has_triage_request(job)? {
            self.rows.fail_triage_request(job.key, sha256)?;
        }
        Ok(())
    }

    /// Counts a call without a result; the call will be repeated.
    pub fn count_triage_attempt(&mut self, job: &TriageJob) -> Result<()> {
        self.rows.count_triage_attempt(job)
    }

    /// Makes failed requests of a playbook wait again, except those that failed on this version.
    pub fn retry_triage(&mut self, playbook: &str, sha256: &str) -> Result<()> {
        self.rows.retry_triage_requests(playbook, sha256)
    }
}
