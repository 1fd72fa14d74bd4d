//! Rows of the table `plugin_versions`, and of the files of versions.

use super::{Word, columns};
use crate::rows::{SharedVersion, VersionRow, VersionState};
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

columns! {
    SharedVersionColumns {
        plugin: String,
        sha256: String,
        version: String,
        state: Word<VersionState>,
        is_live: bool = "live_since IS NOT NULL AND live_since = max(live_since) OVER of_plugin",
        is_newest: bool = "number = max(number) OVER of_plugin",
    }
}

impl From<SharedVersionColumns> for SharedVersion {
    fn from(row: SharedVersionColumns) -> Self {
        let SharedVersionColumns { plugin: name, sha256, version, state: Word(state), is_live, is_newest } = row;
        Self { plugin: PluginVersion { name, version, sha256 }, state, is_live, is_newest }
    }
}
