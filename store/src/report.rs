//! Reports of proofs: what a new version of a mapper makes of payloads, compared with the version before.

use hookmill_incident::PluginVersion;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a version makes of payloads, beside the one before it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The version that was tried.
    pub plugin: PluginVersion,
    /// The version that it was compared with; none where there was none.
    pub against: Option<PluginVersion>,
    /// When.
    pub at: Timestamp,
    /// Whether it may go live.
    pub passed: bool,
    /// How many payloads were tried.
    pub payloads: usize,
    /// How many more there were when the time was over.
    pub left_out: usize,
    /// Payloads of which both make the same.
    pub same: usize,
    /// Payloads of which they make something else.
    pub changed: Differences,
    /// Payloads that only the version before could map, or that the new one fails on in a worse way.
    pub newly_failing: Differences,
    /// Payloads that only the new one can map.
    pub newly_succeeding: Differences,
}

/// Payloads with one kind of difference.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Differences {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub payloads: Vec<Difference>,
}

/// One payload with a difference.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Difference {
    /// The event's id, or the file's name.
    pub payload: String,
    /// Who sent it.
    pub source: String,
    /// Why the new version, or the one before, could not map it.
    pub reason: Option<String>,
    /// What changed, as JSON pointers into the outcome.
    pub fields: Vec<FieldChange>,
}

/// One value that changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FieldChange {
    /// Where.
    pub path: String,
    /// What it was; nothing where there was none.
    pub before: Option<String>,
    /// What it is; nothing where there is none.
    pub after: Option<String>,
}
