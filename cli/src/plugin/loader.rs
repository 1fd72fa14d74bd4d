//! Plugin files, loaded as a host loads them.

use super::compiled_cache::CommandCache;
use crate::compile::on_all_cores;
use anyhow::{Context, Error, Result};
use hookmill_host::release::plugin_files::{check_size, plugin_name};
use hookmill_sandbox::{CompiledCode, Machines, Plugin, PluginLimits, Sandbox};
use std::path::Path;
use std::sync::Arc;

/// A loader of plugin files that accepts what a host accepts.
pub(crate) struct Loader {
    sandbox: Arc<Sandbox>,
    cache: Option<Arc<dyn CompiledCode>>,
}

/// A plugin file that was loaded.
pub(crate) struct LoadedPlugin {
    pub plugin: Arc<Plugin>,
    /// The size of the file.
    pub bytes: u64,
}

impl Loader {
    /// Returns a loader that keeps compiled code in the user's cache.
    pub fn new() -> Result<Self> {
        Self::with(CommandCache::open().map(|cache| Arc::new(cache) as _))
    }

    /// Returns a loader with this store of compiled code. One plugin may keep an instance between its calls.
    pub fn with(cache: Option<Arc<dyn CompiledCode>>) -> Result<Self> {
        Ok(Self { sandbox: Arc::new(Sandbox::new(1, 1)?.with_compiler(on_all_cores(Machines::This)?)), cache })
    }

    /// Loads a file, with the limits that a host has by default.
    ///
    /// # Errors
    /// Returns an error if a host would not accept the file.
    pub async fn load(&self, file: &Path) -> Result<LoadedPlugin> {
        self.load_with(file, PluginLimits::default()).await
    }

    /// Loads a file with other limits.
    ///
    /// # Errors
    /// Returns an error if a host would not accept the file.
    pub async fn load_with(&self, file: &Path, limits: PluginLimits) -> Result<LoadedPlugin> {
        let bytes = std::fs::metadata(file).context("the file cannot be read")?.len();
        check_size(bytes)?;
        let content = std::fs::read(file).context("the file cannot be read")?;
        let name = plugin_name(file).map_err(Error::msg)?;
        let plugin = Plugin::load(&name, content, self.sandbox.clone(), limits, self.cache.clone()).await?;
        Ok(LoadedPlugin { plugin: Arc::new(plugin), bytes })
    }
}
