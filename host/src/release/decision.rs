//! Decides which version of a plugin is live: the one whose file is in the plugins folder, unless its signature, its
//! proof or an operator's command is against it.
//!
//! Decisions are made under the lease of proofs. Hosts that share a database decide one after the other, and the version
//! of the newest decision is live on all of them, whatever files they have. A file that was decided on before counts again
//! only if it is put into the folder of a running host.

use super::command::{CommandError, CommandRequest, VersionCommand};
use super::compiled_cache::CompiledCache;
use super::idle_versions::IdleVersions;
use super::options::{ReleaseOptions, Reload};
use super::precompiled::Precompiled;
use super::proof::{KnownPayloads, Prover};
use super::report::{objection, objection_of};
use super::versions::Versions;
use crate::loaded::Loaded;
use anyhow::{Context, Result};
use hookmill_incident::PluginVersion;
use hookmill_sandbox::{CompiledCode, Kind, Plugin, Sandbox};
use hookmill_store::{
    Lease, LeaseName, Leases, PluginFile, ProofReport, Store, VersionDecision, VersionRow, VersionState,
};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

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
    /// The plugin was removed from all hosts.
    Removed(PluginVersion),
    /// The file was decided on before, perhaps by another host, and does not count again.
    Known,
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
    file: PluginFile,
    /// The version that was live last, also before a restart.
    former: Option<&'r VersionRow>,
    lease: &'r Lease,
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
    pub(super) store: Arc<Store>,
    pub(super) versions: Versions,
    pub(super) prover: Prover,
    pub(super) options: ReleaseOptions,
    sandbox: Arc<Sandbox>,
    pub(super) cache: Arc<CompiledCache>,
    pub(super) idle: IdleVersions,
    pub(super) loaded: Arc<Loaded>,
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
        let sha256 = hex::encode(Sha256::digest(&bytes));
        self.idle.saw_file(name, sha256.clone(), path);
        let file = PluginFile { bytes, signature: self.options.trust.signature(path) };
        let decision = self.decide_file(name, &sha256, file, is_promoted).await;
        if !matches!(decision, Err(DecisionError::Postponed(_))) {
            self.idle.decided(name, sha256);
        }
        decision
    }

    async fn decide_file(
        &self,
        name: &str,
        sha256: &str,
        file: PluginFile,
        is_promoted: bool,
    ) -> Result<Decision, DecisionError> {
        if !is_promoted && self.was_decided(name, sha256).await? {
            return Ok(Decision::Known);
        }
        if is_promoted {
            self.cache.forget_too_much(name);
        }
        let loaded = self.load(name, &file).await;
        let lease = &self.store.acquire(LeaseName::Proof).await;
        // Another host may have had the same file.
        if !is_promoted && self.was_decided(name, sha256).await? {
            return Ok(Decision::Known);
        }
        let known = self.store.plugin_versions(name.to_owned()).await.map_err(postponed)?;
        let former = known.iter().find(|row| row.live_since.is_some());
        let plugin = match loaded {
            Ok(plugin) => Arc::new(plugin),
            Err(error) if former.is_none() => return Err(error.into()),
            Err(error) => return Ok(self.keep_former(name, former, format!("{error:#}")).await),
        };
        let candidate = Candidate { plugin, file, former, lease };
        if is_promoted {
            return self.go_live(candidate, Some((VersionState::Promoted, None))).await;
        }
        match self.earlier_decision(&candidate, &known) {
            Earlier::GoesLive => self.go_live(candidate, None).await,
            Earlier::Refused(objection) => Ok(self.keep_former(name, former, objection).await),
            Earlier::None => self.decide_new(candidate).await,
        }
    }

    /// Returns whether a file does not count again: hosts that share a database have decided on it, and it was not put into
    /// the folder just now.
    async fn was_decided(&self, name: &str, sha256: &str) -> Result<bool, DecisionError> {
        let counts = !self.store.is_shared() || self.idle.is_put_again(name, sha256);
        Ok(!counts && self.store.is_known_file(name, sha256).await.map_err(postponed)?)
    }

    fn earlier_decision(&self, candidate: &Candidate<'_>, known: &[VersionRow]) -> Earlier {
        let (version, former) = (&candidate.plugin.version, candidate.former);
        let own = known.iter().find(|row| row.plugin.sha256 == version.sha256);
        let is_former = former.is_some_and(|row| row.plugin.sha256 == version.sha256);
        // After a restart, a version that was refused is not proved again, and neither is one that another host refused.
        let is_restart = self.store.is_shared() || !self.loaded.plugins().contains_key(&version.name);
        let Some(VersionRow { plugin, state, report, .. }) = own else {
            return if is_former { Earlier::GoesLive } else { Earlier::None };
        };
        match state {
            VersionState::Refused if !is_restart || former.is_none() => Earlier::None,
            VersionState::Refused | VersionState::Held => {
                objection_of(plugin, *state, report.as_ref()).map_or(Earlier::None, Earlier::Refused)
            }
            VersionState::Promoted => Earlier::GoesLive,
            VersionState::Accepted if is_former => Earlier::GoesLive,
            VersionState::Accepted => Earlier::None,
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
            return self.go_live(candidate, None).await;
        }
        let report = self.prover.prove(current.as_ref(), plugin, KnownPayloads::default()).await.map_err(postponed)?;
        log_proof(&report);
        if report.passed {
            return self.go_live(candidate, Some((VersionState::Accepted, Some(report)))).await;
        }
        let objection = objection(&report);
        let decision = VersionDecision {
            plugin: (*plugin.version).clone(),
            state: Some(VersionState::Refused),
            report: Some(report),
            goes_live: false,
            held: None,
            file: Some(candidate.file.clone()),
        };
        self.versions.decide(candidate.lease.grant(), decision).await.map_err(DecisionError::Postponed)?;
        Ok(self.keep(name, current, objection))
    }

    async fn go_live(
        &self,
        Candidate { plugin, file, former, lease }: Candidate<'_>,
        decided: Option<(VersionState, Option<ProofReport>)>,
    ) -> Result<Decision, DecisionError> {
        let version = &*plugin.version;
        let was_live = former.is_some_and(|row| row.plugin.sha256 == version.sha256);
        let is_recorded = decided.is_some() || self.store.is_shared();
        let (state, report) = decided.map_or((None, None), |(state, report)| (Some(state), report));
        let kept = if was_live && !is_recorded {
            self.versions.keep(version, file).await
        } else {
            let live = VersionDecision::live(version.clone());
            let decision = VersionDecision { state, report, file: Some(file), ..live };
            self.versions.decide(lease.grant(), decision).await
        };
        match kept {
            Err(error) if is_recorded => return Err(DecisionError::Postponed(error)),
            Err(error) => warn!(plugin = version.name, "this version cannot be kept for a rollback: {error:#}"),
            Ok(()) => {}
        }
        Ok(Decision::Live { plugin, objection: None })
    }

    /// Returns to the version that was live before.
    ///
    /// # Errors
    /// Returns an error if there is no such version, it cannot be loaded, or the store fails.
    pub async fn roll_back(&self, name: &str) -> Result<Decision> {
        let lease = self.store.acquire(LeaseName::Proof).await;
        let known = self.store.plugin_versions(name.to_owned()).await?;
        let live = match self.store.is_shared() {
            true => known.iter().find(|row| row.live_since.is_some()).map(|row| row.plugin.sha256.clone()),
            false => self.loaded.plugins().get(name).map(|live| live.version.sha256.clone()),
        };
        let is_live = |row: &&VersionRow| live.as_ref() == Some(&row.plugin.sha256);
        let former = known
            .iter()
            .find(|row| row.live_since.is_some() && row.state != VersionState::Held && !is_live(row))
            .context("there is no earlier version that can be live again")?;
        let plugin = Arc::new(self.load_former(former).await?);
        let held = known.iter().find(is_live).map(|live| live.plugin.clone());
        let decision = VersionDecision { held, ..VersionDecision::live(former.plugin.clone()) };
        self.versions.decide(lease.grant(), decision).await?;
        let objection = format!(
            "rolled back to version {}; `hookmill plugin promote {name}` makes the file in the plugins folder live again",
            plugin.version.version
        );
        Ok(Decision::Live { plugin, objection: Some(objection) })
    }

    /// Records that the file of a plugin is gone: if it comes back, it counts again.
    pub fn file_gone(&self, name: &str) {
        self.idle.gone(name);
    }

    /// Returns the digest of the newest file of a plugin in the plugins folder.
    pub fn newest_file(&self, name: &str) -> Option<String> {
        self.idle.newest_file(name)
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
            // A version that hosts share is loaded because it is live on all.
            Some(plugin) if !self.store.is_shared() && !self.loaded.plugins().contains_key(name) => {
                Decision::Live { plugin, objection: Some(objection) }
            }
            _ => Decision::Unchanged { objection },
        }
    }

    /// Returns the version that is live, or was live when the host stopped.
    async fn live_or_former(&self, name: &str, former: Option<&VersionRow>) -> Option<Arc<Plugin>> {
        let is_former = |live: &Arc<Plugin>| former.is_some_and(|row| row.plugin.sha256 == live.version.sha256);
        let live = self.loaded.plugins().get(name).cloned();
        if let Some(live) = live.filter(|live| !self.store.is_shared() || is_former(live)) {
            return Some(live);
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
    pub(super) async fn load(&self, name: &str, file: &PluginFile) -> Result<Plugin> {
        self.load_with(name, file, self.cache.clone()).await
    }

    pub(super) async fn load_with(
        &self,
        name: &str,
        file: &PluginFile,
        cache: Arc<dyn CompiledCode>,
    ) -> Result<Plugin> {
        self.options.trust.check(name, file.signature.as_deref(), &file.bytes)?;
        Plugin::load(name, file.bytes.clone(), self.sandbox.clone(), self.options.limits(name), Some(cache)).await
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
