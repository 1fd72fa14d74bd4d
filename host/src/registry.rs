//! The sources that are known: those of the configuration file and those that were registered while the host runs.
//!
//! Changes are made here, one after the other; everybody else sees the whole set before a change or the whole set after.

use crate::config::{Limits, SourceDeclaration};
use crate::source::{LiveTally, SecretNote, Source, SourceOrigin};
use crate::sources::{SourceMap, Sources};
use crate::vault::Vault;
use anyhow::{Result, anyhow, ensure};
use hookmill_incident::id::unix_ms;
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

/// Secrets that one source may have at once.
const SECRETS_MAX: usize = 8;

/// Why a source is not registered or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// There is no such source.
    #[error("there is no {0}")]
    NotFound(String),
    /// The change does not fit the present state.
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
    /// Held during a change.
    changing: Mutex<()>,
    /// The limits of sources that do not declare their own.
    limits: Limits,
    store: Arc<Store>,
    vault: Vault,
}

/// A source that was registered or given another secret.
#[derive(Debug)]
pub struct Issued {
    /// The source as it is now.
    pub source: Arc<Source>,
    /// Its new secret, when it was made here: it is shown this once.
    pub secret: Option<Secret>,
}

impl Registry {
    /// The sources of the configuration beside those that are registered.
    ///
    /// # Errors
    /// When one name is in both, or the store fails. A registered source that cannot be used is logged and left out.
    pub async fn open(store: Arc<Store>, data_dir: &Path, configured: Vec<Source>, limits: Limits) -> Result<Self> {
        let vault = Vault::open(data_dir)?;
        let registry = Self { sources: Arc::default(), changing: Mutex::default(), limits, store, vault };
        registry.reconfigure(configured, async { Ok(()) }).await?;
        Ok(registry)
    }

    /// Returns the sources that this registry changes.
    pub fn sources(&self) -> &Arc<Sources> {
        &self.sources
    }

    /// Replaces the sources of the configuration, after what else has to succeed for that.
    ///
    /// # Errors
    /// As [`Registry::open`], or why that did not succeed; then nothing has changed.
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

    /// Makes a source known from now on. Without a secret one is made, where the scheme needs one.
    ///
    /// # Errors
    /// When there is a source of this name, or what is declared cannot be.
    pub async fn register(
        &self,
        name: String,
        declaration: Map<String, Value>,
        secret: Option<String>,
    ) -> Result<Issued, RegisterError> {
        let _changing = self.changing.lock().await;
        check_name(&name).map_err(RegisterError::Invalid)?;
        if self.sources.get(&name).is_some() || self.sources.unusable().contains_key(&name) {
            return Err(RegisterError::Conflict(format!("there is a source `{name}` already")));
        }
        let made = match secret {
            Some(_) => None,
            None => new_secret(&declaration)?,
        };
        let secret = secret.or_else(|| made.clone());
        let created_at = unix_ms();
        let mut row = SourceRow { name, declaration, created_at, secrets: Vec::new() };
        if let Some(secret) = secret {
            row.secrets.push(self.seal(&row, &secret, created_at)?);
        }
        let source = self.put(row).await?;
        Ok(Issued { source, secret: made.map(Secret::new) })
    }

    /// Changes what is declared of a registered source: keys that are given, or `null` to take one back. Another scheme
    /// may come with the secret that it needs, in place of all former ones.
    ///
    /// # Errors
    /// When it is not registered, or cannot be so.
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
            row.secrets = vec![self.seal(&row, &secret, unix_ms())?];
        }
        self.put(row).await
    }

    /// Gives a registered source another secret, a new one unless one is given, and ends the former ones after
    /// `overlap`.
    ///
    /// # Errors
    /// When it is not registered, or has no use for the secret.
    pub async fn rotate(&self, name: &str, secret: Option<String>, overlap: Duration) -> Result<Issued, RegisterError> {
        let _changing = self.changing.lock().await;
        let mut row = self.registered(name).await?;
        let made = match secret {
            Some(_) => None,
            None => new_secret(&row.declaration)?,
        };
        let no_secret = || RegisterError::Conflict(format!("the scheme of `{name}` has no secret"));
        let secret = secret.or_else(|| made.clone()).ok_or_else(no_secret)?;
        let now = unix_ms();
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

    /// Forgets a registered source. What it has sent stays.
    ///
    /// # Errors
    /// When it is not registered.
    pub async fn remove(&self, name: &str) -> Result<(), RegisterError> {
        let _changing = self.changing.lock().await;
        self.registered(name).await?;
        self.store.remove_source(name.to_owned()).await?;
        self.sources.replace(name, None);
        info!(source = name, "source removed");
        Ok(())
    }

    /// Writes down what sources have sent since this was called last.
    pub async fn save_tallies(&self) {
        let news = |source: &Arc<Source>| source.tally.news().map(|tally| (source.name.clone(), tally));
        let sources = self.sources.all();
        let tallies: Vec<_> = sources.values().filter_map(news).collect();
        if tallies.is_empty() {
            return;
        }
        let names: Vec<_> = tallies.iter().map(|(name, _)| name.clone()).collect();
        if let Err(error) = self.store.put_tallies(tallies).await {
            warn!("cannot write down what sources have sent, will try again: {error:#}");
            names.iter().filter_map(|name| sources.get(name)).for_each(|source| source.tally.count(|_| {}));
        }
    }

    async fn beside_registered(&self, configured: Vec<Source>) -> Result<(SourceMap, BTreeMap<String, String>)> {
        let (mut sources, mut unusable) = (SourceMap::new(), BTreeMap::new());
        for source in configured {
            sources.insert(source.name.clone(), Arc::new(self.with_tally(source).await?));
        }
        for row in self.store.registered_sources().await? {
            let name = row.name.clone();
            ensure!(
                !sources.contains_key(name.as_str()),
                "source `{name}` is registered and stands in the configuration file too; take it out of the file, or \
                 start without it there and run `hookmill webhook remove {name}`"
            );
            match self.build(&row) {
                Ok(source) => {
                    sources.insert(source.name.clone(), Arc::new(self.with_tally(source).await?));
                }
                Err(why) => {
                    error!(source = name, "registered source cannot be used, its payloads are refused: {why:#}");
                    unusable.insert(name, format!("{why:#}"));
                }
            }
        }
        Ok((sources, unusable))
    }

    /// The source with what it has sent so far.
    async fn with_tally(&self, mut source: Source) -> Result<Source> {
        source.tally = match self.sources.get(&source.name) {
            Some(present) => present.tally.clone(),
            None => Arc::new(LiveTally::new(self.store.tally(source.name.clone()).await?)),
        };
        Ok(source)
    }

    async fn registered(&self, name: &str) -> Result<SourceRow, RegisterError> {
        let source = self.sources.get(name);
        if source.is_none() && !self.sources.unusable().contains_key(name) {
            return Err(RegisterError::NotFound(format!("source `{name}`")));
        }
        if source.is_some_and(|source| source.origin == SourceOrigin::Configured) {
            let help = "change it there: the host takes it over at once";
            return Err(RegisterError::Conflict(format!("source `{name}` stands in the configuration file; {help}")));
        }
        let rows = self.store.registered_sources().await?;
        let row = rows.into_iter().find(|row| row.name == name);
        row.ok_or_else(|| anyhow!("source `{name}` is not in the store").into())
    }

    /// Writes a row that makes a source, and publishes it.
    async fn put(&self, row: SourceRow) -> Result<Arc<Source>, RegisterError> {
        // They would lie in the database as they are.
        if let Some(key) = ["secret", "secrets"].into_iter().find(|key| row.declaration.contains_key(*key)) {
            let help = "a source is registered with one `secret`, and gets others by `rotate`";
            return Err(RegisterError::Invalid(format!("`{key}` is not taken here; {help}")));
        }
        let source = self.build(&row).map_err(invalid)?;
        let source = Arc::new(self.with_tally(source).await?);
        self.store.put_source(row).await?;
        self.sources.replace(&source.name, Some(source.clone()));
        info!(source = %source.name, "source registered or changed");
        Ok(source)
    }

    fn build(&self, row: &SourceRow) -> Result<Source> {
        let mut given = Vec::new();
        for secret in &row.secrets {
            let plain = self.vault.unseal(&label(&row.name, secret.id), &secret.sealed)?;
            let plain = Secret::new(String::from_utf8(plain)?);
            given.push(secret.not_after.map_or(plain.clone(), |end| plain.until(end)));
        }
        let mut warnings = Vec::new();
        let settings = declared(&row.declaration)?.into_settings(&row.name, &given, &self.limits, &mut warnings)?;
        warnings.iter().for_each(|warning| warn!("{warning}"));
        let note = |row: &SecretRow| SecretNote { id: row.id, created_at: row.created_at, not_after: row.not_after };
        let secrets = row.secrets.iter().map(note).collect();
        Ok(Source::new(row.name.clone(), SourceOrigin::Registered { created_at: row.created_at, secrets }, settings))
    }

    fn seal(&self, row: &SourceRow, secret: &str, created_at: i64) -> Result<SecretRow> {
        let id = row.secrets.last().map_or(1, |last| last.id + 1);
        let sealed = self.vault.seal(&label(&row.name, id), secret.as_bytes())?;
        Ok(SecretRow { id, sealed, created_at, not_after: None })
    }
}

/// What binds a sealed secret to its place.
fn label(source: &str, id: i64) -> String {
    format!("source {source} secret {id}")
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
