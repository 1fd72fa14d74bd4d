//! The files of versions that were live, kept in the data folder. They make a rollback possible, and the comparison of
//! a new version with the one before it after a restart.

use super::trust::signature_path;
use anyhow::{Context, Result, ensure};
use hookmill_incident::PluginVersion;
use hookmill_store::Store;
use hookmill_store::private_files::{private_folder, replace_file};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The number of versions of one plugin that are kept, including the live one.
const KEPT_MAX: usize = 5;

/// The content of a plugin's file.
#[derive(Debug)]
pub struct KeptFile {
    /// The bytes of the component.
    pub bytes: Vec<u8>,
    /// The signature beside the file, if signatures are required.
    pub signature: Option<String>,
}

/// The kept versions in one data folder.
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

    /// Keeps the file of a version that goes live or is already live.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written or the store fails.
    pub async fn keep(&self, plugin: &PluginVersion, file: KeptFile, is_live: bool) -> Result<()> {
        let path = self.path(plugin);
        let is_there = path.metadata().is_ok_and(|there| there.len() == file.bytes.len() as u64);
        if !is_there || file.signature.is_some() {
            let folder = self.folder.clone();
            tokio::task::spawn_blocking(move || {
                if let Some(signature) = &file.signature {
                    replace_file(&folder, &signature_path(&path), signature.as_bytes())?;
                }
                replace_file(&folder, &path, &file.bytes)
            })
            .await??;
        }
        if is_live { Ok(()) } else { self.went_live(plugin).await }
    }

    /// Records that a kept version goes live, and removes the oldest versions beyond the limit.
    ///
    /// # Errors
    /// Returns an error if the store fails or the folder cannot be read.
    pub async fn went_live(&self, plugin: &PluginVersion) -> Result<()> {
        let known = self.store.set_live_version(plugin.clone(), KEPT_MAX).await?;
        let (folder, plugin) = (self.folder.clone(), plugin.name.clone());
        tokio::task::spawn_blocking(move || remove_others(&folder, &plugin, &known)).await?
    }

    /// Reads a version that was kept.
    ///
    /// # Errors
    /// Returns an error if the file is missing or was changed.
    pub async fn read(&self, plugin: &PluginVersion) -> Result<KeptFile> {
        let path = self.path(plugin);
        let bytes = tokio::fs::read(&path).await.with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            hex::encode(Sha256::digest(&bytes)) == plugin.sha256,
            "{} was changed; it is not loaded",
            path.display()
        );
        Ok(KeptFile { bytes, signature: tokio::fs::read_to_string(signature_path(&path)).await.ok() })
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
