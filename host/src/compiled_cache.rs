//! Keeps compiled plugins in the data folder, so that a restart does not compile.
//!
//! A compiled plugin is native code: an entry is only used when the digest of its bytes is the one that the database
//! remembers. A stale or damaged entry is no entry.

use crate::sandbox::Sandbox;
use crate::store::{Store, private_folder, replace_file};
use anyhow::Result;
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

    /// The compiled bytes of a plugin file. Blocks.
    pub(crate) fn get(&self, plugin: &str, sha256: &str, sandbox: &Sandbox) -> Option<Vec<u8>> {
        let entry = entry_name(plugin, sha256, sandbox);
        let bytes = fs::read(self.folder.join(&entry)).ok()?;
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        let known = self.store.compiled_digest(&entry).ok()??;
        (known == digest).then_some(bytes)
    }

    /// Keeps the compiled bytes of a plugin file, in place of those of its versions before the last. Blocks.
    pub(crate) fn put(&self, plugin: &str, sha256: &str, sandbox: &Sandbox, bytes: &[u8]) {
        let entry = entry_name(plugin, sha256, sandbox);
        if let Err(error) = self.write(plugin, &entry, bytes) {
            tracing::warn!(plugin, "cannot cache the compiled plugin, it will be compiled at every start: {error:#}");
        }
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

/// Tells apart plugins, their versions and the engines that they were compiled by.
fn entry_name(plugin: &str, sha256: &str, sandbox: &Sandbox) -> String {
    format!("{plugin}-{sha256}-{:016x}", sandbox.compatibility())
}
