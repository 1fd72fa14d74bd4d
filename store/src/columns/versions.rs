//! Rows of the table `plugin_versions`.

use super::{Word, columns};
use crate::rows::{VersionRow, VersionState};
use hookmill_incident::PluginVersion;

/// The number of versions of one plugin that are kept although they never were live.
pub(crate) const NEVER_LIVE_KEPT: usize = 5;

columns! {
    VersionColumns {
        plugin: String,
        sha256: String,
        version: String,
        seen_at: i64,
        live_since: Option<i64>,
        state: Word<VersionState>,
        report: Option<String>,
    }
}

impl From<VersionColumns> for VersionRow {
    fn from(row: VersionColumns) -> Self {
        let VersionColumns { plugin: name, sha256, version, seen_at, live_since, state: Word(state), report } = row;
        // A report that an older version of Hookmill wrote is left out if it cannot be read.
        let report = report.and_then(|text| serde_json::from_str(&text).ok());
        Self { plugin: PluginVersion { name, version, sha256 }, seen_at, live_since, state, report }
    }
}
