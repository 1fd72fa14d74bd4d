//! Decides which version of a plugin is live: the one whose file is in the plugins folder, unless its proof or an operator
//! speaks against it.

use crate::compiled_cache::CompiledCache;
use crate::config::{CallLimits, Config, Reload};
use crate::incident::PluginVersion;
use crate::plugin::{Kind, Plugin};
use crate::plugin_dir::Loaded;
use crate::proof::{Prover, Report};
use crate::sandbox::Sandbox;
use crate::store::{Store, VersionRow, VersionState};
use crate::trust::Trust;
use crate::versions::Versions;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

/// What an operator wants done with a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The version in the plugins folder is to be live, whatever its proof said.
    Promote,
    /// The version that was live before is to be live again, until there is another file.
    Rollback,
}

/// A wish on its way to the task that owns what is loaded.
#[derive(Debug)]
pub struct Order {
    /// The plugin.
    pub name: String,
    /// What is to be done.
    pub wish: Wish,
    /// Where the version that is live then is told, or why there is none.
    pub reply: oneshot::Sender<Result<PluginVersion, String>>,
}

/// What is decided on a plugin.
#[derive(Debug)]
pub struct Decision {
    /// The version that is to be live; none keeps what is.
    pub live: Option<Plugin>,
    /// Why that is not the version in the plugins folder.
    pub objection: Option<String>,
}

/// The versions of plugins, and what decides on them.
#[derive(Debug)]
pub struct Releases {
    store: Arc<Store>,
    versions: Versions,
    prover: Prover,
    trust: Trust,
    reload: Reload,
    limits: BTreeMap<String, CallLimits>,
    default_limits: CallLimits,
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
        config: &Config,
        store: Arc<Store>,
        prover: Prover,
        sandbox: Arc<Sandbox>,
        loaded: Arc<Loaded>,
        orders: mpsc::Sender<Order>,
    ) -> Result<Self> {
        Ok(Self {
            versions: Versions::open(&config.data_dir, store.clone())?,
            cache: Arc::new(CompiledCache::open(&config.data_dir, store.clone())?),
            store,
            prover,
            trust: config.trust.clone(),
            reload: config.reload,
            limits: config.plugin_limits.clone(),
            default_limits: config.limits.call.clone(),
            sandbox,
            loaded,
            orders,
        })
    }

    /// Decides on a file that came into the plugins folder.
    ///
    /// # Errors
    /// Why it is refused as it is.
    pub async fn arrive(&self, name: &str, path: &Path, bytes: Vec<u8>) -> Result<Decision> {
        self.trust.check(name, path, &bytes)?;
        let plugin =
            Plugin::load(name, bytes.clone(), self.sandbox.clone(), self.limits(name), Some(self.cache.clone()));
        let plugin = plugin.await?;
        let known = self.store.plugin_versions(name.to_owned()).await?;
        let former = known.iter().find(|row| row.live_since.is_some());
        let state = known.iter().find(|row| row.plugin.sha256 == plugin.version.sha256).map(|row| row.state);
        let is_live = former.is_some_and(|row| row.plugin.sha256 == plugin.version.sha256);
        if is_live || state == Some(VersionState::Promoted) {
            return self.publish(plugin, bytes, None).await;
        }
        if state == Some(VersionState::Held) {
            let objection = format!(
                "version {} is held back since a rollback; `hookmill plugin promote {name}` makes it live, or put \
                 another file there",
                plugin.version.version
            );
            return self.stay(name, former, objection).await;
        }
        if self.reload == Reload::Immediate || plugin.kind() != Kind::Mapper {
            return self.publish(plugin, bytes, None).await;
        }
        let plugin = Arc::new(plugin);
        let before = self.before(name, former).await;
        let report = self.prover.prove(before.as_ref(), &plugin).await.context("its proof could not be made")?;
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
            let objection = report.objection();
            self.store.decide_version((*plugin.version).clone(), VersionState::Refused, Some(report)).await?;
            return self.stay(name, former, objection).await;
        }
        let plugin = Arc::into_inner(plugin).context("it is in use before it is live")?;
        self.publish(plugin, bytes, Some(report)).await
    }

    /// Goes back to the version that was live before.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn back(&self, name: &str) -> Result<Decision> {
        let known = self.store.plugin_versions(name.to_owned()).await?;
        let mut were_live = known.iter().filter(|row| row.live_since.is_some());
        let live = were_live.next().context("no version of it has been live")?;
        let former = were_live.find(|row| row.state != VersionState::Held);
        let former = former.context("no version was live before this one")?;
        let plugin = self.load(former).await?;
        self.store.decide_version(live.plugin.clone(), VersionState::Held, None).await?;
        self.versions.went_live(&former.plugin).await?;
        let (from, to) = (&live.plugin.version, &plugin.version.version);
        let objection = format!(
            "rolled back from version {from} to {to}; `hookmill plugin promote {name}` makes the file in the plugins \
             folder live again"
        );
        Ok(Decision { live: Some(plugin), objection: Some(objection) })
    }

    /// Lets the version of this digest be live whatever its proof says.
    ///
    /// # Errors
    /// When it is not known, or cannot be written down.
    pub async fn promote(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let sha256 = hex::encode(Sha256::digest(bytes));
        let known = self.store.plugin_versions(name.to_owned()).await?;
        let version = known.into_iter().find(|row| row.plugin.sha256 == sha256).map(|row| row.plugin);
        let version =
            version.unwrap_or_else(|| PluginVersion { name: name.to_owned(), version: String::new(), sha256 });
        Ok(self.store.decide_version(version, VersionState::Promoted, None).await?)
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

    /// Has a wish fulfilled.
    ///
    /// # Errors
    /// Why it cannot be.
    pub async fn order(&self, name: String, wish: Wish) -> Result<PluginVersion, String> {
        let (reply, replied) = oneshot::channel();
        let ended = || "the host is stopping".to_owned();
        self.orders.send(Order { name, wish, reply }).await.map_err(|_| ended())?;
        replied.await.map_err(|_| ended())?
    }

    async fn publish(&self, plugin: Plugin, bytes: Vec<u8>, report: Option<Report>) -> Result<Decision> {
        let version = &*plugin.version;
        if let Some(report) = report {
            self.store.decide_version(version.clone(), VersionState::Accepted, Some(report)).await?;
        }
        if let Err(error) = self.versions.keep(version, bytes).await {
            warn!(plugin = version.name, "this version cannot be kept for a rollback: {error:#}");
        }
        Ok(Decision { live: Some(plugin), objection: None })
    }

    /// Keeps the live version, which after a restart has to be loaded first.
    async fn stay(&self, name: &str, former: Option<&VersionRow>, objection: String) -> Result<Decision> {
        let live = match former {
            Some(former) if !self.loaded.plugins().contains_key(name) => match self.load(former).await {
                Ok(plugin) => Some(plugin),
                Err(error) => {
                    warn!(plugin = name, "its former version {} is not loaded: {error:#}", former.plugin.version);
                    None
                }
            },
            _ => None,
        };
        Ok(Decision { live, objection: Some(objection) })
    }

    /// The version to compare a new one with.
    async fn before(&self, name: &str, former: Option<&VersionRow>) -> Option<Arc<Plugin>> {
        if let Some(live) = self.loaded.plugins().get(name) {
            return Some(live.clone());
        }
        match self.load(former?).await {
            Ok(plugin) => Some(Arc::new(plugin)),
            Err(error) => {
                warn!(plugin = name, "there is nothing to compare the new version with: {error:#}");
                None
            }
        }
    }

    async fn load(&self, row: &VersionRow) -> Result<Plugin> {
        let limits = self.limits(&row.plugin.name);
        self.versions.load(&row.plugin, self.sandbox.clone(), limits, self.cache.clone()).await
    }

    fn limits(&self, name: &str) -> CallLimits {
        self.limits.get(name).unwrap_or(&self.default_limits).clone()
    }
}
