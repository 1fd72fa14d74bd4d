//! Versions of plugins.

use super::ProofReport;
use hookmill_incident::{PluginVersion, words};

words!(
    /// The decision on a version.
    VersionState {
        /// The version may be live.
        Accepted = "accepted",
        /// The proof failed.
        Refused = "refused",
        /// An operator rolled back from the version.
        Held = "held",
        /// An operator made the version live.
        Promoted = "promoted",
    }
);

/// One version of a plugin.
#[derive(Clone, Debug)]
pub struct VersionRow {
    /// The name, version and digest.
    pub plugin: PluginVersion,
    /// The time when the file was first seen, in milliseconds since the Unix epoch.
    pub seen_at: i64,
    /// The time when the version last went live, in milliseconds since the Unix epoch.
    pub live_since: Option<i64>,
    /// The decision.
    pub state: VersionState,
    /// The newest proof.
    pub report: Option<ProofReport>,
}

/// The content of a plugin's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFile {
    /// The bytes of the component.
    pub bytes: Vec<u8>,
    /// The signature beside the file, if signatures are required.
    pub signature: Option<String>,
}

/// A decision on a version of a plugin.
#[derive(Clone, Debug)]
pub struct VersionDecision {
    /// The version.
    pub plugin: PluginVersion,
    /// The state of the version from now on; `None` if only its going live is recorded.
    pub state: Option<VersionState>,
    /// The proof, if the version had one.
    pub report: Option<ProofReport>,
    /// Whether the version goes live.
    pub goes_live: bool,
    /// The version that is held from now on, because it is rolled back from.
    pub held: Option<PluginVersion>,
    /// The file, for hosts that get it from the database.
    pub file: Option<PluginFile>,
}

impl VersionDecision {
    /// Returns the decision that a version goes live as it is.
    pub fn live(plugin: PluginVersion) -> Self {
        Self { plugin, state: None, report: None, goes_live: true, held: None, file: None }
    }
}

/// A version of a plugin whose file is in the database that many hosts share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedVersion {
    /// The name, version and digest.
    pub plugin: PluginVersion,
    /// The decision.
    pub state: VersionState,
    /// Whether the version is live.
    pub is_live: bool,
    /// Whether no file of the plugin was put into the folder of a host after this one.
    pub is_newest: bool,
}
