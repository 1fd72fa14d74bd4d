//! Plugin versions and the cache of compiled plugins.

use super::Store;
use crate::error::StoreError;
use crate::reads::Reads;
use crate::rows::{ProofReport, VersionRow, VersionState};
use anyhow::Result;
use hookmill_incident::PluginVersion;

impl Store {
    /// Returns the versions of a plugin; first the live one, then those that were live, the latest first.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn plugin_versions(&self, plugin: String) -> Result<Vec<VersionRow>> {
        self.database.reads().plugin_versions(plugin).await
    }

    /// Records the decision on a version, with its proof if it had one.
    ///
    /// # Errors
    /// Returns an error if the decision cannot be written.
    pub async fn decide_version(
        &self,
        plugin: PluginVersion,
        state: VersionState,
        report: Option<ProofReport>,
    ) -> Result<(), StoreError> {
        self.database.write(move |ledger| ledger.rows.put_version(&plugin, state, report.as_ref())).await
    }

    /// Records that a version goes live, and removes all but `keep` of the versions that were live. Returns the digests
    /// of the versions that remain.
    ///
    /// # Errors
    /// Returns an error if the version cannot be written.
    pub async fn set_live_version(&self, plugin: PluginVersion, keep: usize) -> Result<Vec<String>, StoreError> {
        self.database.write(move |ledger| ledger.rows.put_live_version(&plugin, keep)).await
    }

    /// Returns the digest that a file in the cache must have. Blocks.
    ///
    /// # Errors
    /// Returns an error if the digest cannot be read.
    pub fn compiled_digest(&self, name: &str) -> Result<Option<[u8; 32]>> {
        self.database.reads().compiled_digest(name)
    }

    /// Sets the digest of a file in the cache, and removes the plugin's other files except the newest. Returns the names
    /// of the removed files. Blocks.
    ///
    /// # Errors
    /// Returns an error if the digest cannot be written.
    pub fn set_compiled_digest(&self, plugin: &str, name: &str, digest: [u8; 32]) -> Result<Vec<String>, StoreError> {
        let (plugin, name) = (plugin.to_owned(), name.to_owned());
        self.database.write_blocking(move |ledger| ledger.rows.put_compiled(&plugin, &name, digest))
    }
}
