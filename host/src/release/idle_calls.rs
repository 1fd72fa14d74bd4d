//! Versions that are called or compared while another version is live.

use super::compiled_cache::ReadOnlyCache;
use super::decision::Releases;
use super::plugin_files::check_size;
use super::proof::KnownPayloads;
use super::samples::Sample;
use crate::payload_file::PayloadFile;
use anyhow::{Context, Result, bail, ensure};
use hookmill_sandbox::{Kind, Plugin};
use hookmill_store::{LeaseName, Leases, PluginFile, ProofReport, VersionRow};
use sha2::{Digest, Sha256};
use std::sync::Arc;

impl Releases {
    /// Loads a file as if it were put into the plugins folder, with this signature beside it.
    ///
    /// # Errors
    /// Returns an error if the file may not be loaded or cannot be loaded.
    pub async fn load_file(&self, name: &str, bytes: Vec<u8>, signature: Option<String>) -> Result<Arc<Plugin>> {
        Ok(Arc::new(self.load_idle(name, PluginFile { bytes, signature }).await?))
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
        self.is_kept(row) || self.idle.file(&row.plugin.name, &row.plugin.sha256).is_some()
    }

    /// Returns whether the file of a version is kept: of those that were live, and in a shared database of all.
    fn is_kept(&self, row: &VersionRow) -> bool {
        row.live_since.is_some() || self.store.is_shared()
    }

    async fn idle_file(&self, name: &str, sha256: &str) -> Result<PluginFile> {
        let known = self.store.plugin_versions(name.to_owned()).await?;
        if let Some(row) = known.iter().find(|row| row.plugin.sha256 == sha256 && self.is_kept(row)) {
            return self.versions.read(&row.plugin).await;
        }
        let path = self.idle.file(name, sha256);
        let path = path.with_context(|| {
            format!("the file of version {sha256} of `{name}` is not kept; put it into the plugins folder again")
        })?;
        check_size(tokio::fs::metadata(&path).await.context("the file cannot be read")?.len())?;
        let bytes = tokio::fs::read(&path).await.context("the file cannot be read")?;
        ensure!(hex::encode(Sha256::digest(&bytes)) == sha256, "the file in the plugins folder was changed; try again");
        Ok(PluginFile { bytes, signature: self.options.trust.signature(&path) })
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
        let _lease = self.store.acquire(LeaseName::Proof).await;
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

    /// Checks and compiles a plugin file that does not go live.
    async fn load_idle(&self, name: &str, file: PluginFile) -> Result<Plugin> {
        self.load_with(name, &file, Arc::new(ReadOnlyCache(self.cache.clone()))).await
    }
}
