//! Compiled plugins, kept in the data folder so that a restart does not compile them again.
//!
//! A compiled plugin is native code. An entry is only used if its digest is the one in the database; a stale or damaged
//! entry counts as missing, and the code that was installed with the program is used, if there is any. A file that was too
//! much for the compiler has an entry with the reason instead, so that a restart does not compile it again. Hosts that share
//! a database have a cache each, and the database has the digests of each of them.

use super::precompiled::Precompiled;
use anyhow::Result;
use hookmill_sandbox::CompiledCode;
use hookmill_store::Store;
use hookmill_store::private_files::{digest, private_folder, replace_file};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The end of the name of an entry that has the reason why a file is not compiled.
const TOO_MUCH: &str = ".refused";

/// The file with the id of the folder.
const FOLDER_ID: &str = "id";

/// The cache of one data folder.
#[derive(Debug)]
pub struct CompiledCache {
    folder: PathBuf,
    /// The beginning of the names under which a database that many hosts share has the digests of this folder's entries.
    prefix: String,
    store: Arc<Store>,
    precompiled: Option<Precompiled>,
}

impl CompiledCache {
    /// Opens the cache in a data folder, beside the code that was installed with the program.
    ///
    /// # Errors
    /// Returns an error if the cache's folder cannot be made.
    pub fn open(data_dir: &Path, store: Arc<Store>, precompiled: Option<Precompiled>) -> Result<Self> {
        let folder = data_dir.join("compiled");
        private_folder(&folder)?;
        let prefix = if store.is_shared() { folder_id(&folder)? + "/" } else { String::new() };
        Ok(Self { folder, prefix, store, precompiled })
    }

    /// Removes the entries of plugins that are not kept.
    pub fn keep_only(&self, is_kept: impl Fn(&str) -> bool) {
        self.remove(|_, plugin| !is_kept(plugin));
    }

    /// Removes the entries about files of a plugin that were too much for the compiler.
    pub fn forget_too_much(&self, plugin: &str) {
        self.remove(|entry, of| of == plugin && entry.ends_with(TOO_MUCH));
    }

    /// Removes the entries that a condition selects by name and plugin. An entry without a file counts as missing, so
    /// that its row in the database does no harm.
    fn remove(&self, is_selected: impl Fn(&str, &str) -> bool) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if plugin_of(&name).is_some_and(|plugin| is_selected(&name, plugin)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Returns the file of an entry that is as it was written.
    fn open_entry(&self, entry: &str) -> Option<File> {
        let mut file = File::open(self.folder.join(entry)).ok()?;
        let known = self.store.compiled_digest(&self.known_as(entry)).ok()??;
        (digest(&mut file).ok()? == known).then_some(file)
    }

    fn write(&self, plugin: &str, entry: &str, bytes: &[u8]) -> Result<()> {
        replace_file(&self.folder, &self.folder.join(entry), bytes)?;
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let former = self.store.set_compiled_digest(&self.known_as(plugin), &self.known_as(entry), digest)?;
        for name in former.iter().filter_map(|name| name.strip_prefix(&self.prefix)) {
            let _ = fs::remove_file(self.folder.join(name));
        }
        Ok(())
    }

    /// Returns the name of an entry or of a plugin in the database.
    fn known_as(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

impl CompiledCode for CompiledCache {
    fn get(&self, plugin: &str, sha256: &str, compatibility: u64) -> Option<File> {
        let own = self.open_entry(&entry_name(plugin, sha256, compatibility));
        own.or_else(|| self.precompiled.as_ref()?.get(plugin, sha256, compatibility))
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

    fn too_much(&self, plugin: &str, sha256: &str, compatibility: u64) -> Option<String> {
        let entry = self.open_entry(&(entry_name(plugin, sha256, compatibility) + TOO_MUCH))?;
        std::io::read_to_string(entry).ok()
    }

    fn put_too_much(&self, plugin: &str, sha256: &str, compatibility: u64, reason: &str) {
        let entry = entry_name(plugin, sha256, compatibility) + TOO_MUCH;
        if let Err(error) = self.write(plugin, &entry, reason.as_bytes()) {
            tracing::warn!(plugin, "the next start compiles the file again: {error:#}");
        }
    }
}

/// The cache for versions that are not live: they must not take the place of those that are.
#[derive(Debug)]
pub struct ReadOnlyCache(pub Arc<CompiledCache>);

impl CompiledCode for ReadOnlyCache {
    fn get(&self, plugin: &str, sha256: &str, compatibility: u64) -> Option<File> {
        self.0.get(plugin, sha256, compatibility)
    }

    fn put(&self, _: &str, _: &str, _: u64, _: &[u8]) {}

    fn too_much(&self, plugin: &str, sha256: &str, compatibility: u64) -> Option<String> {
        self.0.too_much(plugin, sha256, compatibility)
    }

    fn put_too_much(&self, _: &str, _: &str, _: u64, _: &str) {}
}

/// Returns the id of a cache folder, which is made with the folder.
fn folder_id(folder: &Path) -> Result<String> {
    let path = folder.join(FOLDER_ID);
    if let Ok(id) = fs::read_to_string(&path) {
        return Ok(id);
    }
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    let id = hex::encode(id);
    replace_file(folder, &path, id.as_bytes())?;
    Ok(id)
}

/// Returns the name of an entry, which differs by plugin, version and the engine that compiled it.
fn entry_name(plugin: &str, sha256: &str, compatibility: u64) -> String {
    format!("{plugin}-{sha256}-{compatibility:016x}")
}

/// Returns the plugin of an entry.
fn plugin_of(entry: &str) -> Option<&str> {
    let mut parts = entry.rsplitn(3, '-');
    parts.nth(2)
}
