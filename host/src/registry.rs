//! The registry of sources: those of the configuration file, and those that clients register while the host runs.
//!
//! Only this module changes the sources, one change after the other. Readers see all sources before a change or all
//! after.

use crate::config::{Limits, SourceDeclaration};
use crate::source::{LiveTally, SecretNote, Source, SourceOrigin};
use crate::sources::{SourceMap, Sources};
use crate::vault::{Vault, secret_label};
use anyhow::{Result, anyhow, ensure};
use hookmill_incident::name::check_name;
use hookmill_signatures::Secret;
use hookmill_store::{SecretRow, SourceRow, Store, StoreError};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tracing::{error, info, warn};

/// The number of secrets that one source may have at the same time.
const SECRETS_MAX: usize = 8;

/// The reason why a source is not registered or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The source does not exist.
    #[error("there is no {0}")]
    NotFound(String),
    /// The change contradicts the present state.
    #[error("{0}")]
    Conflict(String),
    /// The declaration is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The host failed.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// Changes the registered sources.
#[derive(Debug)]
pub struct Registry {
    sources: Arc<Sources>,
    /// Locked during a change.
    changing: Mutex<()>,
    /// The limits of sources that do not declare their own.
    limits: Limits,
    store: Arc<Store>,
    vault: Vault,
}

/// A source that was registered or got another secret.
#[derive(Debug)]
pub struct Issued {
    /// The source after the change.
    pub source: Arc<Source>,
    /// The new secret, if the host made it. The secret is shown only this once.
    pub secret: Option<Secret>,
}

impl Registry {
    /// Loads the registered sources and publishes them with the configured ones. A registered source that cannot be
    /// used is logged and left out.
    ///
    /// # Errors
    /// Returns an error if a configured and a registered source have the same name, or the store fails.
    pub async fn open(store: Arc<Store>, data_dir: &Path, configured: Vec<Source>, limits: Limits) -> Result<Self> {
        let vault = Vault::open(data_dir, store.is_shared())?;
        let registry = Self { sources: Arc::default(), changing: Mutex::default(), limits, store, vault };
        registry.reconfigure(configured, async { Ok(()) }).await?;
        Ok(registry)
    }

    /// Returns the sources that this registry changes.
    pub fn sources(&self) -> &Arc<Sources> {
        &self.sources
    }

    /// Replaces the sources of the configuration, if `precondition` succeeds.
    ///
    /// # Errors
    /// Returns an error in the cases of [`Registry::open`], or if the precondition fails. Nothing has changed then.
    pub async fn reconfigure(
        &self,
        configured: Vec<Source>,
        precondition: impl Future<Output = Result<(), StoreError>>,
    ) -> Result<()> {
        let _changing = self.changing.lock().await;
        let (sources, unusable) = self.beside_registered(configured).await?;
        precondition.await?;
        self.sources.publish(sources, unusable);
        Ok(())
    }

    /// Registers a source. If no secret is given and the scheme needs one, the host makes a secret.
    ///
    /// # Errors
    /// Returns an error if the name is taken, or the declaration is wrong.
    pub async fn register(
        &self,
        name: String,
        declaration: Map<String, Value>,
        secret: Option<String>,
    ) -> Result<Issued, RegisterError> {
        let _changing = self.changing.lock().await;
        check_name(&name).map_err(RegisterError::Invalid)?;
        if self.sources.get(&name).is_some() || self.sources.unusable().contains_key(&name) {
            return Err(RegisterError::Conflict(format!("source `{name}` already exists")));
        }
        let made = match secret {
            Some(_) => None,
            None => new_secret(&declaration)?,
        };
        let secret = secret.or_else(|| made.clone());
        let created_at = self.store.clock().now_ms();
        let mut row = SourceRow { name, declaration, created_at, secrets: Vec::new() };
        if let Some(secret) = secret {
            row.secrets.push(self.seal(&row, &secret, created_at)?);
        }
        let source = self.put(row).await?;
        Ok(Issued { source, secret: made.map(Secret::new) })
    }

    /// Changes the given keys of a registered source; `null` removes a key. A change of the scheme may contain the new
    /// scheme's secret, which then replaces all former secrets.
    ///
    /// # Errors
    /// Returns an error if the source is not registered, or the changed declaration is wrong.
    pub async fn change(
        &self,
        name: &str,
        changes: Map<String, Value>,
        secret: Option<String>,
    ) -> Result<Arc<Source>, RegisterError> {
        let _changing = self.changing.lock().await;
        let mut row = self.registered(name).await?;
        let changes_scheme = changes.contains_key("scheme");
        if secret.is_some() && !changes_scheme {
            let help = format!("`hookmill webhook rotate {name}`, or POST /api/sources/{name}/rotate");
            return Err(RegisterError::Invalid(format!("`secret` is changed here only with `scheme`; use {help}")));
        }
        for (key, value) in changes {
            match value {
                Value::Null => drop(row.declaration.remove(&key)),
                value => drop(row.declaration.insert(key, value)),
            }
        }
        if changes_scheme && new_secret(&row.declaration)?.is_none() {
            row.secrets.clear();
        }
        if let Some(secret) = secret {
            row.secrets = vec![self.seal(&row, &secret, self.store.clock().now_ms())?];
        }
        self.put(row).await
    }

    /// Adds a secret to a registered source, and lets the former secrets end after `overlap`. If no secret is given,
    /// the host makes one.
    ///
    /// # Errors
    /// Returns an error if the source is not registered, or its scheme cannot use the secret.
    pub async fn rotate(&self, name: &str, secret: Option<String>, overlap: Duration) -> Result<Issued, RegisterError> {
        let _changing = self.changing.lock().await;
        let mut row = self.registered(name).await?;
        let made = match secret {
            Some(_) => None,
            None => new_secret(&row.declaration)?,
        };
        let no_secret = || RegisterError::Conflict(format!("the scheme of `{name}` has no secret"));
        let secret = secret.or_else(|| made.clone()).ok_or_else(no_secret)?;
        let now = self.store.clock().now_ms();
        let end = now.saturating_add(overlap.as_millis().try_into().unwrap_or(i64::MAX));
        for former in &mut row.secrets {
            former.not_after = Some(former.not_after.map_or(end, |before| before.min(end)));
        }
        row.secrets.retain(|secret| secret.not_after.is_none_or(|end| end > now));
        if row.secrets.len() >= SECRETS_MAX {
            return Err(RegisterError::Conflict(format!("`{name}` has {SECRETS_MAX} secrets that are still valid")));
        }
        row.secrets.push(self.seal(&row, &secret, now)?);
        let source = self.put(row).await?;
        Ok(Issued { source, secret: made.map(Secret::new) })
    }

    /// Removes a registered source. Its events are kept.
    ///
    /// # Errors
    /// Returns an error if the source is not registered.
    pub async fn remove(&self, name: &str) -> Result<(), RegisterError> {
        let _changing = self.changing.lock().await;
        self.registered(name).await?;
        self.store.remove_source(name.to_owned()).await?;
        self.sources.replace(name, None);
        info!(source = name, "source removed");
        Ok(())
    }

    /// Adds what was counted since the last call of this function to the stored counts.
    pub async fn save_tallies(&self) {
        let sources = self.sources.all();
        let new = |source: &Arc<Source>| source.tally.take_new().map(|tally| (source.name.clone(), tally));
        let new: Vec<_> = sources.values().filter_map(new).collect();
        if new.is_empty() {
            return;
        }
        let names: Vec<_> = new.iter().map(|(name, _)| name.clone()).collect();
        match self.store.add_tallies(new).await {
            Ok(stored) => {
                for (name, tally) in stored {
                    sources.get(&name).into_iter().for_each(|source| source.tally.added(tally.clone()));
                }
            }
            Err(error) => {
                warn!("cannot save the counts of sources, will try again: {error:#}");
                names.iter().filter_map(|name| sources.get(name)).for_each(|source| source.tally.not_added());
            }
        }
    }

    /// Reads the counts of sources again, to which other hosts add.
    ///
    /// # Errors
    /// Returns an error if the store fails.
    pub async fn refresh_tallies(&self, sources: &[&Source]) -> Result<()> {
        if !self.store.is_shared() {
            return Ok(());
        }
        let mut tallies = self.store.tallies(sources.iter().map(|source| source.name.clone()).collect()).await?;
        for source in sources {
            source.tally.refresh(tallies.remove(&source.name).unwrap_or_default());
        }
        Ok(())
    }

    /// Reads the registered sources again, which another host may have changed.
    ///
    /// # Errors
    /// Returns an error if the store fails.
    pub async fn refresh(&self) -> Result<()> {
        let _changing = self.changing.lock().await;
        let present = self.sources.all();
        let configured = present.iter().filter(|(_, source)| source.origin == SourceOrigin::Configured);
        let mut sources: SourceMap = configured.map(|(name, source)| (name.clone(), source.clone())).collect();
        let unusable = self.add_registered(&mut sources).await?;
        self.sources.publish(sources, unusable);
        Ok(())
    }

    /// Returns the configured and the registered sources, and the registered ones that cannot be used with the reasons.
    async fn beside_registered(&self, configured: Vec<Source>) -> Result<(SourceMap, BTreeMap<String, String>)> {
        let mut sources = SourceMap::new();
        for source in configured {
            sources.insert(source.name.clone(), Arc::new(self.with_tally(source).await?));
        }
        let unusable = self.add_registered(&mut sources).await?;
        Ok((sources, unusable))
    }

    /// Adds the registered sources to the configured ones. Returns those that cannot be used with the reasons.
    async fn add_registered(&self, sources: &mut SourceMap) -> Result<BTreeMap<String, String>> {
        let mut unusable = BTreeMap::new();
        for row in self.store.registered_sources().await? {
            let name = row.name.clone();
            ensure!(
                !sources.contains_key(name.as_str()),
                "source `{name}` is both registered and defined in the configuration file; remove it from the file, \
                 or, to keep it there, start once without it and run `hookmill webhook remove {name}`"
            );
            match self.build(&row) {
                Ok(source) => {
                    // Rate limits of a source that did not change go on.
                    let unchanged = self.sources.get(&name).filter(|present| present.origin == source.origin);
                    let source = match unchanged {
                        Some(present) => present,
                        None => Arc::new(self.with_tally(source).await?),
                    };
                    sources.insert(source.name.clone(), source);
                }
                Err(error) => {
                    error!(source = name, "registered source cannot be used, its payloads are refused: {error:#}");
                    unusable.insert(name, format!("{error:#}"));
                }
            }
        }
        Ok(unusable)
    }

    /// Adds the counts so far to a source that is going to be published.
    async fn with_tally(&self, mut source: Source) -> Result<Source> {
        if source.settings.secrets_end.is_some_and(|end| end < self.store.clock().now_ms()) {
            warn!("every secret of source `{}` has passed its not_after: all of its payloads are refused", source.name);
        }
        source.tally = match self.sources.get(&source.name) {
            Some(present) => present.tally.clone(),
            None => {
                let stored = self.store.tallies(vec![source.name.clone()]).await?.remove(&source.name);
                Arc::new(LiveTally::new(stored.unwrap_or_default()))
            }
        };
        Ok(source)
    }

    async fn registered(&self, name: &str) -> Result<SourceRow, RegisterError> {
        let source = self.sources.get(name);
        if source.is_none() && !self.sources.unusable().contains_key(name) {
            return Err(RegisterError::NotFound(format!("source `{name}`")));
        }
        if source.is_some_and(|source| source.origin == SourceOrigin::Configured) {
            let help = "change it there; the host applies the change immediately";
            return Err(RegisterError::Conflict(format!(
                "source `{name}` is defined in the configuration file; {help}"
            )));
        }
        let rows = self.store.registered_sources().await?;
        let row = rows.into_iter().find(|row| row.name == name);
        row.ok_or_else(|| anyhow!("source `{name}` is not in the store").into())
    }

    /// Checks and stores the row of a registered source, and publishes the source.
    async fn put(&self, row: SourceRow) -> Result<Arc<Source>, RegisterError> {
        // Secrets in the declaration would be stored in plain text.
        if let Some(key) = ["secret", "secrets"].into_iter().find(|key| row.declaration.contains_key(*key)) {
            let help = "a source is registered with one `secret`, and gets others by `rotate`";
            return Err(RegisterError::Invalid(format!("`{key}` is not allowed in a declaration; {help}")));
        }
        let source = self.build(&row).map_err(invalid)?;
        let source = Arc::new(self.with_tally(source).await?);
        self.store.put_source(row).await?;
        self.sources.replace(&source.name, Some(source.clone()));
        info!(source = %source.name, "source registered or changed");
        Ok(source)
    }

    fn build(&self, row: &SourceRow) -> Result<Source> {
        let mut secrets = Vec::new();
        for secret in &row.secrets {
            let plain = self.vault.unseal(&secret_label(&row.name, secret.id), &secret.sealed)?;
            let plain = Secret::new(String::from_utf8(plain)?);
            secrets.push(secret.not_after.map_or(plain.clone(), |end| plain.until(end)));
        }
        let mut warnings = Vec::new();
        let settings = declared(&row.declaration)?.into_settings(&row.name, &secrets, &self.limits, &mut warnings)?;
        warnings.iter().for_each(|warning| warn!("{warning}"));
        let note = |row: &SecretRow| SecretNote { id: row.id, created_at: row.created_at, not_after: row.not_after };
        let origin = SourceOrigin::Registered {
            created_at: row.created_at,
            secrets: row.secrets.iter().map(note).collect(),
            declaration: row.declaration.clone(),
        };
        Ok(Source::new(row.name.clone(), origin, settings))
    }

    fn seal(&self, row: &SourceRow, secret: &str, created_at: i64) -> Result<SecretRow> {
        let id = row.secrets.last().map_or(1, |last| last.id + 1);
        let sealed = self.vault.seal(&secret_label(&row.name, id), secret.as_bytes())?;
        Ok(SecretRow { id, sealed, created_at, not_after: None })
    }
}

fn declared(declaration: &Map<String, Value>) -> Result<SourceDeclaration> {
    SourceDeclaration::from_json(Value::Object(declaration.clone()))
}

fn new_secret(declaration: &Map<String, Value>) -> Result<Option<String>, RegisterError> {
    declared(declaration).and_then(|declaration| declaration.new_secret()).map_err(invalid)
}

fn invalid(error: anyhow::Error) -> RegisterError {
    RegisterError::Invalid(format!("{error:#}"))
}
