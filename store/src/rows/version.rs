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
