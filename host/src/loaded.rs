//! The live plugins, for all modules that call them. Only the task that owns the plugins folder changes them.

use arc_swap::{ArcSwap, Guard};
use hookmill_sandbox::{Kind, Plugin};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// The live plugins by name.
pub type Plugins = BTreeMap<String, Arc<Plugin>>;

/// The state of each plugin file by the plugin's name.
pub type PluginStates = BTreeMap<String, PluginState>;

/// The state of a plugin file as the API shows it.
#[derive(Clone, Debug, Default)]
pub struct PluginState {
    /// The time when the live version was loaded.
    pub loaded_at: Option<Timestamp>,
    /// The reason why the newest file was refused or is not live.
    pub error: Option<String>,
}

/// The live plugins and the states of their files.
#[derive(Debug, Default)]
pub struct Loaded {
    plugins: ArcSwap<Plugins>,
    states: ArcSwap<PluginStates>,
    settled: AtomicBool,
    lacking: AtomicBool,
    changed: watch::Sender<()>,
}

impl Loaded {
    /// Returns the plugins that are live now.
    pub fn plugins(&self) -> Guard<Arc<Plugins>> {
        self.plugins.load()
    }

    /// Returns the live plugin of a name and kind.
    ///
    /// # Errors
    /// Returns the reason why there is no such plugin, as a sentence.
    pub fn find(&self, name: &str, kind: Kind) -> Result<Arc<Plugin>, String> {
        let plugins = self.plugins.load();
        let plugin = plugins.get(name).ok_or_else(|| not_loaded(name))?;
        if plugin.kind() != kind {
            return Err(format!("plugin `{name}` is a {} and not a {kind}", plugin.kind()));
        }
        Ok(plugin.clone())
    }

    /// Returns the state of every plugin file that was found.
    pub fn states(&self) -> Arc<PluginStates> {
        self.states.load_full()
    }

    /// Returns whether every file that was there at the start has been loaded or refused.
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Returns whether a version that is live on all hosts is not loaded on this one. The host maps no payloads that such a
    /// version may have to map.
    pub fn is_lacking(&self) -> bool {
        self.lacking.load(Ordering::Acquire)
    }

    /// Returns a receiver that is notified when the live plugins change, [`Loaded::is_settled`] becomes true or
    /// [`Loaded::is_lacking`] changes.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Records that every file that was there at the start has been loaded or refused.
    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
        self.changed.send_replace(());
    }

    /// Records whether a version that is live on all hosts is not loaded on this one.
    pub(crate) fn set_lacking(&self, is_lacking: bool) {
        if self.lacking.swap(is_lacking, Ordering::AcqRel) != is_lacking {
            self.changed.send_replace(());
        }
    }

    /// Publishes the states of the files; the live plugins stay.
    pub(crate) fn publish_states(&self, states: PluginStates) {
        self.states.store(Arc::new(states));
    }

    /// Publishes the live plugins with the states of their files.
    pub(crate) fn publish(&self, plugins: Plugins, states: PluginStates) {
        self.states.store(Arc::new(states));
        self.plugins.store(Arc::new(plugins));
        self.changed.send_replace(());
    }
}

/// Returns the message for a plugin that is not loaded.
pub fn not_loaded(name: &str) -> String {
    format!("plugin `{name}` is not loaded")
}
