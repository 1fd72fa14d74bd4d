//! The files of versions that were live, kept in the data folder, or in the database that many hosts share. They make a
//! rollback possible, and the comparison of a new version with the one before it after a restart.

use super::trust::signature_path;
use anyhow::{Context, Result, ensure};
use hookmill_incident::PluginVersion;
use hookmill_store::private_files::{private_folder, replace_file};
use hookmill_store::{Grant, PluginFile, Store, VersionDecision};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The kept versions of one host.
#[derive(Debug)]
pub struct Versions {
    folder: PathBuf,
    store: Arc<Store>,
}

impl Versions {
    /// Opens the folder, and makes it if it is missing.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be made.
    pub fn open(data_dir: &Path, store: Arc<Store>) -> Result<Self> {
        let folder = data_dir.join("versions");
        private_folder(&folder)?;
        Ok(Self { folder, store })
    }

    /// Keeps the file of the live version.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub async fn keep(&self, plugin: &PluginVersion, file: PluginFile) -> Result<()> {
        let path = self.path(plugin);
        let is_there = path.metadata().is_ok_and(|there| there.len() == file.bytes.len() as u64);
        if is_there && file.signature.is_none() {
            return Ok(());
        }
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || {
            if let Some(signature) = &file.signature {
                replace_file(&folder, &signature_path(&path), signature.as_bytes())?;
            }
            replace_file(&folder, &path, &file.bytes)
        })
        .await?
    }

    /// Records a decision under the lease of proofs, with the file if all hosts get it from the database. Otherwise the
    /// file is kept in the data folder if the version goes live, and the oldest files beyond the limit are removed.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written, the store fails, or the lease was granted again.
    pub async fn decide(&self, under: &Grant, mut decision: VersionDecision) -> Result<()> {
        if self.store.is_shared() {
            self.store.decide_version(under, decision).await?;
            return Ok(());
        }
        let (plugin, file) = (decision.plugin.clone(), decision.file.take());
        if !decision.goes_live {
            self.store.decide_version(under, decision).await?;
            return Ok(());
        }
        if let Some(file) = file {
            self.keep(&plugin, file).await?;
        }
        let known = self.store.decide_version(under, decision).await?;
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || remove_others(&folder, &plugin.name, &known)).await?
    }

    /// Reads a version that was kept.
    ///
    /// # Errors
    /// Returns an error if the file is missing or was changed.
    pub async fn read(&self, plugin: &PluginVersion) -> Result<PluginFile> {
        let path = self.path(plugin);
        let file = if self.store.is_shared() {
            let file = self.store.plugin_file(plugin).await?;
            file.with_context(|| format!("the database has no file of version {} of `{}`", plugin.sha256, plugin.name))?
        } else {
            let bytes = tokio::fs::read(&path).await.with_context(|| format!("cannot read {}", path.display()))?;
            PluginFile { bytes, signature: tokio::fs::read_to_string(signature_path(&path)).await.ok() }
        };
        let digest = hex::encode(Sha256::digest(&file.bytes));
        ensure!(digest == plugin.sha256, "{} was changed; it is not loaded", path.display());
        Ok(file)
    }

    fn path(&self, plugin: &PluginVersion) -> PathBuf {
        self.folder.join(format!("{}@{}.wasm", plugin.name, plugin.sha256))
    }
}

/// Removes the files of a plugin except those with the `known` digests.
fn remove_others(folder: &Path, plugin: &str, known: &[String]) -> Result<()> {
    for entry in std::fs::read_dir(folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let digest = name.split_once(".wasm").and_then(|(stem, _)| stem.rsplit_once('@'));
        if digest.is_some_and(|(name, digest)| name == plugin && !known.iter().any(|known| known == digest)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}
