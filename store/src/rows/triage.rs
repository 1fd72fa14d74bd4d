//! Triage requests and the results of playbook calls.

use super::IncidentRow;
use hookmill_incident::{Action, PluginVersion, Status, TriageError};

/// A triage request with its incident.
#[derive(Clone, Debug)]
pub struct TriageJob {
    /// The incident as the playbook receives it; `None` when it was deleted or cannot be read.
    pub row: Option<IncidentRow>,
    /// Whether a person requested triage, rather than the source's `auto_triage`.
    pub is_manual: bool,
    /// The number of calls that were made.
    pub attempts: u32,
    /// The id of the request that caused the triage: an event's id, or that of a call of the API.
    pub request_id: String,
    /// The trace of the event that caused the triage; while the result is recorded, that of the playbook's call.
    pub traceparent: Option<String>,
    /// The key of the incident, which orders the jobs.
    pub key: i64,
    pub(crate) playbook: String,
}

impl TriageJob {
    /// Returns the status of the incident if the job comes too late: automatic triage is for new incidents only.
    pub fn is_late(&self) -> Option<Status> {
        let status = self.row.as_ref()?.incident.status;
        (!self.is_manual && status != Status::New).then_some(status)
    }
}

/// The result of one call of a playbook.
#[derive(Clone, Debug)]
pub enum TriageResult {
    /// Actions to apply.
    Actions(PluginVersion, Vec<Action>),
    /// An error. Another version of the playbook is called again.
    Failed(PluginVersion, TriageError),
    /// The playbook was not called, for this reason.
    Skipped(String),
}
