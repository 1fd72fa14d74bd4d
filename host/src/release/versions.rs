//! The versions that are kept, in the data folder or in the database that many hosts share. They make a rollback possible, and
//! the comparison of a new version with the one before it after a restart.

use super::version_folder::{VersionFolder, verified};
use anyhow::{Context, Result};
use hookmill_incident::PluginVersion;
use hookmill_store::{Grant, PluginFile, Store, VersionDecision};
use std::path::Path;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// The kept versions of one host.
#[derive(Debug)]
pub struct Versions {
    folder: VersionFolder,
    store: Arc<Store>,
}

impl Versions {
    /// Opens the folder, and makes it if it is missing.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be made.
    pub fn open(data_dir: &Path, store: Arc<Store>) -> Result<Self> {
        let folder = VersionFolder::of(data_dir);
        folder.make()?;
        Ok(Self { folder, store })
    }

    /// Keeps the file of the live version in the data folder.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub async fn keep(&self, plugin: &PluginVersion, file: PluginFile) -> Result<()> {
        let (folder, plugin) = (self.folder.clone(), plugin.clone());
        spawn_blocking(move || folder.keep(&plugin, &file)).await?
    }

    /// Records a decision under the lease of proofs, with the file if all hosts get it from the database. Otherwise the
    /// file is kept in the data folder if the version goes live, and the oldest files beyond the limit are removed.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written, the store fails, or the lease was granted again.
    pub async fn decide(&self, under: &Grant, mut decision: VersionDecision) -> Result<()> {
        if self.store.is_shared() || !decision.goes_live {
            self.store.decide_version(under, decision).await?;
            return Ok(());
        }
        let plugin = decision.plugin.clone();
        if let Some(file) = decision.file.take() {
            self.keep(&plugin, file).await?;
        }
        let known = self.store.decide_version(under, decision).await?;
        let folder = self.folder.clone();
        spawn_blocking(move || folder.keep_only(&plugin.name, &known)).await?
    }

    /// Reads a version that was kept.
    ///
    /// # Errors
    /// Returns an error if the file is missing or was changed.
    pub async fn read(&self, plugin: &PluginVersion) -> Result<PluginFile> {
        if self.store.is_shared() {
            let file = self.store.plugin_file(plugin).await?;
            let missing = || format!("the database has no file of version {} of `{}`", plugin.sha256, plugin.name);
            return verified(file.with_context(missing)?, plugin);
        }
        let (folder, plugin) = (self.folder.clone(), plugin.clone());
        spawn_blocking(move || folder.read(&plugin)).await?
    }
}
