//! Decides which version of a plugin is live: the one whose file is in the plugins folder, unless its proof or an operator
//! speaks against it.

use super::compiled_cache::CompiledCache;
use super::proof::Prover;
use super::report::objection;
use super::trust::Trust;
use super::versions::{Kept, Versions};
use crate::loaded::Loaded;
use anyhow::{Context, Result, bail};
use hookmill_incident::{PluginVersion, words};
use hookmill_sandbox::{Kind, Plugin, PluginLimits, Sandbox};
use hookmill_store::{Report, Store, VersionRow, VersionState};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

words!(
    /// When a new version of a mapper goes live.
    Reload {
        /// As soon as it loads.
        Immediate = "immediate",
        /// When it has mapped what its plugin mapped before, and no payload fails that did not.
        Verified = "verified",
    }
);

/// How versions are decided on.
#[derive(Clone, Debug)]
pub struct ReleaseOptions {
    /// The folder in which versions and compiled code are kept.
    pub data_dir: PathBuf,
    /// What a plugin file must come with.
    pub trust: Trust,
    /// When a new version of a mapper goes live.
    pub reload: Reload,
    /// The limits of single plugins, by name.
    pub limits: BTreeMap<String, PluginLimits>,
    /// The limits of all others.
    pub default_limits: PluginLimits,
}

/// A command of an operator about one plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Makes the version in the plugins folder live, whatever its proof said.
    Promote,
    /// Makes the version that was live before live again, until the file changes.
    Rollback,
}

/// A command on its way to the task that owns the plugins folder.
#[derive(Debug)]
pub struct Order {
    /// The plugin.
    pub name: String,
    /// The command.
    pub command: Command,
    /// Where the version that is live then is told, or why there is none.
    pub reply: oneshot::Sender<Result<PluginVersion, String>>,
}

/// What is decided on a plugin.
#[derive(Debug)]
pub struct Decision {
    /// The version that is to be live; none keeps what is.
    pub live: Option<Arc<Plugin>>,
    /// Why that is not the version in the plugins folder.
    pub objection: Option<String>,
}

/// It could not be decided on a file now: that says nothing against it.
#[derive(Debug, thiserror::Error)]
#[error("it could not be tried now and will be again")]
pub struct NotNow;

/// The versions of plugins, and what decides on them.
#[derive(Debug)]
pub struct Releases {
    store: Arc<Store>,
    versions: Versions,
    prover: Prover,
    options: ReleaseOptions,
    sandbox: Arc<Sandbox>,
    cache: Arc<CompiledCache>,
    loaded: Arc<Loaded>,
    orders: mpsc::Sender<Order>,
}

impl Releases {
    /// As configured. Orders go to the task that owns what is loaded.
    ///
    /// # Errors
    /// When the folder of versions cannot be made.
    pub fn new(
        options: ReleaseOptions,
        store: Arc<Store>,
        prover: Prover,
        sandbox: Arc<Sandbox>,
        loaded: Arc<Loaded>,
        orders: mpsc::Sender<Order>,
    ) -> Result<Self> {
        Ok(Self {
            versions: Versions::open(&options.data_dir, store.clone())?,
            cache: Arc::new(CompiledCache::open(&options.data_dir, store.clone())?),
            store,
            prover,
            options,
            sandbox,
            loaded,
            orders,
        })
    }

    /// Decides on a file that came into the plugins folder; `promoted` by an operator it goes live whatever its proof says.
    ///
    /// # Errors
    /// Why it is refused as it is, where there is no version before it; [`NotNow`] when the store is what failed.
    pub async fn arrive(&self, name: &str, path: &Path, bytes: Vec<u8>, promoted: bool) -> Result<Decision> {
        let known = self.store.plugin_versions(name.to_owned()).await.context(NotNow)?;
        let former = known.iter().find(|row| row.live_since.is_some());
        let signature = self.options.trust.signature(path);
        let loading = async {
            self.options.trust.check(name, signature.as_deref(), &bytes)?;
            Plugin::load(name, bytes.clone(), self.sandbox.clone(), self.limits(name), Some(self.cache.clone())).await
        };
        let plugin = match loading.await {
            Ok(plugin) => Arc::new(plugin),
            Err(error) if former.is_none() => return Err(error),
            Err(error) => return self.stay(name, former, format!("{error:#}")).await,
        };
        let sha256 = &plugin.version.sha256;
        let own = known.iter().find(|row| row.plugin.sha256 == *sha256);
        let kept = Kept { bytes, signature };
        if promoted {
            self.store.decide_version((*plugin.version).clone(), VersionState::Promoted, None).await.context(NotNow)?;
            return self.publish(plugin, kept, former, None).await;
        }
        // A restart decides nothing anew.
        let is_restart = !self.loaded.plugins().contains_key(name);
        match own.map(|row| (row.state, &row.report)) {
            Some((VersionState::Refused, Some(report))) if is_restart && former.is_some() => {
                return self.stay(name, former, objection(report)).await;
            }
            Some((VersionState::Held, _)) => {
                let objection = format!(
                    "version {} is held back since a rollback; `hookmill plugin promote {name}` makes it live, or put \
                     another file there",
                    plugin.version.version
                );
                return self.stay(name, former, objection).await;
            }
            Some((VersionState::Promoted, _)) => return self.publish(plugin, kept, former, None).await,
            _ if former.is_some_and(|row| row.plugin.sha256 == *sha256) => {
                return self.publish(plugin, kept, former, None).await;
            }
            _ => {}
        }
        let before = self.before(name, former).await;
        if let Some(before) = before.as_ref().filter(|before| before.kind() != plugin.kind()) {
            let (is, was) = (plugin.kind(), before.kind());
            let objection = format!(
                "it is a {is} and the version before it a {was}; give it another name, or `hookmill plugin promote {name}`"
            );
            return Ok(self.stay_with(name, Some(before.clone()), objection));
        }
        if self.options.reload == Reload::Immediate || plugin.kind() != Kind::Mapper {
            return self.publish(plugin, kept, former, None).await;
        }
        let report = self.prover.prove(before.as_ref(), &plugin).await.context(NotNow)?;
        info!(
            plugin = name,
            version = plugin.version.version,
            "proof: {} payloads, {} same, {} changed, {} newly failing, {} newly succeeding",
            report.payloads,
            report.same,
            report.changed.count,
            report.newly_failing.count,
            report.newly_succeeding.count
        );
        if !report.passed {
            let objection = objection(&report);
            let version = (*plugin.version).clone();
            self.store.decide_version(version, VersionState::Refused, Some(report)).await.context(NotNow)?;
            return Ok(self.stay_with(name, before, objection));
        }
        self.publish(plugin, kept, former, Some(report)).await
    }

    /// Goes back to the version that was live before.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn back(&self, name: &str) -> Result<Decision> {
        let known = self.store.plugin_versions(name.to_owned()).await?;
        let loaded = self.loaded.plugins().get(name).map(|live| live.version.clone());
        let is_loaded = |row: &&VersionRow| loaded.as_ref().is_some_and(|live| live.sha256 == row.plugin.sha256);
        let former = known
            .iter()
            .find(|row| row.live_since.is_some() && row.state != VersionState::Held && !is_loaded(row))
            .context("no version of it that could be live again was live before")?;
        let plugin = Arc::new(self.load(former).await?);
        if let Some(live) = known.iter().find(is_loaded) {
            self.store.decide_version(live.plugin.clone(), VersionState::Held, None).await?;
        }
        self.versions.went_live(&former.plugin).await?;
        let objection = format!(
            "rolled back to version {}; `hookmill plugin promote {name}` makes the file in the plugins folder live again",
            plugin.version.version
        );
        Ok(Decision { live: Some(plugin), objection: Some(objection) })
    }

    /// What a file would change if it were put into the plugins folder.
    ///
    /// # Errors
    /// Why it would be refused as it is.
    pub async fn diff(&self, name: &str, bytes: Vec<u8>) -> Result<Report> {
        let plugin = Plugin::load(name, bytes, self.sandbox.clone(), self.limits(name), None).await?;
        if plugin.kind() != Kind::Mapper {
            bail!("it is a {}; only mappers are compared", plugin.kind());
        }
        let live = self.loaded.plugins().get(name).cloned();
        self.prover.prove(live.as_ref(), &Arc::new(plugin)).await
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// Why it cannot be.
    pub async fn order(&self, name: String, command: Command) -> Result<PluginVersion, String> {
        let (reply, replied) = oneshot::channel();
        let ended = || "the host is stopping".to_owned();
        self.orders.send(Order { name, command, reply }).await.map_err(|_| ended())?;
        replied.await.map_err(|_| ended())?
    }

    async fn publish(
        &self,
        plugin: Arc<Plugin>,
        kept: Kept,
        former: Option<&VersionRow>,
        report: Option<Report>,
    ) -> Result<Decision> {
        let version = &*plugin.version;
        if let Some(report) = report {
            self.store.decide_version(version.clone(), VersionState::Accepted, Some(report)).await.context(NotNow)?;
        }
        let is_live = former.is_some_and(|row| row.plugin.sha256 == version.sha256);
        if let Err(error) = self.versions.keep(version, kept, is_live).await {
            warn!(plugin = version.name, "this version cannot be kept for a rollback: {error:#}");
        }
        Ok(Decision { live: Some(plugin), objection: None })
    }

    /// Keeps the live version, which after a restart has to be loaded first.
    async fn stay(&self, name: &str, former: Option<&VersionRow>, objection: String) -> Result<Decision> {
        let before = self.before(name, former).await;
        Ok(self.stay_with(name, before, objection))
    }

    fn stay_with(&self, name: &str, before: Option<Arc<Plugin>>, objection: String) -> Decision {
        let live = before.filter(|_| !self.loaded.plugins().contains_key(name));
        Decision { live, objection: Some(objection) }
    }

    /// The version that is live, or was when the host ended.
    async fn before(&self, name: &str, former: Option<&VersionRow>) -> Option<Arc<Plugin>> {
        if let Some(live) = self.loaded.plugins().get(name) {
            return Some(live.clone());
        }
        match self.load(former?).await {
            Ok(plugin) => Some(Arc::new(plugin)),
            Err(error) => {
                warn!(plugin = name, "its former version is not loaded: {error:#}");
                None
            }
        }
    }

    async fn load(&self, row: &VersionRow) -> Result<Plugin> {
        let limits = self.limits(&row.plugin.name);
        let kept = self.versions.read(&row.plugin).await?;
        self.options.trust.check(&row.plugin.name, kept.signature.as_deref(), &kept.bytes)?;
        Plugin::load(&row.plugin.name, kept.bytes, self.sandbox.clone(), limits, Some(self.cache.clone())).await
    }

    fn limits(&self, name: &str) -> PluginLimits {
        self.options.limits.get(name).unwrap_or(&self.options.default_limits).clone()
    }
}
