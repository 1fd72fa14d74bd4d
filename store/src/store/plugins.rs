//! Plugin versions and the cache of compiled plugins.

use super::Store;
use crate::error::StoreError;
use crate::leases::Grant;
use crate::ledger::Writes;
use crate::reads::Reads;
use crate::rows::{PluginFile, SharedVersion, VersionDecision, VersionRow, VersionState};
use anyhow::Result;
use hookmill_incident::PluginVersion;

/// The number of versions of one plugin that are kept, including the live one.
const LIVE_VERSIONS_KEPT: usize = 5;

impl Store {
    /// Returns the versions of a plugin; first the live one, then those that were live, the latest first.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn plugin_versions(&self, plugin: String) -> Result<Vec<VersionRow>> {
        self.database.reads().plugin_versions(plugin).await
    }

    /// Returns the versions whose files the hosts of a shared database get from it, by plugin; none if the database is
    /// embedded.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn shared_versions(&self) -> Result<Vec<SharedVersion>> {
        self.database.reads().shared_versions().await
    }

    /// Returns the file of a version from a shared database, if it is kept there.
    ///
    /// # Errors
    /// Returns an error if it cannot be read.
    pub async fn plugin_file(&self, plugin: &PluginVersion) -> Result<Option<PluginFile>> {
        self.database.reads().plugin_file(plugin.name.clone(), plugin.sha256.clone()).await
    }

    /// Returns whether a host of a shared database has decided on this file before.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read.
    pub async fn is_known_file(&self, plugin: &str, sha256: &str) -> Result<bool> {
        self.database.reads().is_known_file(plugin.to_owned(), sha256.to_owned()).await
    }

    /// Records a decision on a version under the lease of proofs. If the version goes live, all but the newest five versions
    /// that were live are removed. Returns the digests of those that remain.
    ///
    /// # Errors
    /// Returns an error if the decision cannot be written, or the lease was granted again.
    pub async fn decide_version(&self, under: &Grant, decision: VersionDecision) -> Result<Vec<String>, StoreError> {
        let VersionDecision { plugin, state, report, goes_live, held, file } = decision;
        let decide = move |ledger: &mut Writes| {
            if let Some(state) = state {
                ledger.rows.put_version(&plugin, state, report.as_ref())?;
            }
            let mut live = Vec::new();
            if goes_live {
                live = ledger.rows.put_live_version(&plugin, LIVE_VERSIONS_KEPT)?;
            }
            if let Some(held) = &held {
                ledger.rows.put_version(held, VersionState::Held, None)?;
            }
            if let Some(file) = &file {
                ledger.rows.put_plugin_file(&plugin, file)?;
            }
            ledger.changed.settings = true;
            Ok(live)
        };
        self.write_under(under, decide).await
    }

    /// Removes all versions of a plugin under the lease of proofs. Their files do not count as new ones.
    ///
    /// # Errors
    /// Returns an error if they cannot be removed, or the lease was granted again.
    pub async fn remove_versions(&self, under: &Grant, plugin: String) -> Result<(), StoreError> {
        let remove = move |ledger: &mut Writes| {
            ledger.changed.settings = true;
            ledger.rows.remove_versions(&plugin)
        };
        self.write_under(under, remove).await
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
