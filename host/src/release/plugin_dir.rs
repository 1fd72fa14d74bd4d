//! The plugins folder: one task owns what is loaded from it.
//!
//! The file system's notices are hints; the task looks for itself, also after a watch failed and on a slow timer. A
//! file is read when it has been still for a while, compiled aside, called once on trial, and only then put in the
//! place of the version before it, which calls in flight finish on. A file that is refused changes nothing.

use super::decision::{Command, Decision, NotNow, Order, Releases};
use super::trust::signature_path;
use crate::loaded::{Loaded, PluginStates, Plugins};
use crate::metrics::Metrics;
use anyhow::{Context, Result, anyhow, ensure};
use hookmill_incident::PluginVersion;
use hookmill_incident::timestamp::unix_ms;
use hookmill_incident::name::is_name;
use hookmill_sandbox::{FILE_BYTES_MAX, Plugin};
use hookmill_store::private_files::refuse_writable_by_others;
use jiff::Timestamp;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{info, warn};

/// How long a file must be still before it is read, so that one that is being written is left alone.
const SETTLE: Duration = Duration::from_millis(100);
/// How long a file must be gone before its plugin is.
const GONE: Duration = Duration::from_secs(2);
/// How often the task looks while something is unsettled, and when nothing is.
const LOOK_SOON: Duration = Duration::from_millis(25);
const LOOK: Duration = Duration::from_secs(2);
/// When a file is looked at again that could not be decided on.
const AGAIN: Duration = Duration::from_secs(5);

/// What one look says of a file, to tell whether it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// When its signature and the lock file were changed.
    trusted: [Option<(i64, i64)>; 2],
}

impl Stamp {
    fn of(metadata: &Metadata, trusted: [Option<(i64, i64)>; 2]) -> Self {
        Self {
            bytes: metadata.len(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: changed(metadata),
            trusted,
        }
    }

    /// Whether the file was last written long enough ago.
    fn is_old(&self) -> bool {
        let (seconds, nanos) = self.modified;
        let age_ms = unix_ms() - (seconds * 1000 + nanos / 1_000_000);
        age_ms >= SETTLE.as_millis() as i64
    }
}

fn changed(metadata: &Metadata) -> (i64, i64) {
    (metadata.ctime(), metadata.ctime_nsec())
}

/// What the task knows of one file.
#[derive(Debug)]
struct Watched {
    stamp: Stamp,
    since: Instant,
    handled: Option<Stamp>,
    loading: bool,
    gone_since: Option<Instant>,
    again_at: Option<Instant>,
}

impl Watched {
    fn is_settled(&self) -> bool {
        self.handled == Some(self.stamp) && !self.loading && self.gone_since.is_none()
    }
}

/// A file that is not live, and why.
#[derive(Debug)]
pub struct Refusal {
    /// The plugin.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub error: String,
}

type Reply = oneshot::Sender<Result<PluginVersion, String>>;

/// The task that owns what is loaded.
#[derive(Debug)]
pub struct PluginDir {
    path: PathBuf,
    lock: Option<PathBuf>,
    releases: Arc<Releases>,
    metrics: Arc<Metrics>,
    loaded: Arc<Loaded>,
    orders: mpsc::Receiver<Order>,
    /// Who waits for what becomes of a plugin.
    ordered: BTreeMap<String, Vec<Reply>>,
    /// Where refusals are told.
    refused: mpsc::Sender<Refusal>,
    files: BTreeMap<String, Watched>,
    loading: JoinSet<(String, Result<Option<Decision>>)>,
    watched_inode: Option<u64>,
    problem: Option<String>,
}

impl PluginDir {
    /// Prepares to watch the configured folder.
    ///
    /// # Errors
    /// When the folder is there and other users can write in it.
    pub fn new(
        path: PathBuf,
        lock: Option<PathBuf>,
        releases: Arc<Releases>,
        metrics: Arc<Metrics>,
        loaded: Arc<Loaded>,
        orders: mpsc::Receiver<Order>,
        refused: mpsc::Sender<Refusal>,
    ) -> Result<Self> {
        if path.exists() {
            refuse_writable_by_others(&path)?;
        } else {
            warn!("the plugins folder {} does not exist yet; events wait until it does", path.display());
        }
        Ok(Self {
            path,
            lock,
            releases,
            metrics,
            loaded,
            orders,
            ordered: BTreeMap::new(),
            refused,
            files: BTreeMap::new(),
            loading: JoinSet::new(),
            watched_inode: None,
            problem: None,
        })
    }

    /// Watches until the process ends.
    pub async fn run(mut self) {
        let (hints, mut hinted) = mpsc::channel::<()>(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Looking opens the folder, which is noticed too. A full channel already says that there is something.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                let _ = hints.try_send(());
            }
        })
        .inspect_err(|error| warn!("no file system notices, looking every {} s: {error}", LOOK.as_secs()))
        .ok();
        loop {
            self.watch(watcher.as_mut());
            self.look();
            let settled = self.files.values().all(Watched::is_settled);
            if settled && !self.loaded.is_settled() {
                self.loaded.settle();
            }
            let pause = if settled { LOOK } else { LOOK_SOON };
            tokio::select! {
                Some(Ok((name, result))) = self.loading.join_next() => self.publish(&name, result),
                Some(order) = self.orders.recv() => self.take(order),
                Some(()) = hinted.recv(), if watcher.is_some() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Watches the folder that is at the path now: it may have come late or been replaced.
    fn watch(&mut self, watcher: Option<&mut RecommendedWatcher>) {
        let Some(watcher) = watcher else { return };
        let inode = std::fs::metadata(&self.path).ok().map(|metadata| metadata.ino());
        if inode == self.watched_inode {
            return;
        }
        let _ = watcher.unwatch(&self.path);
        self.watched_inode = None;
        if inode.is_some() {
            match watcher.watch(&self.path, RecursiveMode::NonRecursive) {
                Ok(()) => self.watched_inode = inode,
                Err(error) => self.complain(format!("cannot watch {}: {error}", self.path.display())),
            }
        }
    }

    fn look(&mut self) {
        let found = match self.list() {
            Ok(found) => found,
            Err(error) => {
                // Not every failed look is an empty folder: what is loaded stays.
                if self.path.exists() {
                    self.complain(format!("cannot look into the plugins folder: {error:#}"));
                    return;
                }
                BTreeMap::new()
            }
        };
        let now = Instant::now();
        for (name, stamp) in &found {
            let watched =
                Watched { stamp: *stamp, since: now, handled: None, loading: false, gone_since: None, again_at: None };
            let file = self.files.entry(name.clone()).or_insert(watched);
            file.gone_since = None;
            if file.stamp != *stamp {
                (file.stamp, file.since) = (*stamp, now);
            }
            // One version at a time: where files follow each other quickly, each that was begun goes live.
            let still = stamp.is_old() || now - file.since >= SETTLE;
            let is_new = file.handled != Some(*stamp) || file.again_at.is_some_and(|at| at <= now);
            if is_new && !file.loading && still {
                (file.handled, file.loading, file.again_at) = (Some(*stamp), true, None);
                self.load(name.clone(), *stamp);
            }
        }
        let mut gone = Vec::new();
        for (name, file) in &mut self.files {
            // What is being loaded is waited for: its result is of this file.
            if !found.contains_key(name) && !file.loading && now - *file.gone_since.get_or_insert(now) >= GONE {
                gone.push(name.clone());
            }
        }
        for name in gone {
            self.unload(&name);
        }
    }

    /// Logs a problem that every look meets, once.
    fn complain(&mut self, problem: String) {
        if self.problem.as_ref() != Some(&problem) {
            warn!("{problem}");
            self.problem = Some(problem);
        }
    }

    /// The plugin files that are there.
    fn list(&self) -> Result<BTreeMap<String, Stamp>> {
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(&self.path)? {
            let path = entry?.path();
            let Some(name) = plugin_name(&path) else { continue };
            // A file may go between the two calls.
            if let Some(metadata) = std::fs::metadata(&path).ok().filter(Metadata::is_file) {
                let trusted = [Some(signature_path(&path)), self.lock.clone()];
                let trusted = trusted.map(|path| std::fs::metadata(path?).ok().as_ref().map(changed));
                found.insert(name.to_owned(), Stamp::of(&metadata, trusted));
            }
        }
        if !found.is_empty() {
            refuse_writable_by_others(&self.path)?;
        }
        Ok(found)
    }

    fn load(&mut self, name: String, stamp: Stamp) {
        let (path, releases) = (self.file(&name), self.releases.clone());
        self.begin(name.clone(), async move {
            match read(&path, stamp).await? {
                Some(bytes) => releases.arrive(&name, &path, bytes, false).await.map(Some),
                None => Ok(None),
            }
        });
    }

    fn begin(&mut self, name: String, loading: impl Future<Output = Result<Option<Decision>>> + Send + 'static) {
        let loading = tokio::spawn(loading);
        self.loading.spawn(async move {
            let result = loading.await.unwrap_or_else(|error| Err(anyhow!("loading it ended abruptly: {error}")));
            (name, result)
        });
    }

    /// Begins what an operator wants.
    fn take(&mut self, Order { name, command, reply }: Order) {
        let path = self.file(&name);
        let Some(file) = self.files.get_mut(&name) else {
            let _ = reply.send(Err(format!("there is no plugin `{name}`")));
            return;
        };
        if !file.is_settled() {
            let _ = reply.send(Err(format!("plugin `{name}` is being loaded; try again")));
            return;
        }
        file.loading = true;
        let stamp = file.stamp;
        self.ordered.entry(name.clone()).or_default().push(reply);
        let releases = self.releases.clone();
        self.begin(name.clone(), async move {
            if command == Command::Rollback {
                return releases.back(&name).await.map(Some);
            }
            let Some(bytes) = read(&path, stamp).await? else { return Ok(None) };
            releases.arrive(&name, &path, bytes, true).await.map(Some)
        });
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.wasm"))
    }

    fn publish(&mut self, name: &str, result: Result<Option<Decision>>) {
        let replies = self.ordered.remove(name).unwrap_or_default();
        let answer = match &result {
            Ok(Some(Decision { live: Some(plugin), .. })) => Ok((*plugin.version).clone()),
            Ok(Some(Decision { objection, .. })) => Err(objection.clone().unwrap_or_default()),
            Ok(None) => Err("its file is being changed; try again".to_owned()),
            Err(error) => Err(format!("{error:#}")),
        };
        self.settle(name, result);
        replies.into_iter().for_each(|reply| drop(reply.send(answer.clone())));
    }

    fn settle(&mut self, name: &str, result: Result<Option<Decision>>) {
        let Some(file) = self.files.get_mut(name) else { return };
        file.loading = false;
        let mut states = PluginStates::clone(&self.loaded.states());
        let state = states.entry(name.to_owned()).or_default();
        match result.and_then(live_or_why) {
            Ok(None) => file.handled = None,
            Ok(Some((plugin, objection))) => {
                let sha256 = plugin.version.sha256.clone();
                let live = self.loaded.plugins().get(name).map(|live| live.version.sha256.clone());
                if let Some(objection) = &objection {
                    warn!(plugin = name, "{objection}");
                }
                state.error = objection;
                if live.as_ref() == Some(&sha256) {
                    self.loaded.publish_states(states);
                    return;
                }
                info!(plugin = name, version = plugin.version.version, sha256, "plugin loaded");
                state.loaded_at = Some(Timestamp::now());
                self.metrics.reload(name, "loaded");
                let mut plugins = Plugins::clone(&self.loaded.plugins());
                plugins.insert(name.to_owned(), plugin);
                self.swap(plugins, states);
            }
            Err(error) => {
                file.again_at = error.is::<NotNow>().then(|| Instant::now() + AGAIN);
                let stays = if self.loaded.plugins().contains_key(name) { "; the version before it stays" } else { "" };
                warn!(plugin = name, "{} refused{stays}: {error:#}", self.file(name).display());
                state.error = Some(format!("{error:#}"));
                if !error.is::<NotNow>() {
                    self.refused(name, format!("{error:#}"));
                }
                self.loaded.publish_states(states);
            }
        }
    }

    fn refused(&self, name: &str, error: String) {
        self.metrics.reload(name, "refused");
        // Whoever puts refused files there faster than they are told of is told of some.
        let _ = self.refused.try_send(Refusal { name: name.to_owned(), file: self.file(name), error });
    }

    fn unload(&mut self, name: &str) {
        self.files.remove(name);
        let mut states = PluginStates::clone(&self.loaded.states());
        states.remove(name);
        let mut plugins = Plugins::clone(&self.loaded.plugins());
        if plugins.remove(name).is_some() {
            info!(plugin = name, "plugin removed: its file is gone");
            self.metrics.reload(name, "removed");
        }
        self.swap(plugins, states);
    }

    fn swap(&self, plugins: Plugins, states: PluginStates) {
        let info = plugins.values().map(|plugin| {
            let version = &plugin.version;
            (version.name.as_str(), version.version.as_str(), version.sha256.as_str())
        });
        self.metrics.set_plugins(info);
        self.loaded.publish(plugins, states);
    }
}

/// The plugin that is to be live, with what there is to say of its file; or why none of it is.
fn live_or_why(decision: Option<Decision>) -> Result<Option<(Arc<Plugin>, Option<String>)>> {
    match decision {
        None => Ok(None),
        Some(Decision { live: Some(plugin), objection }) => Ok(Some((plugin, objection))),
        Some(Decision { live: None, objection }) => Err(anyhow!(objection.unwrap_or_default())),
    }
}

/// `NAME` of `…/NAME.wasm`, if that is a plugin's name.
fn plugin_name(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(".wasm")?;
    is_name(name).then_some(name)
}

/// Reads a file; nothing when it is no longer the one that was looked at, and will be looked at again.
async fn read(path: &Path, stamp: Stamp) -> Result<Option<Vec<u8>>> {
    ensure!(stamp.bytes <= FILE_BYTES_MAX, "it has {} bytes; a plugin file may have {FILE_BYTES_MAX}", stamp.bytes);
    let bytes = tokio::fs::read(path).await.context("it cannot be read")?;
    let now = tokio::fs::metadata(path).await.ok().map(|metadata| Stamp::of(&metadata, stamp.trusted));
    Ok((now == Some(stamp) && bytes.len() as u64 == stamp.bytes).then_some(bytes))
}
