//! The options of [`super::decision::Releases`].

use super::trust::Trust;
use hookmill_incident::words;
use hookmill_sandbox::PluginLimits;
use std::collections::BTreeMap;
use std::path::PathBuf;

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

/// The options of [`super::decision::Releases`].
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

impl ReleaseOptions {
    /// Returns the limits of a plugin.
    pub fn limits(&self, plugin: &str) -> PluginLimits {
        self.limits.get(plugin).unwrap_or(&self.default_limits).clone()
    }
}
