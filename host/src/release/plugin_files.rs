//! The files in the plugins folder: which are new, which changed, which are gone.

use super::command::CommandError;
use super::trust::signature_path;
use anyhow::{Context, Result, ensure};
use hookmill_incident::name::is_name;
use hookmill_incident::timestamp::unix_ms;
use hookmill_sandbox::FILE_BYTES_MAX;
use hookmill_store::private_files::refuse_writable_by_others;
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The time for which a file must not change before it is read, so that a file that is being written is left alone.
const UNCHANGED_FOR: Duration = Duration::from_millis(100);
/// The time for which a file must be gone before its plugin is removed.
const GONE_FOR: Duration = Duration::from_secs(2);
/// The time after which a file is loaded again if no decision on it was possible.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A time of change, in seconds and nanoseconds since the Unix epoch.
type ChangeTime = (i64, i64);

/// The metadata of a file. Every change of the file changes its stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    bytes: u64,
    inode: u64,
    modified: ChangeTime,
    changed: ChangeTime,
    /// The times of change of the file's signature and of the lock file.
    trust_changed: [Option<ChangeTime>; 2],
}

impl FileStamp {
    fn of(metadata: &Metadata, trust_changed: [Option<ChangeTime>; 2]) -> Self {
        Self {
            bytes: metadata.len(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: change_time(metadata),
            trust_changed,
        }
    }

    fn is_unchanged_long_enough(&self) -> bool {
        let (seconds, nanos) = self.modified;
        let age_ms = unix_ms() - (seconds * 1000 + nanos / 1_000_000);
        age_ms >= UNCHANGED_FOR.as_millis() as i64
    }
}

fn change_time(metadata: &Metadata) -> ChangeTime {
    (metadata.ctime(), metadata.ctime_nsec())
}

/// The state of one file.
#[derive(Debug)]
struct WatchedFile {
    stamp: FileStamp,
    stamp_since: Instant,
    /// The stamp of the file when it was last loaded.
    loaded: Option<FileStamp>,
    is_loading: bool,
    gone_since: Option<Instant>,
    retry_at: Option<Instant>,
}

impl WatchedFile {
    fn new(stamp: FileStamp, now: Instant) -> Self {
        Self { stamp, stamp_since: now, loaded: None, is_loading: false, gone_since: None, retry_at: None }
    }

    fn is_settled(&self) -> bool {
        self.loaded == Some(self.stamp) && !self.is_loading && self.gone_since.is_none()
    }

    /// Records that the file is there, and returns whether it has to be loaded now.
    fn see(&mut self, stamp: FileStamp, now: Instant) -> bool {
        self.gone_since = None;
        if self.stamp != stamp {
            (self.stamp, self.stamp_since) = (stamp, now);
        }
        let is_unchanged = stamp.is_unchanged_long_enough() || now - self.stamp_since >= UNCHANGED_FOR;
        let is_new = self.loaded != Some(stamp) || self.retry_at.is_some_and(|at| at <= now);
        // Versions load one after the other: if files follow each other quickly, each one that was begun goes live.
        is_new && is_unchanged && !self.is_loading
    }

    fn begin_loading(&mut self) {
        (self.loaded, self.is_loading, self.retry_at) = (Some(self.stamp), true, None);
    }
}

/// The end of the loading of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadEnd {
    /// The file went live or was refused.
    Decided,
    /// The file changed while it was read, and is loaded again.
    FileChanged,
    /// No decision was possible. The file is loaded again after a while.
    Postponed,
}

/// The changes since the last look at the folder.
#[derive(Debug, Default)]
pub struct FileChanges {
    /// Plugins whose files have to be loaded. Each counts as being loaded from now on.
    pub to_load: Vec<(String, FileStamp)>,
    /// Plugins whose files are gone.
    pub removed: Vec<String>,
}

/// The plugin files of one folder.
#[derive(Debug)]
pub struct PluginFiles {
    folder: PathBuf,
    lock: Option<PathBuf>,
    files: BTreeMap<String, WatchedFile>,
}

impl PluginFiles {
    /// Prepares to look at a folder, whose files depend on the lock file too.
    pub fn new(folder: PathBuf, lock: Option<PathBuf>) -> Self {
        Self { folder, lock, files: BTreeMap::new() }
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of a plugin's file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.wasm"))
    }

    /// Returns whether every file that was seen has been loaded and is unchanged since.
    pub fn is_settled(&self) -> bool {
        self.files.values().all(WatchedFile::is_settled)
    }

    /// Looks at the folder and returns what changed.
    ///
    /// # Errors
    /// Returns an error if the folder exists and cannot be read, or other users can write in it. Nothing counts as gone
    /// then.
    pub fn look(&mut self) -> Result<FileChanges> {
        let found = match self.list() {
            Err(error) if self.folder.exists() => return Err(error),
            found => found.unwrap_or_default(),
        };
        let now = Instant::now();
        let mut changes = FileChanges::default();
        for (name, stamp) in &found {
            let file = self.files.entry(name.clone()).or_insert_with(|| WatchedFile::new(*stamp, now));
            if file.see(*stamp, now) {
                file.begin_loading();
                changes.to_load.push((name.clone(), *stamp));
            }
        }
        for (name, file) in &mut self.files {
            // A file that is being loaded is not removed before the result of the loading is known.
            if !found.contains_key(name) && !file.is_loading && now - *file.gone_since.get_or_insert(now) >= GONE_FOR {
                changes.removed.push(name.clone());
            }
        }
        self.files.retain(|name, _| !changes.removed.contains(name));
        Ok(changes)
    }

    fn list(&self) -> Result<BTreeMap<String, FileStamp>> {
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let Some(name) = plugin_name(&path) else { continue };
            // A file may be removed between the two calls.
            if let Some(metadata) = std::fs::metadata(&path).ok().filter(Metadata::is_file) {
                let trust_files = [Some(signature_path(&path)), self.lock.clone()];
                let trust_changed = trust_files.map(|path| std::fs::metadata(path?).ok().as_ref().map(change_time));
                found.insert(name.to_owned(), FileStamp::of(&metadata, trust_changed));
            }
        }
        if !found.is_empty() {
            refuse_writable_by_others(&self.folder)?;
        }
        Ok(found)
    }

    /// Begins to load a plugin for a command.
    ///
    /// # Errors
    /// Returns an error if there is no such file, or the file is not settled.
    pub fn begin_command(&mut self, name: &str) -> Result<FileStamp, CommandError> {
        let file = self.files.get_mut(name).ok_or_else(|| CommandError::UnknownPlugin(name.to_owned()))?;
        if !file.is_settled() {
            return Err(CommandError::Loading(name.to_owned()));
        }
        file.is_loading = true;
        Ok(file.stamp)
    }

    /// Records that the loading of a file has ended.
    pub fn end_loading(&mut self, name: &str, end: LoadEnd) {
        let Some(file) = self.files.get_mut(name) else { return };
        file.is_loading = false;
        match end {
            LoadEnd::Decided => {}
            LoadEnd::FileChanged => file.loaded = None,
            LoadEnd::Postponed => file.retry_at = Some(Instant::now() + RETRY_AFTER),
        }
    }
}

/// Returns `NAME` of `…/NAME.wasm`, if that is a plugin's name.
pub fn plugin_name(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(".wasm")?;
    is_name(name).then_some(name)
}

/// Checks the size of a plugin file.
///
/// # Errors
/// Returns an error if the file is too large.
pub fn check_size(bytes: u64) -> Result<()> {
    ensure!(bytes <= FILE_BYTES_MAX, "the file has {bytes} bytes; a plugin file may have at most {FILE_BYTES_MAX}");
    Ok(())
}

/// Reads a file. Returns `None` if the file changed since it was looked at; the next look finds the change.
///
/// # Errors
/// Returns an error if the file cannot be read or is too large.
pub async fn read_plugin(path: &Path, stamp: FileStamp) -> Result<Option<Vec<u8>>> {
    check_size(stamp.bytes)?;
    let bytes = tokio::fs::read(path).await.context("the file cannot be read")?;
    let now = tokio::fs::metadata(path).await.ok().map(|metadata| FileStamp::of(&metadata, stamp.trust_changed));
    Ok((now == Some(stamp) && bytes.len() as u64 == stamp.bytes).then_some(bytes))
}
