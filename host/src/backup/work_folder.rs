//! The folder in which a backup is written before it takes the place of an older one.

use anyhow::{Context, Result, ensure};
use hookmill_store::private_files::{private_file, private_folder};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const NAME: &str = ".hookmill-backup";
const LOCK: &str = "lock";
const DATABASE: &str = "hookmill.db";
const ARCHIVE: &str = "backup.tar";
/// The files that a backup leaves behind when it is killed.
const FILES: [&str; 4] = [DATABASE, "hookmill.db-journal", ARCHIVE, LOCK];

/// The folder beside the new backup, without the files of an earlier one that was killed. Dropping this value removes the
/// folder.
#[derive(Debug)]
pub(super) struct WorkFolder {
    path: PathBuf,
    _lock: File,
}

impl WorkFolder {
    /// Makes the folder in `parent`.
    ///
    /// # Errors
    /// Returns an error if another backup uses the folder, or the folder cannot be made.
    pub fn make(parent: &Path) -> Result<Self> {
        ensure!(parent.is_dir(), "the folder {} does not exist; make it first", parent.display());
        let path = parent.join(NAME);
        let is_link = path.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir());
        ensure!(!is_link, "{} is not a folder; remove it", path.display());
        private_folder(&path)?;
        let lock = private_file(&path.join(LOCK))?;
        ensure!(lock.try_lock().is_ok(), "another backup into {} is under way; wait for its end", parent.display());
        for name in [DATABASE, "hookmill.db-journal", ARCHIVE] {
            match std::fs::remove_file(path.join(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.join(name).display()));
                }
                _ => {}
            }
        }
        Ok(Self { path, _lock: lock })
    }

    /// Returns the path of the copy of the database.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Returns the path of the unfinished backup.
    pub fn archive(&self) -> PathBuf {
        self.path.join(ARCHIVE)
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // The next backup removes files that cannot be removed now.
        for name in FILES {
            let _ = std::fs::remove_file(self.path.join(name));
        }
        let _ = std::fs::remove_dir(&self.path);
    }
}
