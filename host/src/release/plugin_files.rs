//! The files in the plugins folder: which are new, which changed, which are gone, and which are not taken.

use super::command::CommandError;
use super::trust::signature_path;
use anyhow::{Context, Result, ensure};
use hookmill_incident::Clock;
use hookmill_incident::name::check_name;
use hookmill_sandbox::{FILE_BYTES_MAX, is_cut_off};
use hookmill_store::private_files::refuse_writable_by_others;
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The time for which a file must not change before it is read, so that a file that is being written is left alone.
const UNCHANGED_FOR: Duration = Duration::from_millis(100);
/// The time for which a file that is cut off must not change before it counts as broken instead of as an upload that has
/// stalled.
const CUT_OFF_FOR: Duration = Duration::from_secs(10);
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

    /// Returns the time since the file was changed; none for a file of the future.
    fn age(&self, now_ms: i64) -> Duration {
        let (seconds, nanos) = self.modified;
        let age_ms = now_ms - (seconds * 1000 + nanos / 1_000_000);
        Duration::from_millis(u64::try_from(age_ms).unwrap_or(0))
    }
}

fn change_time(metadata: &Metadata) -> ChangeTime {
    (metadata.ctime(), metadata.ctime_nsec())
}

/// The time of a look at the folder. Files have times of the wall clock.
#[derive(Clone, Copy, Debug)]
struct Moment {
    instant: Instant,
    unix_ms: i64,
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
    upload: Upload,
}

/// The state of a file that may be an unfinished upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    /// The file was whole, or not read yet.
    None,
    /// The file was cut off, and has some time to become whole.
    Waiting,
    /// The file was cut off for too long, and is loaded nevertheless, so that its error is shown.
    GivenUp,
    /// The file of this inode was refused because it was cut off for too long. It is not refused again, however often it
    /// changes, before it is whole.
    Refused(u64),
}

impl WatchedFile {
    fn new(stamp: FileStamp, now: Instant) -> Self {
        let (loaded, gone_since, retry_at) = (None, None, None);
        Self { stamp, stamp_since: now, loaded, is_loading: false, gone_since, retry_at, upload: Upload::None }
    }

    fn is_settled(&self) -> bool {
        !self.is_changing() && !self.is_loading && self.upload != Upload::Waiting
    }

    /// Returns whether the file differs from what was loaded, or is being loaded, last.
    fn is_changing(&self) -> bool {
        self.loaded != Some(self.stamp) || self.gone_since.is_some()
    }

    fn is_unchanged_for(&self, time: Duration, now: Moment) -> bool {
        self.stamp.age(now.unix_ms) >= time || now.instant - self.stamp_since >= time
    }

    /// Records that the file is there, and returns whether it has to be loaded now.
    fn see(&mut self, stamp: FileStamp, now: Moment) -> bool {
        self.gone_since = None;
        if self.stamp != stamp {
            (self.stamp, self.stamp_since) = (stamp, now.instant);
        }
        let is_unchanged = self.is_unchanged_for(UNCHANGED_FOR, now);
        let is_new = self.loaded != Some(stamp) || self.retry_at.is_some_and(|at| at <= now.instant);
        // Versions load one after the other: if files follow each other quickly, each one that was begun goes live.
        is_new && is_unchanged && !self.is_loading
    }

    fn begin_loading(&mut self, now: Moment) -> Patience {
        (self.loaded, self.is_loading, self.retry_at) = (Some(self.stamp), true, None);
        match self.upload {
            Upload::Refused(inode) if inode == self.stamp.inode => Patience::Endless,
            Upload::Waiting if self.is_unchanged_for(CUT_OFF_FOR, now) => {
                self.upload = Upload::GivenUp;
                Patience::None
            }
            _ if self.is_unchanged_for(CUT_OFF_FOR, now) => Patience::None,
            _ => Patience::Some,
        }
    }
}

/// Whether a file that is cut off is left alone for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// The file is loaded, and refused with a reason.
    None,
    /// The file is left alone for a while.
    Some,
    /// The file is left alone until it is whole, because the same upload was refused before.
    Endless,
}

/// The end of the loading of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadEnd {
    /// The file went live or was refused.
    Decided,
    /// The file changed while it was read, and is loaded again.
    FileChanged,
    /// The file is cut off, perhaps because an upload has stalled. It is loaded when it changes or after a while.
    CutOff,
    /// No decision was possible. The file is loaded again after a while.
    Postponed,
}

/// The changes since the last look at the folder.
#[derive(Debug, Default)]
pub struct FileChanges {
    /// Plugins whose files have to be loaded. Each counts as being loaded from now on.
    pub to_load: Vec<(String, ToLoad)>,
    /// Plugins whose files are gone.
    pub removed: Vec<String>,
    /// Names that are not taken, with the reason, if they changed.
    pub not_taken: Option<NotTaken>,
}

/// The names of entries that look like plugins and are not taken, with the reasons.
pub type NotTaken = BTreeMap<String, String>;

/// A file that has to be loaded.
#[derive(Clone, Copy, Debug)]
pub struct ToLoad {
    stamp: FileStamp,
    patience: Patience,
}

/// The content of a file that has to be loaded.
#[derive(Debug)]
pub enum FileContent {
    /// The file is as it was looked at.
    Whole(Vec<u8>),
    /// The file changed since; the next look finds the change.
    Changed,
    /// The file is cut off and may become whole.
    CutOff,
}

/// The plugin files of one folder.
#[derive(Debug)]
pub struct PluginFiles {
    folder: PathBuf,
    /// Whether other users may be able to write in the folder.
    is_shared: bool,
    lock: Option<PathBuf>,
    clock: Clock,
    files: BTreeMap<String, WatchedFile>,
    not_taken: NotTaken,
}

/// The entries of the folder that look like plugins.
#[derive(Default)]
struct Entries {
    files: BTreeMap<String, FileStamp>,
    not_taken: NotTaken,
}

impl PluginFiles {
    /// Prepares to look at a folder, whose files depend on the lock file too. Unless the folder `is_shared`, it must not
    /// be one that other users can write in.
    pub fn new(folder: PathBuf, is_shared: bool, lock: Option<PathBuf>, clock: Clock) -> Self {
        Self { folder, is_shared, lock, clock, files: BTreeMap::new(), not_taken: NotTaken::new() }
    }

    /// Checks who can write in the folder.
    ///
    /// # Errors
    /// Returns an error if other users can and must not.
    pub fn check_folder(&self) -> Result<()> {
        if self.is_shared { Ok(()) } else { refuse_writable_by_others(&self.folder) }
    }

    /// Returns whether the folder has a file of this plugin, or had one a moment ago.
    pub fn contains(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Returns whether the file of this plugin is being loaded.
    pub fn is_loading(&self, name: &str) -> bool {
        self.files.get(name).is_some_and(|file| file.is_loading)
    }

    /// Returns whether no file of a plugin was found.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the clock that the ages of files are measured with.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns the path of a plugin's file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.wasm"))
    }

    /// Returns whether every file that was seen has been loaded and is unchanged since.
    pub fn is_settled(&self) -> bool {
        self.files.values().all(WatchedFile::is_settled)
    }

    /// Returns whether a file has changed and is not being loaded yet.
    pub fn is_changing(&self) -> bool {
        self.files.values().any(|file| !file.is_loading && file.is_changing())
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
        let now = Moment { instant: Instant::now(), unix_ms: self.clock.now_ms() };
        let mut changes = FileChanges::default();
        for (name, stamp) in &found.files {
            let file = self.files.entry(name.clone()).or_insert_with(|| WatchedFile::new(*stamp, now.instant));
            if file.see(*stamp, now) {
                let patience = file.begin_loading(now);
                changes.to_load.push((name.clone(), ToLoad { stamp: *stamp, patience }));
            }
        }
        for (name, file) in &mut self.files {
            // A file that is being loaded is not removed before the result of the loading is known.
            if !found.files.contains_key(name)
                && !file.is_loading
                && now.instant - *file.gone_since.get_or_insert(now.instant) >= GONE_FOR
            {
                changes.removed.push(name.clone());
            }
        }
        self.files.retain(|name, _| !changes.removed.contains(name));
        let mut not_taken = found.not_taken;
        // The file of a plugin may be replaced at this moment.
        not_taken.retain(|name, _| !self.files.contains_key(name));
        if self.not_taken != not_taken {
            self.not_taken.clone_from(&not_taken);
            changes.not_taken = Some(not_taken);
        }
        Ok(changes)
    }

    fn list(&self) -> Result<Entries> {
        let mut entries = Entries::default();
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            match plugin_file(&path) {
                Some(Ok((name, metadata))) => {
                    let trust_files = [Some(signature_path(&path)), self.lock.clone()];
                    let trust_changed = trust_files.map(|path| std::fs::metadata(path?).ok().as_ref().map(change_time));
                    entries.files.insert(name, FileStamp::of(&metadata, trust_changed));
                }
                Some(Err((name, reason))) => {
                    entries.not_taken.insert(name, reason);
                }
                None => {}
            }
        }
        if !entries.files.is_empty() {
            self.check_folder()?;
        }
        Ok(entries)
    }

    /// Begins to load a plugin for a command.
    ///
    /// # Errors
    /// Returns an error if there is no such file, or the file is not settled.
    pub fn begin_command(&mut self, name: &str) -> Result<ToLoad, CommandError> {
        let file = self.files.get_mut(name).ok_or_else(|| CommandError::UnknownPlugin(name.to_owned()))?;
        if !file.is_settled() {
            return Err(CommandError::Loading(name.to_owned()));
        }
        file.is_loading = true;
        Ok(ToLoad { stamp: file.stamp, patience: Patience::None })
    }

    /// Records that the loading of a file has ended.
    pub fn end_loading(&mut self, name: &str, end: LoadEnd) {
        let Some(file) = self.files.get_mut(name) else { return };
        file.is_loading = false;
        match end {
            LoadEnd::Decided if file.upload == Upload::GivenUp => file.upload = Upload::Refused(file.stamp.inode),
            LoadEnd::Decided => file.upload = Upload::None,
            LoadEnd::CutOff if matches!(file.upload, Upload::Refused(_)) => {}
            LoadEnd::CutOff => {
                file.upload = Upload::Waiting;
                file.retry_at = Some(Instant::now() + CUT_OFF_FOR.saturating_sub(file.stamp.age(self.clock.now_ms())));
            }
            LoadEnd::FileChanged => file.loaded = None,
            LoadEnd::Postponed => file.retry_at = Some(Instant::now() + RETRY_AFTER),
        }
    }
}

/// Returns the name of the plugin in a file with this name.
///
/// # Errors
/// Returns a sentence that says what is wrong with the name of the file.
pub fn plugin_name(path: &Path) -> Result<String, String> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let Some(name) = file.strip_suffix(".wasm") else {
        return Err("the name of the file does not end with `.wasm` in lower case; rename the file".to_owned());
    };
    check_name(name).map_err(|reason| format!("{reason}; rename the file"))?;
    Ok(name.to_owned())
}

/// Returns the plugin of an entry of the folder with its metadata, or the entry's name and the reason why the entry is
/// not taken; `None` for entries that do not look like a plugin.
fn plugin_file(path: &Path) -> Option<Result<(String, Metadata), (String, String)>> {
    let file = path.file_name()?.to_string_lossy();
    let is_wasm = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wasm"));
    if file.starts_with('.') || !is_wasm {
        return None;
    }
    let name = match plugin_name(path) {
        Ok(name) => name,
        Err(reason) => return Some(Err((file.into_owned(), reason))),
    };
    let reason = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => return Some(Ok((name, metadata))),
        Ok(_) => "the entry is not a regular file".to_owned(),
        // The file may have been removed meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let target = std::fs::read_link(path).ok()?;
            format!("the file is a link to {}, which does not exist", target.display())
        }
        Err(error) => format!("the file cannot be read: {error}"),
    };
    Some(Err((name, reason)))
}

/// Checks the size of a plugin file.
///
/// # Errors
/// Returns an error if the file is too large.
pub fn check_size(bytes: u64) -> Result<()> {
    ensure!(bytes <= FILE_BYTES_MAX, "the file has {bytes} bytes; a plugin file may have at most {FILE_BYTES_MAX}");
    Ok(())
}

/// Reads a file.
///
/// # Errors
/// Returns an error if the file cannot be read or is too large.
pub async fn read_plugin(path: &Path, ToLoad { stamp, patience }: ToLoad) -> Result<FileContent> {
    check_size(stamp.bytes)?;
    let bytes = tokio::fs::read(path).await.context("the file cannot be read")?;
    let now = tokio::fs::metadata(path).await.ok().map(|metadata| FileStamp::of(&metadata, stamp.trust_changed));
    if now != Some(stamp) || bytes.len() as u64 != stamp.bytes {
        return Ok(FileContent::Changed);
    }
    if patience != Patience::None && is_cut_off(&bytes) {
        return Ok(FileContent::CutOff);
    }
    Ok(FileContent::Whole(bytes))
}
