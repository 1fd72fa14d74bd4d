//! Plugin files, loaded as a host loads them.

use crate::compile::on_all_cores;
use anyhow::{Context, Result, ensure};
use hookmill_incident::name::is_name;
use hookmill_sandbox::{FILE_BYTES_MAX, Plugin, PluginLimits, Sandbox};
use std::path::Path;
use std::sync::Arc;

/// A loader of plugin files that accepts what a host accepts.
pub(super) struct Loader {
    sandbox: Arc<Sandbox>,
}

/// A plugin file that was loaded.
pub(super) struct Loaded {
    pub plugin: Arc<Plugin>,
    /// The size of the file.
    pub bytes: u64,
}

impl Loader {
    pub fn new() -> Result<Self> {
        Ok(Self { sandbox: Arc::new(Sandbox::new(1, 0)?.with_compiler(on_all_cores()?)) })
    }

    /// Loads a file.
    ///
    /// # Errors
    /// Returns an error if a host would not accept the file.
    pub async fn load(&self, file: &Path) -> Result<Loaded> {
        let bytes = std::fs::metadata(file).context("it cannot be read")?.len();
        ensure!(bytes <= FILE_BYTES_MAX, "it has {bytes} bytes; a plugin file may have {FILE_BYTES_MAX}");
        let content = std::fs::read(file).context("it cannot be read")?;
        let name = file.file_name().and_then(|name| name.to_str()?.strip_suffix(".wasm")).unwrap_or_default();
        ensure!(
            is_name(name),
            "its name is not NAME.wasm with a NAME of up to 64 letters, digits, `.`, `_` and `-`; rename it"
        );
        let plugin = Plugin::load(name, content, self.sandbox.clone(), PluginLimits::default(), None).await?;
        Ok(Loaded { plugin: Arc::new(plugin), bytes })
    }
}
