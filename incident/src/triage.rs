//! The triage of an incident by a playbook, and the actions that playbooks request.

use crate::{Observable, PluginVersion, Severity, Status, words};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

words!(
    /// The state of a playbook's work on an incident.
    TriageStatus {
        /// The playbook will be called.
        Waiting = "waiting",
        /// The playbook's actions were applied.
        Done = "done",
        /// The call failed; nothing was changed.
        Failed = "failed",
        /// The incident was no longer new when the playbook was to be called; nothing was changed.
        Skipped = "skipped",
    }
);
words!(
    /// The kind of reason why a triage failed.
    TriageCode {
        NotLoaded = "not_loaded", DeadlineExceeded = "deadline_exceeded", MemoryExceeded = "memory_exceeded",
        OutputTooLarge = "output_too_large", Trapped = "trapped",
        /// The playbook returned an error.
        Refused = "refused",
        /// The playbook returned an invalid action.
        InvalidAction = "invalid_action",
    }
);

/// The newest triage of an incident by a playbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triage {
    /// The playbook's name.
    pub playbook: String,
    /// The state of the triage.
    pub status: TriageStatus,
    /// The time of the last change of `status`.
    pub at: Timestamp,
    /// The version that was called.
    pub plugin: Option<PluginVersion>,
    /// The reason for a failure.
    pub error: Option<TriageError>,
    /// The actions that were left out, with the reason for each.
    pub problems: Vec<String>,
}

/// The reason why a triage failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriageError {
    /// The kind of reason.
    pub code: TriageCode,
    /// A description.
    pub message: String,
}

impl Triage {
    /// Returns the record of a requested call.
    pub fn waiting(playbook: &str, at: Timestamp) -> Self {
        let playbook = playbook.to_owned();
        Self { playbook, status: TriageStatus::Waiting, at, plugin: None, error: None, problems: Vec::new() }
    }
}

/// A checked action of a playbook.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variants are those of `action` in wit/plugin.wit, described there")]
pub enum Action {
    SetSeverity(Severity),
    SetStatus(Status),
    SetCategory(String),
    SetAssignee(String),
    AddTag(String),
    AddObservable(Observable),
    AddNote(String),
    Notify(String),
}
