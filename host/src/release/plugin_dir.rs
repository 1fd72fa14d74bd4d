//! The task that owns the plugins folder and publishes the live plugins.
//!
//! Notices of the file system are hints; the task looks at the folder itself, after each notice and on a slow timer. A
//! file is read when it has not changed for a while, compiled in another task and called once as a check. Only then
//! does the new version replace the version before it, on which calls that have begun still finish. A refused file
//! changes nothing.
//!
//! With a database that many hosts share, the task also loads the versions that are live on all hosts, whichever host found
//! their files. While such a version is not loaded, its plugin is not called.

use super::command::{CommandError, CommandRequest, VersionCommand};
use super::decision::{Decision, DecisionError, Releases};
use super::live_plugins::LivePlugins;
use super::plugin_files::{FileContent, LoadEnd, NotTaken, PluginFiles, ToLoad, read_plugin};
use super::shared_versions::SharedVersions;
use crate::folder_watcher::{FolderWatcher, changed};
use crate::loaded::{Loaded, PluginStates};
use anyhow::{Result, anyhow};
use hookmill_incident::PluginVersion;
use hookmill_store::Store;
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

/// The reason why something is loaded.
#[derive(Clone, Debug)]
enum Cause {
    /// A file in the folder.
    File,
    /// A command. The folder may have no file of the plugin, and get one meanwhile.
    Command { has_file: bool },
    /// The version is live on all hosts.
    Shared(PluginVersion),
}

/// The task that owns the plugins folder.
#[derive(Debug)]
pub struct PluginDir {
    files: PluginFiles,
    releases: Arc<Releases>,
    store: Arc<Store>,
    shared: SharedVersions,
    /// Whether the versions that hosts share have to be read again.
    is_shared_due: bool,
    live: LivePlugins,
    loaded: Arc<Loaded>,
    commands: mpsc::Receiver<CommandRequest>,
    /// The replies to the commands that are being carried out, by plugin.
    replies: BTreeMap<String, Reply>,
    refusals: mpsc::Sender<PluginRefusal>,
    loading: JoinSet<(String, Cause, LoadResult)>,
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
        store: Arc<Store>,
        live: LivePlugins,
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
            shared: SharedVersions::default(),
            is_shared_due: store.is_shared(),
            store,
            live,
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
        let mut shared_changes = self.store.watch_settings();
        loop {
            if let Some(Err(error)) = watcher.as_mut().map(|watcher| watcher.follow(self.files.folder())) {
                self.log_problem(format!("cannot watch {}: {error}", self.files.folder().display()));
            }
            self.look();
            if self.store.is_shared() {
                self.follow_shared().await;
            }
            if !self.loaded.is_settled() && self.is_settled() {
                self.settle();
            }
            let pause = if self.files.is_changing() { LOOK_EVERY_UNSETTLED } else { LOOK_EVERY };
            tokio::select! {
                Some(Ok((name, cause, result))) = self.loading.join_next() => self.finish(&name, cause, result),
                Ok(()) = shared_changes.changed() => self.is_shared_due = true,
                Some(request) = self.commands.recv() => self.begin_command(request),
                () = changed(watcher.as_mut()) => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn is_settled(&self) -> bool {
        let is_shared_settled = || self.shared.is_settled(&self.loaded.plugins());
        self.files.is_settled() && (!self.store.is_shared() || is_shared_settled())
    }

    /// Records that every file that was there at the start has been loaded or refused.
    fn settle(&self) {
        self.loaded.settle();
        // A folder without plugins may be one that is not mounted yet.
        if !self.files.is_empty() || self.store.is_shared() {
            self.releases.keep_compiled(|name| self.files.contains(name) || self.shared.contains(name));
        }
    }

    /// Reads which versions are live on all hosts, if that may have changed, and loads those that are not loaded here.
    async fn follow_shared(&mut self) {
        if self.is_shared_due {
            match self.releases.shared_versions().await {
                Ok(versions) => self.shared.replace(versions),
                Err(error) => {
                    return self.log_problem(format!("cannot read the plugin versions of all hosts: {error:#}"));
                }
            }
            self.is_shared_due = false;
            self.suspend_replaced();
            self.show_objections().await;
        }
        for version in self.shared.begin_loading(&self.loaded.plugins()) {
            let (releases, loads) = (self.releases.clone(), self.loads.clone());
            self.spawn(version.name.clone(), Cause::Shared(version.clone()), async move {
                let _turn = loads.acquire().await;
                let plugin = releases.load_shared(&version).await?;
                Ok(Loading::Decided(Decision::Live { plugin, objection: None }))
            });
        }
    }

    /// Ends calls of versions that are not live on all hosts any more, and forgets plugins that are gone. A version whose
    /// file this host has just decided on takes the place of the former one without a gap.
    fn suspend_replaced(&self) {
        let plugins = self.loaded.plugins().clone();
        let is_gone = |name: &str| match plugins.contains_key(name) {
            true => !self.shared.has_live(name) && !self.files.is_loading(name),
            // Another host refused a file, or this one could not load it.
            false => !self.shared.contains(name) && !self.files.contains(name) && !self.not_taken.contains_key(name),
        };
        for name in self.loaded.states().keys().filter(|name| is_gone(name)) {
            self.live.remove(name, "it was removed from all hosts");
        }
        let is_own = |version: &PluginVersion| {
            self.files.is_loading(&version.name)
                && self.releases.newest_file(&version.name).as_ref() == Some(&version.sha256)
        };
        let mut is_lacking = false;
        for version in self.shared.lacking(&plugins).filter(|version| !is_own(version)) {
            is_lacking = true;
            self.live.suspend(&version.name);
        }
        self.loaded.set_lacking(is_lacking);
    }

    /// Shows why live versions are not loaded and why newest versions are not live. A problem with a file in the folder
    /// of this host that no host has decided on stays.
    async fn show_objections(&mut self) {
        for version in self.shared.without_objection() {
            match self.releases.shared_objection(&version).await {
                Ok(objection) => self.shared.put_objection(&version, objection),
                Err(error) => {
                    self.is_shared_due = true;
                    self.log_problem(format!("cannot read why version {} is not live: {error:#}", version.version));
                }
            }
        }
        for (name, objection) in self.shared.objections() {
            if !self.has_own_file(&name) || self.live.error(&name).is_none() {
                self.live.set_error(&name, objection);
            }
        }
    }

    /// Returns whether the folder has a file of a plugin that the other hosts do not know.
    fn has_own_file(&self, name: &str) -> bool {
        self.releases.newest_file(name).is_some_and(|sha256| !self.shared.is_known(name, sha256))
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
        self.spawn(name.clone(), Cause::File, async move {
            let _turn = loads.acquire().await;
            load_file(&releases, &name, &path, file, false).await
        });
    }

    fn begin_command(&mut self, CommandRequest { name, command, reply }: CommandRequest) {
        if self.replies.contains_key(&name) {
            return drop(reply.send(Err(CommandError::Loading(name))));
        }
        let file = match self.files.begin_command(&name) {
            Ok(file) => Some(file),
            Err(CommandError::UnknownPlugin(_)) if self.shared.contains(&name) => None,
            Err(error) => return drop(reply.send(Err(error))),
        };
        self.replies.insert(name.clone(), reply);
        let (path, releases) = (self.files.path(&name), self.releases.clone());
        let cause = Cause::Command { has_file: file.is_some() };
        let file = file.filter(|_| !self.store.is_shared() || self.has_own_file(&name));
        self.spawn(name.clone(), cause, async move {
            match (command, file) {
                (VersionCommand::Rollback, _) => Ok(Loading::Decided(releases.roll_back(&name).await?)),
                (VersionCommand::Remove, _) => Ok(Loading::Decided(Decision::Removed(releases.remove(&name).await?))),
                (VersionCommand::Promote, Some(file)) => load_file(&releases, &name, &path, file, true).await,
                (VersionCommand::Promote, None) => Ok(Loading::Decided(releases.promote_newest(&name).await?)),
            }
        });
    }

    fn spawn(&mut self, name: String, cause: Cause, loading: impl Future<Output = LoadResult> + Send + 'static) {
        let loading = tokio::spawn(loading);
        self.loading.spawn(async move {
            let failed = |error| Err(anyhow!("the task that loaded it failed: {error}").into());
            let result = loading.await.unwrap_or_else(failed);
            (name, cause, result)
        });
    }

    fn finish(&mut self, name: &str, cause: Cause, result: LoadResult) {
        self.is_shared_due |= self.store.is_shared();
        match cause {
            Cause::File => self.finish_file(name, result, true),
            Cause::Command { has_file } => {
                let answer = answer_of(&result);
                self.finish_file(name, result, has_file);
                if let Some(reply) = self.replies.remove(name) {
                    let _ = reply.send(answer);
                }
            }
            Cause::Shared(version) => self.finish_shared(&version, result),
        }
    }

    /// Publishes a version that is live on all hosts, unless another one has become live meanwhile.
    fn finish_shared(&mut self, version: &PluginVersion, result: LoadResult) {
        let failure = result.as_ref().err().map(|error| {
            let version = &version.version;
            format!("version {version} is live on other hosts and cannot be loaded on this one: {error:#}")
        });
        if let Some(failure) = failure.as_ref().filter(|failure| !self.shared.has_failed(version, failure)) {
            warn!(plugin = version.name, "{failure}");
        }
        self.shared.end_loading(version, failure);
        if let Ok(Loading::Decided(Decision::Live { plugin, .. })) = result
            && self.shared.is_live(version)
        {
            self.live.go_live(&version.name, plugin, self.live.error(&version.name));
        }
    }

    /// Publishes the result of loading a file, or of a command about a plugin whose file the folder may have.
    fn finish_file(&mut self, name: &str, result: LoadResult, has_file: bool) {
        let end = match &result {
            Ok(Loading::FileChanged) => LoadEnd::FileChanged,
            Ok(Loading::CutOff) => LoadEnd::CutOff,
            Ok(Loading::Decided(_)) | Err(DecisionError::Refused(_)) => LoadEnd::Decided,
            Err(DecisionError::Postponed(_)) => LoadEnd::Postponed,
        };
        if has_file {
            self.files.end_loading(name, end);
        }
        match result {
            Ok(Loading::FileChanged | Loading::Decided(Decision::Removed(_))) => {}
            Ok(Loading::CutOff) => debug!(plugin = name, "the file is cut off; perhaps its upload has not ended"),
            Ok(Loading::Decided(Decision::Live { plugin, objection })) => self.live.go_live(name, plugin, objection),
            Ok(Loading::Decided(Decision::Known)) => {
                if let Some(sha256) = self.releases.newest_file(name) {
                    self.shared.add_decided(name, sha256);
                }
                info!(plugin = name, "the hosts have decided on {} before", self.files.path(name).display());
            }
            Ok(Loading::Decided(Decision::Unchanged { objection })) => self.refuse(name, objection),
            Err(DecisionError::Refused(error)) => self.refuse(name, format!("{error:#}")),
            Err(error @ DecisionError::Postponed(_)) => self.publish_error(name, error.to_string()),
        }
    }

    fn refuse(&self, name: &str, error: String) {
        self.publish_error(name, error.clone());
        self.live.count_refusal(name);
        // If files are refused faster than notices are written, some refusals cause no notice.
        let _ = self.refusals.try_send(PluginRefusal { name: name.to_owned(), file: self.files.path(name), error });
    }

    fn publish_error(&self, name: &str, error: String) {
        let stays = if self.loaded.plugins().contains_key(name) { "; the previous version stays live" } else { "" };
        warn!(plugin = name, "{} refused{stays}: {error}", self.files.path(name).display());
        self.live.set_error(name, Some(error));
    }

    fn unload(&mut self, name: &str) {
        self.releases.file_gone(name);
        if self.shared.contains(name) {
            self.is_shared_due = true;
            return info!(plugin = name, "the file is gone; the plugin stays live on all hosts");
        }
        self.releases.keep_compiled(|other| other != name);
        self.live.remove(name, "its file is gone");
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
}

/// Returns the answer to a command with this result.
fn answer_of(result: &LoadResult) -> Result<PluginVersion, CommandError> {
    match result {
        Ok(Loading::Decided(Decision::Live { plugin, .. })) => Ok((*plugin.version).clone()),
        Ok(Loading::Decided(Decision::Removed(version))) => Ok(version.clone()),
        Ok(Loading::Decided(Decision::Unchanged { objection })) => Err(CommandError::Refused(objection.clone())),
        Ok(Loading::Decided(Decision::Known) | Loading::FileChanged | Loading::CutOff) => {
            Err(CommandError::FileChanging)
        }
        Err(error) => Err(CommandError::Refused(format!("{error:#}"))),
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
