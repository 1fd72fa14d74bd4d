//! Rows of the table `triage`.

use super::columns;
use crate::rows::{IncidentRow, TriageJob};

columns! {
    RequestColumns {
        incident: i64,
        is_manual: bool = "asked",
        attempts: u32,
        request_id: String,
    }
}

impl RequestColumns {
    /// Returns the job for a playbook, with the incident and the trace of the event that caused the request.
    pub fn into_job(self, row: Option<IncidentRow>, traceparent: Option<String>, playbook: &str) -> TriageJob {
        let Self { incident: key, is_manual, attempts, request_id } = self;
        TriageJob { row, is_manual, attempts, request_id, traceparent, key, playbook: playbook.to_owned() }
    }
}
