//! Reports of proofs: the outcomes of a new version of a mapper, compared with those of the version before.

use hookmill_incident::PluginVersion;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The comparison of two versions of a mapper on the same payloads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProofReport {
    /// The new version.
    pub plugin: PluginVersion,
    /// The version that the new one was compared with; `None` for a first version.
    pub against: Option<PluginVersion>,
    /// The time when the proof was made.
    pub at: Timestamp,
    /// Whether the new version may go live.
    pub passed: bool,
    /// The number of payloads that were mapped.
    pub payloads: usize,
    /// The number of payloads that were not mapped because the time limit was reached.
    pub left_out: usize,
    /// The number of payloads with the same outcome.
    pub same: usize,
    /// Payloads with another outcome.
    pub changed: PayloadDifferences,
    /// Payloads that only the version before could map, or on which the new one fails in a worse way.
    pub newly_failing: PayloadDifferences,
    /// Payloads that only the new version can map.
    pub newly_succeeding: PayloadDifferences,
}

/// Payloads with one kind of difference.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PayloadDifferences {
    /// The number of payloads.
    pub count: usize,
    /// The first of them.
    pub payloads: Vec<PayloadDifference>,
}

/// One payload with a difference.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PayloadDifference {
    /// The event's id, or the file's name.
    pub payload: String,
    /// The name of the source.
    pub source: String,
    /// The reason why the new version, or the previous one, could not map the payload.
    pub reason: Option<String>,
    /// The values that changed.
    pub fields: Vec<FieldChange>,
}

/// One value that changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FieldChange {
    /// The JSON pointer into the outcome.
    pub path: String,
    /// The value before; `None` if the field was absent.
    pub before: Option<String>,
    /// The value after; `None` if the field is absent.
    pub after: Option<String>,
}
