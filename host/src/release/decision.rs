//! Decides which version of a plugin is live: the one whose file is in the plugins folder, unless its signature, its
//! proof or an operator's command is against it.

use super::command::{CommandError, CommandRequest, VersionCommand};
use super::compiled_cache::{CompiledCache, ReadOnlyCache};
use super::idle_versions::IdleVersions;
use super::plugin_files::check_size;
use super::precompiled::Precompiled;
use super::proof::{KnownPayloads, Prover};
use super::report::objection;
use super::samples::Sample;
use super::trust::Trust;
use super::versions::{KeptFile, Versions};
use crate::loaded::Loaded;
use crate::payload_file::PayloadFile;
use anyhow::{Context, Result, bail, ensure};
use hookmill_incident::{PluginVersion, words};
use hookmill_sandbox::{CompiledCode, Kind, Plugin, PluginLimits, Sandbox};
use hookmill_store::{ProofReport, Store, VersionRow, VersionState};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

words!(
    /// The condition under which a new version of a mapper goes live.
    Reload {
        /// As soon as the version is loaded.
        Immediate = "immediate",
        /// When the version has mapped known payloads of the plugin, and has not failed on a payload that the live
        /// version maps.
        Verified = "verified",
    }
);

/// The options of [`Releases`].
#[derive(Clone, Debug)]
pub struct ReleaseOptions {
    /// The folder in which former versions and compiled code are kept.
    pub data_dir: PathBuf,
    /// The folder of the compiled code that was installed with the program.
    pub precompiled_dir: Option<PathBuf>,
    /// The digests or signatures that plugin files must have.
    pub trust: Trust,
    /// The condition under which a new version of a mapper goes live.
    pub reload: Reload,
    /// The limits of single plugins, by name.
    pub limits: BTreeMap<String, PluginLimits>,
    /// The limits of all other plugins.
    pub default_limits: PluginLimits,
}

/// The decision on a plugin.
#[derive(Debug)]
pub enum Decision {
    /// This version is to be live.
    Live {
        /// The version.
        plugin: Arc<Plugin>,
        /// The reason why the version in the plugins folder is not live, if it is another one.
        objection: Option<String>,
    },
    /// Nothing changes.
    Unchanged {
        /// The reason why the version in the plugins folder is not live.
        objection: String,
    },
}

/// The reason why there is no decision on a file.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// The file is refused, and its plugin has no version that was live before.
    #[error(transparent)]
    Refused(#[from] anyhow::Error),
    /// The store failed, which is not a reason against the file.
    #[error("a decision is not possible now and will be tried again: {0:#}")]
    Postponed(anyhow::Error),
}

fn postponed(cause: impl Into<anyhow::Error>) -> DecisionError {
    DecisionError::Postponed(cause.into())
}

/// A version whose file is in the plugins folder.
struct Candidate<'r> {
    plugin: Arc<Plugin>,
    file: KeptFile,
    /// The version that was live last, also before a restart.
    former: Option<&'r VersionRow>,
}

/// An earlier decision on a version.
enum Earlier {
    GoesLive,
    Refused(String),
    None,
}

/// The versions of all plugins.
#[derive(Debug)]
pub struct Releases {
    store: Arc<Store>,
    versions: Versions,
    prover: Prover,
    options: ReleaseOptions,
    sandbox: Arc<Sandbox>,
    cache: Arc<CompiledCache>,
    idle: IdleVersions,
    loaded: Arc<Loaded>,
    commands: mpsc::Sender<CommandRequest>,
}

impl Releases {
    /// Opens the folders of former versions and of compiled code. Commands go to the task that owns the plugins folder.
    ///
    /// # Errors
    /// Returns an error if one of the folders cannot be made, or the code that was installed with the program is not
    /// trusted.
    pub fn new(
        options: ReleaseOptions,
        store: Arc<Store>,
        prover: Prover,
        sandbox: Arc<Sandbox>,
        loaded: Arc<Loaded>,
        commands: mpsc::Sender<CommandRequest>,
    ) -> Result<Self> {
        let precompiled = options.precompiled_dir.as_deref().map(Precompiled::open);
        let precompiled = precompiled.transpose().context("`precompiled_dir`")?;
        Ok(Self {
            versions: Versions::open(&options.data_dir, store.clone())?,
            cache: Arc::new(CompiledCache::open(&options.data_dir, store.clone(), precompiled)?),
            idle: IdleVersions::default(),
            store,
            prover,
            options,
            sandbox,
            loaded,
            commands,
        })
    }

    /// Decides on a file in the plugins folder. A file that an operator promotes goes live even if its proof fails.
    ///
    /// # Errors
    /// Returns an error if the file is refused and there is no version before it, or if the store fails.
    pub async fn decide(
        &self,
        name: &str,
        path: &Path,
        bytes: Vec<u8>,
        is_promoted: bool,
    ) -> Result<Decision, DecisionError> {
        let known = self.store.plugin_versions(name.to_owned()).await.map_err(postponed)?;
        let former = known.iter().find(|row| row.live_since.is_some());
        self.idle.saw_file(name, hex::encode(Sha256::digest(&bytes)), path);
        let file = KeptFile { bytes, signature: self.options.trust.signature(path) };
        if is_promoted {
            self.cache.forget_too_much(name);
        }
        let plugin = match self.load(name, &file).await {
            Ok(plugin) => Arc::new(plugin),
            Err(error) if former.is_none() => return Err(error.into()),
            Err(error) => return Ok(self.keep_former(name, former, format!("{error:#}")).await),
        };
        let candidate = Candidate { plugin, file, former };
        if is_promoted {
            self.record(&candidate, VersionState::Promoted, None).await?;
            return Ok(self.go_live(candidate).await);
        }
        match self.earlier_decision(&candidate, &known) {
            Earlier::GoesLive => Ok(self.go_live(candidate).await),
            Earlier::Refused(objection) => Ok(self.keep_former(name, former, objection).await),
            Earlier::None => self.decide_new(candidate).await,
        }
    }

    fn earlier_decision(&self, candidate: &Candidate<'_>, known: &[VersionRow]) -> Earlier {
        let (version, former) = (&candidate.plugin.version, candidate.former);
        let own = known.iter().find(|row| row.plugin.sha256 == version.sha256);
        let is_former = former.is_some_and(|row| row.plugin.sha256 == version.sha256);
        // After a restart, a version that was refused is not proved again.
        let is_restart = !self.loaded.plugins().contains_key(&version.name);
        match own.map(|row| (row.state, &row.report)) {
            Some((VersionState::Refused, Some(report))) if is_restart && former.is_some() => {
                Earlier::Refused(objection(report))
            }
            Some((VersionState::Held, _)) => Earlier::Refused(format!(
                "version {} is held back since a rollback; `hookmill plugin promote {}` makes it live, or put another file \
                 there",
                version.version, version.name
            )),
            Some((VersionState::Promoted, _)) => Earlier::GoesLive,
            _ if is_former => Earlier::GoesLive,
            _ => Earlier::None,
        }
    }

    async fn decide_new(&self, candidate: Candidate<'_>) -> Result<Decision, DecisionError> {
        let (plugin, name) = (&candidate.plugin, &candidate.plugin.version.name);
        let current = self.live_or_former(name, candidate.former).await;
        if let Some(current) = current.as_ref().filter(|current| current.kind() != plugin.kind()) {
            let objection = format!(
                "the file is a {} and the previous version is a {}; rename the file, or `hookmill plugin promote {name}`",
                plugin.kind(),
                current.kind()
            );
            return Ok(self.keep(name, Some(current.clone()), objection));
        }
        if self.options.reload == Reload::Immediate || plugin.kind() != Kind::Mapper {
            return Ok(self.go_live(candidate).await);
        }
        let report = self.prover.prove(current.as_ref(), plugin, KnownPayloads::default()).await.map_err(postponed)?;
        log_proof(&report);
        if report.passed {
            self.record(&candidate, VersionState::Accepted, Some(report)).await?;
            return Ok(self.go_live(candidate).await);
        }
        let objection = objection(&report);
        self.record(&candidate, VersionState::Refused, Some(report)).await?;
        Ok(self.keep(name, current, objection))
    }

    async fn record(
        &self,
        candidate: &Candidate<'_>,
        state: VersionState,
        report: Option<ProofReport>,
    ) -> Result<(), DecisionError> {
        let version = (*candidate.plugin.version).clone();
        self.store.decide_version(version, state, report).await.map_err(postponed)
    }

    async fn go_live(&self, Candidate { plugin, file, former }: Candidate<'_>) -> Decision {
        let version = &*plugin.version;
        let was_live = former.is_some_and(|row| row.plugin.sha256 == version.sha256);
        if let Err(error) = self.versions.keep(version, file, was_live).await {
            warn!(plugin = version.name, "this version cannot be kept for a rollback: {error:#}");
        }
        Decision::Live { plugin, objection: None }
    }

    /// Returns to the version that was live before.
    ///
    /// # Errors
    /// Returns an error if there is no such version, it cannot be loaded, or the store fails.
    pub async fn roll_back(&self, name: &str) -> Result<Decision> {
        let known = self.store.plugin_versions(name.to_owned()).await?;
        let live = self.loaded.plugins().get(name).map(|live| live.version.clone());
        let is_live = |row: &&VersionRow| live.as_ref().is_some_and(|live| live.sha256 == row.plugin.sha256);
        let former = known
            .iter()
            .find(|row| row.live_since.is_some() && row.state != VersionState::Held && !is_live(row))
            .context("there is no earlier version that can be live again")?;
        let plugin = Arc::new(self.load_former(former).await?);
        if let Some(live) = known.iter().find(is_live) {
            self.store.decide_version(live.plugin.clone(), VersionState::Held, None).await?;
        }
        self.versions.went_live(&former.plugin).await?;
        let objection = format!(
            "rolled back to version {}; `hookmill plugin promote {name}` makes the file in the plugins folder live again",
            plugin.version.version
        );
        Ok(Decision::Live { plugin, objection: Some(objection) })
    }

    /// Loads a file as if it were put into the plugins folder, with this signature beside it.
    ///
    /// # Errors
    /// Returns an error if the file may not be loaded or cannot be loaded.
    pub async fn load_file(&self, name: &str, bytes: Vec<u8>, signature: Option<String>) -> Result<Arc<Plugin>> {
        Ok(Arc::new(self.load_idle(name, KeptFile { bytes, signature }).await?))
    }

    /// Returns a version that is live, that was kept, or whose file is in the plugins folder, and loads it if necessary.
    ///
    /// # Errors
    /// Returns an error if the file of the version is not there any more, or may not or cannot be loaded.
    pub async fn version(&self, name: &str, sha256: &str) -> Result<Arc<Plugin>> {
        if let Some(live) = self.loaded.plugins().get(name).filter(|live| live.version.sha256 == sha256) {
            return Ok(live.clone());
        }
        let _turn = self.idle.turn.acquire().await;
        let (loaded, seen) = self.idle.loaded(name, sha256);
        if let Some(idle) = loaded {
            return Ok(idle);
        }
        let plugin = Arc::new(self.load_idle(name, self.idle_file(name, sha256).await?).await?);
        self.idle.keep(plugin.clone(), seen);
        Ok(plugin)
    }

    /// Returns whether [`Releases::version`] finds the file of a version.
    pub fn is_available(&self, row: &VersionRow) -> bool {
        row.live_since.is_some() || self.idle.file(&row.plugin.name, &row.plugin.sha256).is_some()
    }

    async fn idle_file(&self, name: &str, sha256: &str) -> Result<KeptFile> {
        let known = self.store.plugin_versions(name.to_owned()).await?;
        if let Some(row) = known.iter().find(|row| row.live_since.is_some() && row.plugin.sha256 == sha256) {
            return self.versions.read(&row.plugin).await;
        }
        let path = self.idle.file(name, sha256);
        let path = path.with_context(|| {
            format!("the file of version {sha256} of `{name}` is not kept; put it into the plugins folder again")
        })?;
        check_size(tokio::fs::metadata(&path).await.context("the file cannot be read")?.len())?;
        let bytes = tokio::fs::read(&path).await.context("the file cannot be read")?;
        ensure!(hex::encode(Sha256::digest(&bytes)) == sha256, "the file in the plugins folder was changed; try again");
        Ok(KeptFile { bytes, signature: self.options.trust.signature(&path) })
    }

    /// Compares two versions on known payloads.
    ///
    /// # Errors
    /// Returns an error if the version is not a mapper, or the payloads cannot be read.
    pub async fn diff(
        &self,
        before: Option<&Arc<Plugin>>,
        new: &Arc<Plugin>,
        payloads: KnownPayloads,
    ) -> Result<ProofReport> {
        for plugin in before.into_iter().chain([new]) {
            if plugin.kind() != Kind::Mapper {
                bail!("the plugin is a {}; only mappers can be compared", plugin.kind());
            }
        }
        self.prover.prove(before, new, payloads).await
    }

    /// Returns the samples of a plugin, sorted by name.
    ///
    /// # Errors
    /// Returns an error if their folder cannot be read.
    pub async fn samples(&self, plugin: &str) -> Result<Vec<Sample>> {
        self.prover.samples(plugin).await
    }

    /// Reads a sample.
    ///
    /// # Errors
    /// Returns an error if the sample must not be used, or is not a payload.
    pub async fn read_sample(&self, sample: Sample) -> Result<PayloadFile> {
        self.prover.read_sample(sample).await
    }

    /// Removes the compiled code of plugins that are not kept.
    pub fn keep_compiled(&self, is_kept: impl Fn(&str) -> bool) {
        self.cache.keep_only(is_kept);
    }

    /// Has the task that owns the plugins folder carry out a command, and returns the version that is live afterwards.
    ///
    /// # Errors
    /// Returns an error if the command was not carried out.
    pub async fn carry_out(&self, name: String, command: VersionCommand) -> Result<PluginVersion, CommandError> {
        let (reply, replied) = oneshot::channel();
        let request = CommandRequest { name, command, reply };
        self.commands.send(request).await.map_err(|_| CommandError::Stopping)?;
        replied.await.map_err(|_| CommandError::Stopping)?
    }

    /// Keeps the version that is live. After a restart, that version is loaded first.
    async fn keep_former(&self, name: &str, former: Option<&VersionRow>, objection: String) -> Decision {
        let current = self.live_or_former(name, former).await;
        self.keep(name, current, objection)
    }

    fn keep(&self, name: &str, current: Option<Arc<Plugin>>, objection: String) -> Decision {
        match current {
            Some(plugin) if !self.loaded.plugins().contains_key(name) => {
                Decision::Live { plugin, objection: Some(objection) }
            }
            _ => Decision::Unchanged { objection },
        }
    }

    /// Returns the version that is live, or was live when the host stopped.
    async fn live_or_former(&self, name: &str, former: Option<&VersionRow>) -> Option<Arc<Plugin>> {
        if let Some(live) = self.loaded.plugins().get(name) {
            return Some(live.clone());
        }
        match self.load_former(former?).await {
            Ok(plugin) => Some(Arc::new(plugin)),
            Err(error) => {
                warn!(plugin = name, "the former version cannot be loaded: {error:#}");
                None
            }
        }
    }

    async fn load_former(&self, row: &VersionRow) -> Result<Plugin> {
        let file = self.versions.read(&row.plugin).await?;
        self.load(&row.plugin.name, &file).await
    }

    /// Checks and compiles a plugin file.
    async fn load(&self, name: &str, file: &KeptFile) -> Result<Plugin> {
        self.load_with(name, file, self.cache.clone()).await
    }

    /// Checks and compiles a plugin file that does not go live.
    async fn load_idle(&self, name: &str, file: KeptFile) -> Result<Plugin> {
        self.load_with(name, &file, Arc::new(ReadOnlyCache(self.cache.clone()))).await
    }

    async fn load_with(&self, name: &str, file: &KeptFile, cache: Arc<dyn CompiledCode>) -> Result<Plugin> {
        self.options.trust.check(name, file.signature.as_deref(), &file.bytes)?;
        Plugin::load(name, file.bytes.clone(), self.sandbox.clone(), self.limits(name), Some(cache)).await
    }

    fn limits(&self, name: &str) -> PluginLimits {
        self.options.limits.get(name).unwrap_or(&self.options.default_limits).clone()
    }
}

fn log_proof(report: &ProofReport) {
    info!(
        plugin = report.plugin.name,
        version = report.plugin.version,
        "proof: {} payloads, {} same, {} changed, {} newly failing, {} newly succeeding",
        report.payloads,
        report.same,
        report.changed.count,
        report.newly_failing.count,
        report.newly_succeeding.count
    );
}
