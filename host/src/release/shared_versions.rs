//! The versions that hosts share through their database: the version of the newest decision is live on all of them.

use super::decision::{Decision, Releases};
use super::report::objection_of;
use crate::loaded::Plugins;
use anyhow::{Context, Result, ensure};
use hookmill_incident::PluginVersion;
use hookmill_sandbox::Plugin;
use hookmill_store::{LeaseName, Leases, SharedVersion, VersionDecision, VersionState};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time after which a version is loaded again that could not be loaded.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The shared versions as one host has read and loaded them.
#[derive(Debug, Default)]
pub struct SharedVersions {
    is_read: bool,
    /// The live versions, by plugin.
    live: BTreeMap<String, PluginVersion>,
    /// The newest versions that are not live, by plugin.
    newest: BTreeMap<String, (PluginVersion, VersionState)>,
    /// The digests of the live versions that are being loaded, by plugin.
    loading: BTreeMap<String, String>,
    /// The live versions that could not be loaded, by plugin.
    failed: BTreeMap<String, Failed>,
    /// The objections to the newest versions, by plugin.
    objections: BTreeMap<String, Objection>,
    /// The plugins and digests of all versions.
    known: BTreeSet<(String, String)>,
    /// The plugins and digests of files that were decided on before. Their versions may be gone.
    decided: BTreeSet<(String, String)>,
}

#[derive(Debug)]
struct Failed {
    sha256: String,
    reason: String,
    at: Instant,
}

#[derive(Debug)]
struct Objection {
    plugin: PluginVersion,
    state: VersionState,
    text: Option<String>,
}

impl SharedVersions {
    /// Replaces what was read before.
    pub fn replace(&mut self, versions: Vec<SharedVersion>) {
        (self.is_read, self.live, self.newest) = (true, BTreeMap::new(), BTreeMap::new());
        self.known.clear();
        for SharedVersion { plugin, state, is_live, is_newest } in versions {
            let name = plugin.name.clone();
            self.known.insert((name.clone(), plugin.sha256.clone()));
            if is_live {
                self.live.insert(name, plugin);
            } else if is_newest {
                self.newest.insert(name, (plugin, state));
            }
        }
        self.failed.retain(|name, failed| self.live.get(name).is_some_and(|live| live.sha256 == failed.sha256));
        self.objections.retain(|name, _| self.newest.contains_key(name));
    }

    /// Returns whether a plugin has versions.
    pub fn contains(&self, name: &str) -> bool {
        self.live.contains_key(name) || self.newest.contains_key(name)
    }

    /// Returns whether a plugin has a live version.
    pub fn has_live(&self, name: &str) -> bool {
        self.live.contains_key(name)
    }

    /// Records that the hosts have decided on a file before.
    pub fn add_decided(&mut self, name: &str, sha256: String) {
        self.decided.insert((name.to_owned(), sha256));
    }

    /// Returns whether the hosts know a file of a plugin.
    pub fn is_known(&self, name: &str, sha256: String) -> bool {
        let file = (name.to_owned(), sha256);
        self.known.contains(&file) || self.decided.contains(&file)
    }

    /// Returns whether a version is the live one of its plugin.
    pub fn is_live(&self, plugin: &PluginVersion) -> bool {
        self.live.get(&plugin.name) == Some(plugin)
    }

    /// Returns whether the live versions were read, and each one was loaded or could not be.
    pub fn is_settled(&self, plugins: &Plugins) -> bool {
        self.is_read && self.lacking(plugins).all(|version| self.failed.contains_key(&version.name))
    }

    /// Returns the live versions that are not loaded.
    pub fn lacking(&self, plugins: &Plugins) -> impl Iterator<Item = &PluginVersion> {
        let is_loaded = |version: &PluginVersion| {
            plugins.get(&version.name).is_some_and(|own| own.version.sha256 == version.sha256)
        };
        self.live.values().filter(move |version| !is_loaded(version))
    }

    /// Returns the live versions to load now. Each counts as being loaded from now on.
    pub fn begin_loading(&mut self, plugins: &Plugins) -> Vec<PluginVersion> {
        let is_due = |version: &&PluginVersion| {
            let failed = self.failed.get(&version.name);
            self.loading.get(&version.name) != Some(&version.sha256)
                && failed.is_none_or(|failed| failed.at.elapsed() >= RETRY_AFTER)
        };
        let due: Vec<_> = self.lacking(plugins).filter(is_due).cloned().collect();
        self.loading.extend(due.iter().map(|version| (version.name.clone(), version.sha256.clone())));
        due
    }

    /// Records that the loading of a version has ended, and why it failed, if it did.
    pub fn end_loading(&mut self, version: &PluginVersion, failure: Option<String>) {
        let (name, sha256) = (version.name.clone(), version.sha256.clone());
        if self.loading.get(&name) == Some(&sha256) {
            self.loading.remove(&name);
        }
        match failure {
            Some(reason) => self.failed.insert(name, Failed { sha256, reason, at: Instant::now() }),
            None => self.failed.remove(&name),
        };
    }

    /// Returns whether the loading of a version failed for this reason when it was tried last.
    pub fn has_failed(&self, version: &PluginVersion, reason: &str) -> bool {
        let failed = self.failed.get(&version.name);
        failed.is_some_and(|failed| failed.sha256 == version.sha256 && failed.reason == reason)
    }

    /// Returns the newest versions that are not live and whose objections are not known yet.
    pub fn without_objection(&mut self) -> Vec<PluginVersion> {
        let newest = self.newest.iter().filter(|(name, (plugin, state))| {
            self.objections.get(*name).is_none_or(|known| (&known.plugin, known.state) != (plugin, *state))
        });
        newest.map(|(_, (plugin, _))| plugin.clone()).collect()
    }

    /// Records the objection to a newest version.
    pub fn put_objection(&mut self, plugin: &PluginVersion, text: Option<String>) {
        if let Some((plugin, state)) = self.newest.get(&plugin.name).cloned() {
            self.objections.insert(plugin.name.clone(), Objection { plugin, state, text });
        }
    }

    /// Returns the reason why the live version of each plugin is not loaded, or its newest one is not live.
    pub fn objections(&self) -> BTreeMap<String, Option<String>> {
        let names = self.live.keys().chain(self.newest.keys());
        let failure = |name| self.failed.get(name).map(|failed| failed.reason.clone());
        let objection = |name| self.objections.get(name).and_then(|objection| objection.text.clone());
        names.map(|name| (name.clone(), failure(name).or_else(|| objection(name)))).collect()
    }
}

impl Releases {
    /// Makes the newest version of a plugin live on all hosts that share the database, whichever host found its file.
    ///
    /// # Errors
    /// Returns an error if the version cannot be loaded, or the store fails.
    pub async fn promote_newest(&self, name: &str) -> Result<Decision> {
        let lease = self.store.acquire(LeaseName::Proof).await;
        let mut versions = self.store.shared_versions().await?.into_iter();
        let newest = versions.find(|version| version.is_newest && version.plugin.name == name);
        let newest = newest.with_context(|| format!("no file of the plugin `{name}` is kept"))?.plugin;
        self.cache.forget_too_much(name);
        let plugin = Arc::new(self.load(name, &self.versions.read(&newest).await?).await?);
        let state = Some(VersionState::Promoted);
        let decision = VersionDecision { state, ..VersionDecision::live(newest) };
        self.versions.decide(lease.grant(), decision).await?;
        Ok(Decision::Live { plugin, objection: None })
    }

    /// Removes a plugin from all hosts that share the database, whatever files their folders have. Returns the version that
    /// was live, or the newest one.
    ///
    /// # Errors
    /// Returns an error if the database is not shared, or the store fails.
    pub async fn remove(&self, name: &str) -> Result<PluginVersion> {
        ensure!(
            self.store.is_shared(),
            "the database has one host; remove the file of the plugin from the plugins folder"
        );
        let lease = self.store.acquire(LeaseName::Proof).await;
        let known = self.store.plugin_versions(name.to_owned()).await?;
        let first = known.into_iter().next().with_context(|| format!("plugin `{name}` has no versions"))?;
        self.store.remove_versions(lease.grant(), name.to_owned()).await?;
        Ok(first.plugin)
    }

    /// Returns the versions that hosts share.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn shared_versions(&self) -> Result<Vec<SharedVersion>> {
        self.store.shared_versions().await
    }

    /// Loads a version that is live on all hosts.
    ///
    /// # Errors
    /// Returns an error if its file is not there, or may not or cannot be loaded here.
    pub async fn load_shared(&self, plugin: &PluginVersion) -> Result<Arc<Plugin>> {
        Ok(Arc::new(self.load(&plugin.name, &self.versions.read(plugin).await?).await?))
    }

    /// Returns why a version that hosts share is not live.
    ///
    /// # Errors
    /// Returns an error if its proof cannot be read.
    pub async fn shared_objection(&self, plugin: &PluginVersion) -> Result<Option<String>> {
        let known = self.store.plugin_versions(plugin.name.clone()).await?;
        let row = known.iter().find(|row| row.plugin.sha256 == plugin.sha256);
        Ok(row.and_then(|row| objection_of(&row.plugin, row.state, row.report.as_ref())))
    }
}
