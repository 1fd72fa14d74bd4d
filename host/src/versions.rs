//! Keeps the files of plugins that were live in the data folder, so that a host can go back to one, and so that a new
//! version is compared with the one before it after a restart too.

use crate::compiled_cache::CompiledCache;
use crate::config::CallLimits;
use crate::incident::PluginVersion;
use crate::plugin::Plugin;
use crate::sandbox::Sandbox;
use crate::store::{Store, private_folder};
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Versions of one plugin that are kept, the live one among them.
const KEPT: usize = 5;

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

    /// Keeps a version that goes live.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep(&self, plugin: &PluginVersion, bytes: Vec<u8>) -> Result<()> {
        let path = self.path(&plugin.name, &plugin.sha256);
        if !path.exists() {
            let folder = self.folder.clone();
            tokio::task::spawn_blocking(move || write(&folder, &path, &bytes)).await??;
        }
        self.went_live(plugin).await
    }

    /// Writes down that a version that is kept goes live, and removes those that are too many.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn went_live(&self, plugin: &PluginVersion) -> Result<()> {
        let known = self.store.version_is_live(plugin.clone(), KEPT).await?;
        for entry in std::fs::read_dir(&self.folder)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let digest = name.strip_suffix(".wasm").and_then(|stem| stem.rsplit_once('@'));
            if digest.is_some_and(|(name, digest)| name == plugin.name && !known.iter().any(|known| known == digest)) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Loads a version that was kept.
    ///
    /// # Errors
    /// When it is not there any more, or not what it was.
    pub async fn load(
        &self,
        plugin: &PluginVersion,
        sandbox: Arc<Sandbox>,
        limits: CallLimits,
        cache: Arc<CompiledCache>,
    ) -> Result<Plugin> {
        let path = self.path(&plugin.name, &plugin.sha256);
        let bytes = tokio::fs::read(&path).await.with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            hex::encode(Sha256::digest(&bytes)) == plugin.sha256,
            "{} was changed; it is not loaded",
            path.display()
        );
        Plugin::load(&plugin.name, bytes, sandbox, limits, Some(cache)).await
    }

    fn path(&self, plugin: &str, sha256: &str) -> PathBuf {
        self.folder.join(format!("{plugin}@{sha256}.wasm"))
    }
}

fn write(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder).context("cannot make a file")?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
