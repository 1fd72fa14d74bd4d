//! What a playbook is asked to do with an incident, and what it answers.

use crate::words;
use crate::{Observable, PluginVersion, Severity, Status};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

words!(
    /// Where the work of a playbook on an incident stands.
    TriageStatus {
        /// It is to be called.
        Waiting = "waiting",
        /// Its actions are done.
        Done = "done",
        /// It could not; nothing was done.
        Failed = "failed",
        /// It came too late: somebody else was at work on the incident. Nothing was done.
        Skipped = "skipped",
    }
);
words!(
    /// Why a playbook could not.
    TriageCode {
        NotLoaded = "not_loaded", DeadlineExceeded = "deadline_exceeded", MemoryExceeded = "memory_exceeded",
        OutputTooLarge = "output_too_large", Trapped = "trapped",
        /// It said so itself.
        Refused = "refused",
        /// It asked for what is no action.
        InvalidAction = "invalid_action",
    }
);

/// The newest work of a playbook on an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triage {
    /// The playbook's name.
    pub playbook: String,
    /// How far it is.
    pub status: TriageStatus,
    /// Since when.
    pub at: Timestamp,
    /// The version that was called.
    pub plugin: Option<PluginVersion>,
    /// Why it could not.
    pub error: Option<TriageError>,
    /// What of it could not be done, or need not be.
    pub problems: Vec<String>,
}

/// Why a playbook could not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriageError {
    /// The kind of reason.
    pub code: TriageCode,
    /// The reason.
    pub message: String,
}

impl Triage {
    /// A call that is wanted.
    pub fn waiting(playbook: &str, at: Timestamp) -> Self {
        let playbook = playbook.to_owned();
        Self { playbook, status: TriageStatus::Waiting, at, plugin: None, error: None, problems: Vec::new() }
    }
}

/// What a playbook wants done, checked: the WIT variant in the domain's terms.
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
