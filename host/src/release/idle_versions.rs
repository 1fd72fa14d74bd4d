//! Versions that an operator calls while another version is live.

use hookmill_sandbox::Plugin;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// The number of versions that stay loaded, so that two can be compared call by call.
const LOADED_MAX: usize = 2;

/// The versions that can be called without being live.
#[derive(Debug)]
pub struct IdleVersions {
    known: Mutex<Known>,
    /// Allows one version to be loaded at a time, so that live plugins get most of the machine.
    pub turn: Semaphore,
}

#[derive(Debug, Default)]
struct Known {
    /// The digest and the path of the newest file in the plugins folder, by plugin.
    files: BTreeMap<String, (String, PathBuf)>,
    /// The digest of the file that was decided on last, by plugin; `None` if the file is gone since.
    decided: BTreeMap<String, Option<String>>,
    /// The loaded versions, the oldest first.
    loaded: Vec<Arc<Plugin>>,
    /// The number of files that were seen.
    seen: u64,
}

impl Default for IdleVersions {
    fn default() -> Self {
        Self { known: Mutex::default(), turn: Semaphore::new(1) }
    }
}

impl IdleVersions {
    /// Records the digest of a file in the plugins folder. All versions are unloaded, because what may run may have changed.
    pub fn saw_file(&self, name: &str, sha256: String, path: &Path) {
        let mut known = self.lock();
        known.files.insert(name.to_owned(), (sha256, path.to_owned()));
        known.loaded.clear();
        known.seen += 1;
    }

    /// Returns the path of a version whose file was in the plugins folder when the folder was last looked at.
    pub fn file(&self, name: &str, sha256: &str) -> Option<PathBuf> {
        self.lock().files.get(name).filter(|(known, _)| known == sha256).map(|(_, path)| path.clone())
    }

    /// Returns the digest of the newest file of a plugin.
    pub fn newest_file(&self, name: &str) -> Option<String> {
        self.lock().files.get(name).map(|(sha256, _)| sha256.clone())
    }

    /// Records that a file in the plugins folder was decided on.
    pub fn decided(&self, name: &str, sha256: String) {
        self.lock().decided.insert(name.to_owned(), Some(sha256));
    }

    /// Records that the file of a plugin is gone.
    pub fn gone(&self, name: &str) {
        let mut known = self.lock();
        known.files.remove(name);
        known.decided.insert(name.to_owned(), None);
    }

    /// Returns whether a file took the place of another one while the host ran.
    pub fn is_put_again(&self, name: &str, sha256: &str) -> bool {
        self.lock().decided.get(name).is_some_and(|decided| decided.as_deref() != Some(sha256))
    }

    /// Returns a version if it is loaded, and the number of files that were seen until now.
    pub fn loaded(&self, name: &str, sha256: &str) -> (Option<Arc<Plugin>>, u64) {
        let known = self.lock();
        let is_meant = |plugin: &&Arc<Plugin>| plugin.version.name == name && plugin.version.sha256 == sha256;
        (known.loaded.iter().find(is_meant).cloned(), known.seen)
    }

    /// Keeps a version loaded in the place of the oldest one, unless another file was seen since it was read.
    pub fn keep(&self, plugin: Arc<Plugin>, seen: u64) {
        let mut known = self.lock();
        if known.seen == seen {
            let excess = (known.loaded.len() + 1).saturating_sub(LOADED_MAX);
            known.loaded.drain(..excess);
            known.loaded.push(plugin);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
