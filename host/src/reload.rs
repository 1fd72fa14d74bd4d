//! Takes a changed configuration over while the host runs: all of it, or nothing with the reason in the log.

use crate::config::Config;
use crate::host::Host;
use anyhow::{Context, Result, bail};
use notify::{RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// How long the file must lie still before it is read: editors write in steps.
const SETTLE: Duration = Duration::from_millis(200);
/// How often to look without being told, for what the watcher missed.
const LOOK: Duration = Duration::from_secs(10);

/// Follows a configuration file.
#[derive(Debug)]
pub struct Reloader {
    host: Arc<Host>,
    path: PathBuf,
    /// What the host was started with; only what it may change without a restart differs since.
    started_with: Arc<Config>,
    /// The files as they were taken over, or refused, last.
    seen: Seen,
}

/// The configuration file and those of its certificates, by what was in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen(Vec<(PathBuf, Option<[u8; 32]>)>);

impl Seen {
    /// As they are now; `None` for what is not there.
    pub fn now(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let digest = |path: &PathBuf| std::fs::read(path).ok().map(|bytes| Sha256::digest(bytes).into());
        Self(paths.into_iter().map(|path| (path.clone(), digest(&path))).collect())
    }

    /// These files: those that were seen before as they were, the others as they are now.
    #[must_use]
    pub fn of(&self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let seen = |path: PathBuf| match self.0.iter().find(|(known, _)| *known == path) {
            Some(known) => vec![known.clone()],
            None => Self::now([path]).0,
        };
        Self(paths.into_iter().flat_map(seen).collect())
    }

    fn again(&self) -> Self {
        Self::now(self.0.iter().map(|(path, _)| path.clone()))
    }

    fn is_whole(&self) -> bool {
        self.0.iter().all(|(_, digest)| digest.is_some())
    }
}

impl Reloader {
    /// For a host that was started with what the file said after it was seen so.
    pub fn new(host: Arc<Host>, path: PathBuf, seen: Seen, started_with: Arc<Config>) -> Self {
        Self { host, path, started_with, seen }
    }

    /// Reloads on SIGHUP and whenever the file changes.
    pub async fn run(mut self) {
        let (hint, mut hints) = mpsc::channel(1);
        let _watcher = match watch(&self.path, hint) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                warn!("changes of {} are seen late: {error:#}", self.path.display());
                None
            }
        };
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return error!("cannot be told to reload: {error}"),
        };
        let mut told = false;
        loop {
            self.settle().await;
            let seen = self.seen.again();
            // A file that is away for a moment is being replaced; only who asks wants to hear of it.
            if told || (seen.is_whole() && seen != self.seen) {
                self.seen = seen;
                match self.reload().await {
                    Ok(()) => info!("configuration {} taken over", self.path.display()),
                    Err(error) => error!("configuration not taken over, the former one stays: {error:#}"),
                }
            }
            told = tokio::select! {
                _ = hangup.recv() => true,
                Some(()) = hints.recv() => false,
                () = tokio::time::sleep(LOOK) => false,
            };
        }
    }

    /// Waits until the files have not changed for a while.
    async fn settle(&self) {
        let stamp = || {
            let files = self.seen.0.iter().map(|(path, _)| std::fs::metadata(path));
            files.map(|file| file.and_then(|file| Ok((file.modified()?, file.len()))).ok()).collect::<Vec<_>>()
        };
        loop {
            let before = stamp();
            tokio::time::sleep(SETTLE).await;
            if stamp() == before {
                return;
            }
        }
    }

    async fn reload(&mut self) -> Result<()> {
        let config = Config::load(&self.path)?;
        self.seen = self.seen.of(config.files(&self.path));
        let fixed = self.started_with.needs_restart(&config);
        if !fixed.is_empty() {
            bail!("{} takes effect only at a start; restart hookmill, or take that change back", fixed.join(", "));
        }
        self.host.reconfigure(config).await.with_context(|| format!("in the configuration {}", self.path.display()))
    }
}

/// Watches the folder: a file that is replaced by renaming would be lost.
fn watch(path: &Path, hint: mpsc::Sender<()>) -> Result<impl Watcher + use<>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the file is noticed too. A full channel already says that there is something.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            let _ = hint.try_send(());
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}
