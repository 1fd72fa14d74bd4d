//! Compiled plugins, kept in the data folder so that a restart does not compile them again.
//!
//! A compiled plugin is native code. An entry is only used if its digest is the one in the database; a stale or damaged
//! entry counts as missing.

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
    /// Returns an error if the cache's folder cannot be made.
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

    /// Stores the compiled code, and removes the entries of older versions of the plugin.
    fn put(&self, plugin: &str, sha256: &str, compatibility: u64, bytes: &[u8]) {
        let entry = entry_name(plugin, sha256, compatibility);
        if let Err(error) = self.write(plugin, &entry, bytes) {
            tracing::warn!(
                plugin,
                "cannot cache the compiled plugin, so that every start compiles it again: {error:#}"
            );
        }
    }
}

/// Returns the name of an entry, which differs by plugin, version and the engine that compiled it.
fn entry_name(plugin: &str, sha256: &str, compatibility: u64) -> String {
    format!("{plugin}-{sha256}-{compatibility:016x}")
}
