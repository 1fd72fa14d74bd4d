//! The task that owns the plugins folder and publishes the live plugins.
//!
//! Notices of the file system are hints; the task looks at the folder itself, after each notice and on a slow timer. A
//! file is read when it has not changed for a while, compiled in another task and called once as a check. Only then
//! does the new version replace the version before it, on which calls that have begun still finish. A refused file
//! changes nothing.

use super::command::{CommandError, CommandRequest, VersionCommand};
use super::decision::{Decision, DecisionError, Releases};
use super::plugin_files::{FileContent, LoadEnd, NotTaken, PluginFiles, ToLoad, read_plugin};
use crate::folder_watcher::{FolderWatcher, changed};
use crate::loaded::{Loaded, PluginStates, Plugins};
use crate::metrics::Metrics;
use anyhow::{Result, anyhow};
use hookmill_incident::PluginVersion;
use hookmill_sandbox::Plugin;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

/// The time between two looks at the folder while a file is not settled.
const LOOK_EVERY_UNSETTLED: Duration = Duration::from_millis(25);
/// The time between two looks at the folder otherwise.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The number of files that are loaded at once on a machine with few cores, otherwise as many as there are cores. Each is in
/// memory while it is loaded.
const LOADS_AT_ONCE_MIN: usize = 4;

/// A plugin file that was refused.
#[derive(Debug)]
pub struct PluginRefusal {
    /// The name of the plugin.
    pub name: String,
    /// The path of the file.
    pub file: PathBuf,
    /// The reason.
    pub error: String,
}

type Reply = oneshot::Sender<Result<PluginVersion, CommandError>>;
type LoadResult = Result<Loading, DecisionError>;

/// The result of loading a file.
enum Loading {
    /// There is a decision on the file.
    Decided(Decision),
    /// The file changed while it was read.
    FileChanged,
    /// The file is cut off and may become whole.
    CutOff,
}

/// The task that owns the plugins folder.
#[derive(Debug)]
pub struct PluginDir {
    files: PluginFiles,
    releases: Arc<Releases>,
    metrics: Arc<Metrics>,
    loaded: Arc<Loaded>,
    commands: mpsc::Receiver<CommandRequest>,
    /// The replies to the commands that are being carried out, by plugin.
    replies: BTreeMap<String, Reply>,
    refusals: mpsc::Sender<PluginRefusal>,
    loading: JoinSet<(String, LoadResult)>,
    loads: Arc<Semaphore>,
    /// The entries of the folder that are not taken, with the reasons.
    not_taken: NotTaken,
    /// The last problem with the folder that was logged.
    logged_problem: Option<String>,
}

impl PluginDir {
    /// Prepares to look after the folder of `files`.
    ///
    /// # Errors
    /// Returns an error if the folder exists and other users can write in it.
    pub fn new(
        files: PluginFiles,
        releases: Arc<Releases>,
        metrics: Arc<Metrics>,
        loaded: Arc<Loaded>,
        commands: mpsc::Receiver<CommandRequest>,
        refusals: mpsc::Sender<PluginRefusal>,
    ) -> Result<Self> {
        let folder = files.folder();
        if folder.exists() {
            files.check_folder()?;
        } else {
            warn!("the plugins folder {} does not exist yet; events wait until it does", folder.display());
        }
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Self {
            files,
            releases,
            metrics,
            loaded,
            commands,
            replies: BTreeMap::new(),
            refusals,
            loading: JoinSet::new(),
            loads: Arc::new(Semaphore::new(cores.max(LOADS_AT_ONCE_MIN))),
            not_taken: NotTaken::new(),
            logged_problem: None,
        })
    }

    /// Looks after the folder until the process ends.
    pub async fn run(mut self) {
        let watcher = FolderWatcher::new();
        let mut watcher = watcher
            .inspect_err(|error| {
                warn!("no file system notices, looking every {} s instead: {error}", LOOK_EVERY.as_secs());
            })
            .ok();
        loop {
            if let Some(Err(error)) = watcher.as_mut().map(|watcher| watcher.follow(self.files.folder())) {
                self.log_problem(format!("cannot watch {}: {error}", self.files.folder().display()));
            }
            self.look();
            if !self.loaded.is_settled() && self.files.is_settled() {
                self.settle();
            }
            let pause = if self.files.is_changing() { LOOK_EVERY_UNSETTLED } else { LOOK_EVERY };
            tokio::select! {
                Some(Ok((name, result))) = self.loading.join_next() => self.finish(&name, result),
                Some(request) = self.commands.recv() => self.begin_command(request),
                () = changed(watcher.as_mut()) => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Records that every file that was there at the start has been loaded or refused.
    fn settle(&self) {
        self.loaded.settle();
        // A folder without plugins may be one that is not mounted yet.
        if !self.files.is_empty() {
            self.releases.keep_compiled(|name| self.files.contains(name));
        }
    }

    fn look(&mut self) {
        match self.files.look() {
            Ok(changes) => {
                changes.to_load.into_iter().for_each(|(name, file)| self.load(name, file));
                changes.removed.iter().for_each(|name| self.unload(name));
                if let Some(not_taken) = changes.not_taken {
                    self.publish_not_taken(not_taken);
                }
            }
            Err(error) => self.log_problem(format!("cannot look into the plugins folder: {error:#}")),
        }
    }

    /// Logs a problem that every look meets only once.
    fn log_problem(&mut self, problem: String) {
        if self.logged_problem.as_ref() != Some(&problem) {
            warn!("{problem}");
            self.logged_problem = Some(problem);
        }
    }

    fn load(&mut self, name: String, file: ToLoad) {
        let (path, releases, loads) = (self.files.path(&name), self.releases.clone(), self.loads.clone());
        self.spawn(name.clone(), async move {
            let _turn = loads.acquire().await;
            load_file(&releases, &name, &path, file, false).await
        });
    }

    fn begin_command(&mut self, CommandRequest { name, command, reply }: CommandRequest) {
        let file = match self.files.begin_command(&name) {
            Ok(file) => file,
            Err(error) => return drop(reply.send(Err(error))),
        };
        self.replies.insert(name.clone(), reply);
        let (path, releases) = (self.files.path(&name), self.releases.clone());
        self.spawn(name.clone(), async move {
            match command {
                VersionCommand::Rollback => Ok(Loading::Decided(releases.roll_back(&name).await?)),
                VersionCommand::Promote => load_file(&releases, &name, &path, file, true).await,
            }
        });
    }

    fn spawn(&mut self, name: String, loading: impl Future<Output = LoadResult> + Send + 'static) {
        let loading = tokio::spawn(loading);
        self.loading.spawn(async move {
            let failed = |error| Err(anyhow!("the task that loaded it failed: {error}").into());
            let result = loading.await.unwrap_or_else(failed);
            (name, result)
        });
    }

    /// Publishes the result of loading a file, then answers the command that asked for it.
    fn finish(&mut self, name: &str, result: LoadResult) {
        let answer = match &result {
            Ok(Loading::Decided(Decision::Live { plugin, .. })) => Ok((*plugin.version).clone()),
            Ok(Loading::Decided(Decision::Unchanged { objection })) => Err(CommandError::Refused(objection.clone())),
            Ok(Loading::FileChanged | Loading::CutOff) => Err(CommandError::FileChanging),
            Err(error) => Err(CommandError::Refused(format!("{error:#}"))),
        };
        match result {
            Ok(Loading::FileChanged) => self.files.end_loading(name, LoadEnd::FileChanged),
            Ok(Loading::CutOff) => {
                self.files.end_loading(name, LoadEnd::CutOff);
                debug!(plugin = name, "the file is cut off; perhaps its upload has not ended");
            }
            Ok(Loading::Decided(Decision::Live { plugin, objection })) => {
                self.files.end_loading(name, LoadEnd::Decided);
                self.go_live(name, plugin, objection);
            }
            Ok(Loading::Decided(Decision::Unchanged { objection })) => {
                self.files.end_loading(name, LoadEnd::Decided);
                self.refuse(name, objection);
            }
            Err(DecisionError::Refused(error)) => {
                self.files.end_loading(name, LoadEnd::Decided);
                self.refuse(name, format!("{error:#}"));
            }
            Err(error @ DecisionError::Postponed(_)) => {
                self.files.end_loading(name, LoadEnd::Postponed);
                self.publish_error(name, error.to_string());
            }
        }
        if let Some(reply) = self.replies.remove(name) {
            let _ = reply.send(answer);
        }
    }

    fn go_live(&self, name: &str, plugin: Arc<Plugin>, objection: Option<String>) {
        if let Some(objection) = &objection {
            warn!(plugin = name, "{objection}");
        }
        let mut states = PluginStates::clone(&self.loaded.states());
        let state = states.entry(name.to_owned()).or_default();
        state.error = objection;
        let sha256 = plugin.version.sha256.clone();
        let live = self.loaded.plugins().get(name).map(|live| live.version.sha256.clone());
        if live.as_ref() == Some(&sha256) {
            self.loaded.publish_states(states);
            return;
        }
        info!(plugin = name, version = plugin.version.version, sha256, "plugin loaded");
        state.loaded_at = Some(self.files.clock().now());
        self.metrics.reload(name, "loaded");
        let mut plugins = Plugins::clone(&self.loaded.plugins());
        plugins.insert(name.to_owned(), plugin);
        self.publish(plugins, states);
    }

    fn refuse(&self, name: &str, error: String) {
        self.publish_error(name, error.clone());
        self.metrics.reload(name, "refused");
        // If files are refused faster than notices are written, some refusals cause no notice.
        let _ = self.refusals.try_send(PluginRefusal { name: name.to_owned(), file: self.files.path(name), error });
    }

    fn publish_error(&self, name: &str, error: String) {
        let stays = if self.loaded.plugins().contains_key(name) { "; the previous version stays live" } else { "" };
        warn!(plugin = name, "{} refused{stays}: {error}", self.files.path(name).display());
        let mut states = PluginStates::clone(&self.loaded.states());
        states.entry(name.to_owned()).or_default().error = Some(error);
        self.loaded.publish_states(states);
    }

    fn unload(&self, name: &str) {
        let mut states = PluginStates::clone(&self.loaded.states());
        states.remove(name);
        let mut plugins = Plugins::clone(&self.loaded.plugins());
        if plugins.remove(name).is_some() {
            info!(plugin = name, "plugin removed: its file is gone");
            self.metrics.reload(name, "removed");
        }
        self.releases.keep_compiled(|other| other != name);
        self.publish(plugins, states);
    }

    /// Publishes the entries of the folder that are not taken, in the place of those that were not taken before.
    fn publish_not_taken(&mut self, not_taken: NotTaken) {
        let mut states = PluginStates::clone(&self.loaded.states());
        for (name, reason) in &not_taken {
            if self.not_taken.get(name) != Some(reason) {
                warn!(plugin = name, "an entry of the plugins folder is not taken: {reason}");
            }
            states.entry(name.clone()).or_default().error = Some(reason.clone());
        }
        for name in self.not_taken.keys().filter(|name| !not_taken.contains_key(*name)) {
            if !self.loaded.plugins().contains_key(name) {
                states.remove(name);
            }
        }
        self.not_taken = not_taken;
        self.loaded.publish_states(states);
    }

    fn publish(&self, plugins: Plugins, states: PluginStates) {
        let info = plugins.values().map(|plugin| {
            let version = &plugin.version;
            (version.name.as_str(), version.version.as_str(), version.sha256.as_str())
        });
        self.metrics.set_plugins(info);
        self.loaded.publish(plugins, states);
    }
}

/// Reads a file and decides on it.
async fn load_file(releases: &Releases, name: &str, path: &Path, file: ToLoad, is_promoted: bool) -> LoadResult {
    match read_plugin(path, file).await? {
        FileContent::Whole(bytes) => releases.decide(name, path, bytes, is_promoted).await.map(Loading::Decided),
        FileContent::Changed => Ok(Loading::FileChanged),
        FileContent::CutOff => Ok(Loading::CutOff),
    }
}
