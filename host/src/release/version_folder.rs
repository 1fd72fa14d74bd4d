//! The folder `versions` of a data folder: the files of plugin versions that were live.

use super::trust::signature_path;
use anyhow::{Context, Result, ensure};
use hookmill_incident::PluginVersion;
use hookmill_store::PluginFile;
use hookmill_store::private_files::{private_folder, replace_file};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The folder of the kept files.
#[derive(Clone, Debug)]
pub struct VersionFolder(PathBuf);

impl VersionFolder {
    /// Returns the folder in a data folder.
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("versions"))
    }

    /// Makes the folder if it is missing.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be made.
    pub fn make(&self) -> Result<()> {
        private_folder(&self.0)
    }

    /// Returns the path of the file of a version.
    pub fn path(&self, plugin: &PluginVersion) -> PathBuf {
        self.0.join(format!("{}@{}.wasm", plugin.name, plugin.sha256))
    }

    /// Keeps the file of a version.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn keep(&self, plugin: &PluginVersion, file: &PluginFile) -> Result<()> {
        let path = self.path(plugin);
        if let Some(signature) = &file.signature {
            replace_file(&self.0, &signature_path(&path), signature.as_bytes())?;
        }
        let is_there = path.metadata().is_ok_and(|there| there.len() == file.bytes.len() as u64);
        if is_there { Ok(()) } else { replace_file(&self.0, &path, &file.bytes) }
    }

    /// Reads the file of a version.
    ///
    /// # Errors
    /// Returns an error if the file is missing or was changed.
    pub fn read(&self, plugin: &PluginVersion) -> Result<PluginFile> {
        let path = self.path(plugin);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let signature = std::fs::read_to_string(signature_path(&path)).ok();
        verified(PluginFile { bytes, signature }, plugin)
    }

    /// Removes the files of a plugin except those with these digests.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be read.
    pub fn keep_only(&self, plugin: &str, digests: &[String]) -> Result<()> {
        for entry in std::fs::read_dir(&self.0)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let file = name.split_once(".wasm").and_then(|(stem, _)| stem.rsplit_once('@'));
            if file.is_some_and(|(name, digest)| name == plugin && !digests.iter().any(|kept| kept == digest)) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

/// Checks that a file is that of a version.
///
/// # Errors
/// Returns an error if it is another one.
pub fn verified(file: PluginFile, plugin: &PluginVersion) -> Result<PluginFile> {
    ensure!(
        hex::encode(Sha256::digest(&file.bytes)) == plugin.sha256,
        "the kept file of version {} of `{}` was changed; it is not loaded",
        plugin.sha256,
        plugin.name
    );
    Ok(file)
}
