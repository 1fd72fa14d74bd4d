//! Keeps compiled plugins in the data folder, so that a restart does not compile.
//!
//! A compiled plugin is native code: an entry is only used when the digest of its bytes is the one that the database
//! remembers. A stale or damaged entry is no entry.

use anyhow::Result;
use hookmill_sandbox::CompiledCode;
use hookmill_store::Store;
use hookmill_store::private_files::{private_folder, replace_file};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The cache of one data folder.
#[derive(Debug)]
pub struct CompiledCache {
    folder: PathBuf,
    store: Arc<Store>,
}

impl CompiledCache {
    /// Opens the cache in a data folder.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn open(data_dir: &Path, store: Arc<Store>) -> Result<Self> {
        let folder = data_dir.join("compiled");
        private_folder(&folder)?;
        Ok(Self { folder, store })
    }

    fn write(&self, plugin: &str, entry: &str, bytes: &[u8]) -> Result<()> {
        replace_file(&self.folder, &self.folder.join(entry), bytes)?;
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let former = self.store.set_compiled_digest(plugin, entry, digest)?;
        for name in former {
            let _ = fs::remove_file(self.folder.join(name));
        }
        Ok(())
    }
}

impl CompiledCode for CompiledCache {
    fn get(&self, plugin: &str, sha256: &str, compatibility: u64) -> Option<Vec<u8>> {
        let entry = entry_name(plugin, sha256, compatibility);
        let bytes = fs::read(self.folder.join(&entry)).ok()?;
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        let known = self.store.compiled_digest(&entry).ok()??;
        (known == digest).then_some(bytes)
    }

    /// Replaces the entries of the plugin's versions before the last.
    fn put(&self, plugin: &str, sha256: &str, compatibility: u64, bytes: &[u8]) {
        let entry = entry_name(plugin, sha256, compatibility);
        if let Err(error) = self.write(plugin, &entry, bytes) {
            tracing::warn!(plugin, "cannot cache the compiled plugin, it will be compiled at every start: {error:#}");
        }
    }
}

/// Tells apart plugins, their versions and the engines that they were compiled by.
fn entry_name(plugin: &str, sha256: &str, compatibility: u64) -> String {
    format!("{plugin}-{sha256}-{compatibility:016x}")
}
