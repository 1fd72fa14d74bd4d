//! Compiled plugins, kept between runs of these commands in the user's cache folder: a mapper with an interpreter takes
//! seconds to compile.
//!
//! A compiled plugin is native code. An entry is only used if it and its folder belong to this user and no other user can
//! read or write them, and if the name of the entry ends with the digest of its code; any other entry counts as missing.

use hookmill_sandbox::CompiledCode;
use hookmill_store::private_files::{self, private_folder, replace_file};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::Result;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The most entries. One with an interpreter has some 40 MiB.
const ENTRIES_MAX: usize = 16;

/// The cache of one user.
pub(super) struct CommandCache {
    folder: PathBuf,
}

impl CommandCache {
    /// Returns the cache in `$XDG_CACHE_HOME/hookmill`, else in `~/.cache/hookmill`. Returns `None` if the user has no such
    /// folder or others have access to it.
    pub fn open() -> Option<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Self::at(base.join("hookmill/compiled"))
    }

    fn at(folder: PathBuf) -> Option<Self> {
        private_folder(&folder).ok()?;
        let metadata = std::fs::symlink_metadata(&folder).ok()?;
        (metadata.is_dir() && is_private(&metadata)).then_some(Self { folder })
    }

    /// Returns the path of the entry of a plugin file, which ends with the digest of the code.
    fn entry(&self, sha256: &str, compatibility: u64, digest: &str) -> PathBuf {
        self.folder.join(format!("{}{digest}", beginning(sha256, compatibility)))
    }

    /// Removes the entries that were written first.
    fn trim(&self) -> Result<()> {
        let mut entries: Vec<(SystemTime, PathBuf)> = std::fs::read_dir(&self.folder)?
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        entries.sort();
        let surplus = entries.len().saturating_sub(ENTRIES_MAX);
        entries.into_iter().take(surplus).try_for_each(|(_, path)| std::fs::remove_file(path))
    }
}

impl CompiledCode for CommandCache {
    fn get(&self, _plugin: &str, sha256: &str, compatibility: u64) -> Option<File> {
        let beginning = beginning(sha256, compatibility);
        let entries = std::fs::read_dir(&self.folder).ok()?.flatten();
        entries.into_iter().find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            open_unchanged(&entry.path(), name.strip_prefix(&beginning)?)
        })
    }

    /// Keeps the code. Where that fails, the next run compiles again.
    fn put(&self, _plugin: &str, sha256: &str, compatibility: u64, code: &[u8]) {
        let entry = self.entry(sha256, compatibility, &hex::encode(Sha256::digest(code)));
        if replace_file(&self.folder, &entry, code).is_ok() {
            let _ = self.trim();
        }
    }

    /// A command compiles the file that its user names, also again.
    fn too_much(&self, _plugin: &str, _sha256: &str, _compatibility: u64) -> Option<String> {
        None
    }

    fn put_too_much(&self, _plugin: &str, _sha256: &str, _compatibility: u64, _reason: &str) {}
}

/// Returns the beginning of the name of an entry.
fn beginning(sha256: &str, compatibility: u64) -> String {
    format!("{sha256}-{compatibility:016x}-")
}

/// Opens a file that is not a link.
fn open(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()).open(path)
}

/// Opens an entry that only this user can access and whose code has this digest.
fn open_unchanged(path: &Path, digest: &str) -> Option<File> {
    let mut entry = open(path).ok()?;
    if !is_private(&entry.metadata().ok()?) {
        return None;
    }
    (hex::encode(private_files::digest(&mut entry).ok()?) == digest).then_some(entry)
}

fn is_private(metadata: &std::fs::Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0
}

#[cfg(test)]
mod tests {
    use super::{CommandCache, ENTRIES_MAX};
    use hookmill_sandbox::CompiledCode;
    use sha2::{Digest, Sha256};
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn code_is_kept_and_anything_else_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hookmill/compiled");
        let cache = CommandCache::at(path.clone()).unwrap();
        cache.put("name", "a", 1, b"code");
        let get = |sha256, compatibility| {
            let entry = cache.get("name", sha256, compatibility)?;
            Some(std::io::read_to_string(entry).unwrap())
        };
        assert_eq!((get("a", 1).as_deref(), get("a", 2), get("b", 1)), (Some("code"), None, None));

        let digest = hex::encode(Sha256::digest("code"));
        let entry = cache.entry("a", 1, &digest);
        set_permissions(&entry, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(get("a", 1), None, "others can read it");
        cache.put("name", "a", 1, b"code");
        std::os::unix::fs::symlink(&entry, cache.entry("link", 1, &digest)).unwrap();
        assert_eq!(get("link", 1), None);
        let mut bytes = std::fs::read(&entry).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&entry, bytes).unwrap();
        assert_eq!(get("a", 1), None, "it was changed");

        set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
        assert!(CommandCache::at(path).is_none(), "others can enter the folder");
    }

    #[test]
    fn the_oldest_entries_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CommandCache::at(folder.path().join("compiled")).unwrap();
        for number in 0..ENTRIES_MAX + 3 {
            cache.put("name", &number.to_string(), 1, b"code");
        }
        let left = std::fs::read_dir(&cache.folder).unwrap().count();
        assert_eq!((left, cache.get("name", &(ENTRIES_MAX + 2).to_string(), 1).is_some()), (ENTRIES_MAX, true));
    }
}
