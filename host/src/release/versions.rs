//! Keeps the files of plugins that were live in the data folder, so that a host can go back to one, and so that a new
//! version is compared with the one before it after a restart too.

use super::trust::signature_path;
use anyhow::{Context, Result, ensure};
use hookmill_incident::PluginVersion;
use hookmill_store::Store;
use hookmill_store::private_files::{private_folder, replace_file};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Versions of one plugin that are kept, the live one among them.
const KEPT: usize = 5;

/// A plugin's file.
#[derive(Debug)]
pub struct Kept {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// The signature that lay beside it, where signatures count.
    pub signature: Option<String>,
}

/// The versions of one data folder.
#[derive(Debug)]
pub struct Versions {
    folder: PathBuf,
    store: Arc<Store>,
}

impl Versions {
    /// Opens the folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(data_dir: &Path, store: Arc<Store>) -> Result<Self> {
        let folder = data_dir.join("versions");
        private_folder(&folder)?;
        Ok(Self { folder, store })
    }

    /// Keeps a version that goes live, or is live already.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep(&self, plugin: &PluginVersion, kept: Kept, is_live: bool) -> Result<()> {
        let path = self.path(plugin);
        let is_there = path.metadata().is_ok_and(|file| file.len() == kept.bytes.len() as u64);
        if !is_there || kept.signature.is_some() {
            let folder = self.folder.clone();
            tokio::task::spawn_blocking(move || {
                if let Some(signature) = &kept.signature {
                    replace_file(&folder, &signature_path(&path), signature.as_bytes())?;
                }
                replace_file(&folder, &path, &kept.bytes)
            })
            .await??;
        }
        if is_live { Ok(()) } else { self.went_live(plugin).await }
    }

    /// Writes down that a version that is kept goes live, and removes those that are too many.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn went_live(&self, plugin: &PluginVersion) -> Result<()> {
        let known = self.store.set_live_version(plugin.clone(), KEPT).await?;
        for entry in std::fs::read_dir(&self.folder)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let digest = name.split_once(".wasm").and_then(|(stem, _)| stem.rsplit_once('@'));
            if digest.is_some_and(|(name, digest)| name == plugin.name && !known.iter().any(|known| known == digest)) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// A version that was kept.
    ///
    /// # Errors
    /// When it is not there any more, or not what it was.
    pub async fn read(&self, plugin: &PluginVersion) -> Result<Kept> {
        let path = self.path(plugin);
        let bytes = tokio::fs::read(&path).await.with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            hex::encode(Sha256::digest(&bytes)) == plugin.sha256,
            "{} was changed; it is not loaded",
            path.display()
        );
        Ok(Kept { bytes, signature: tokio::fs::read_to_string(signature_path(&path)).await.ok() })
    }

    fn path(&self, plugin: &PluginVersion) -> PathBuf {
        self.folder.join(format!("{}@{}.wasm", plugin.name, plugin.sha256))
    }
}
