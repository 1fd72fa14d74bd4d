//! Publishes the live plugins and the states of their files, for the modules that call plugins, the API, the metrics and
//! other hosts.

use crate::loaded::{Loaded, PluginStates, Plugins};
use crate::metrics::Metrics;
use hookmill_sandbox::Plugin;
use hookmill_store::Store;
use std::sync::Arc;
use tracing::{info, warn};

/// The only publisher of live plugins.
#[derive(Debug)]
pub struct LivePlugins {
    loaded: Arc<Loaded>,
    metrics: Arc<Metrics>,
    store: Arc<Store>,
}

impl LivePlugins {
    /// Returns the publisher of the plugins of a host.
    pub fn new(loaded: Arc<Loaded>, metrics: Arc<Metrics>, store: Arc<Store>) -> Self {
        Self { loaded, metrics, store }
    }

    /// Publishes a version in the place of the one before, with the reason why the version in the folder is not live.
    pub fn go_live(&self, name: &str, plugin: Arc<Plugin>, objection: Option<String>) {
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
        state.loaded_at = Some(self.store.clock().now());
        self.metrics.reload(name, "loaded");
        let mut plugins = Plugins::clone(&self.loaded.plugins());
        plugins.insert(name.to_owned(), plugin);
        self.publish(plugins, states);
    }

    /// Publishes why the newest file of a plugin was refused or is not live, if that is another reason than before.
    pub fn set_error(&self, name: &str, error: Option<String>) {
        if self.error(name) != error || !self.loaded.states().contains_key(name) {
            let mut states = PluginStates::clone(&self.loaded.states());
            states.entry(name.to_owned()).or_default().error = error;
            self.loaded.publish_states(states);
        }
    }

    /// Returns why the newest file of a plugin was refused or is not live.
    pub fn error(&self, name: &str) -> Option<String> {
        self.loaded.states().get(name).and_then(|state| state.error.clone())
    }

    /// Ends calls of a plugin whose live version is not loaded. Its state stays.
    pub fn suspend(&self, name: &str) {
        let mut plugins = Plugins::clone(&self.loaded.plugins());
        if plugins.remove(name).is_some() {
            self.publish(plugins, PluginStates::clone(&self.loaded.states()));
        }
    }

    /// Removes a plugin and its state.
    pub fn remove(&self, name: &str, reason: &str) {
        let mut states = PluginStates::clone(&self.loaded.states());
        states.remove(name);
        let mut plugins = Plugins::clone(&self.loaded.plugins());
        if plugins.remove(name).is_some() {
            info!(plugin = name, "plugin removed: {reason}");
            self.metrics.reload(name, "removed");
        }
        self.publish(plugins, states);
    }

    /// Publishes that a file was refused.
    pub fn count_refusal(&self, name: &str) {
        self.metrics.reload(name, "refused");
    }

    fn publish(&self, plugins: Plugins, states: PluginStates) {
        let info = plugins.values().map(|plugin| {
            let version = &plugin.version;
            (version.name.as_str(), version.version.as_str(), version.sha256.as_str())
        });
        self.metrics.set_plugins(info);
        self.store.set_loaded_plugins(&plugins.values().map(|plugin| &*plugin.version).collect::<Vec<_>>());
        self.loaded.publish(plugins, states);
    }
}
