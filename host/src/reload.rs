//! Takes a changed configuration over while the host runs: all of it, or nothing with the reason in the log.

use crate::Host;
use crate::config::Config;
use anyhow::{Context, Result, bail};
use notify::{RecursiveMode, Watcher};
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
    /// The file as it was taken over, or refused, last.
    seen: Option<Vec<u8>>,
}

impl Reloader {
    /// For a host that was started with what the file said.
    pub fn new(host: Arc<Host>, path: PathBuf, started_with: Arc<Config>) -> Self {
        let seen = std::fs::read(&path).ok();
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
        loop {
            let told = tokio::select! {
                _ = hangup.recv() => true,
                Some(()) = hints.recv() => false,
                () = tokio::time::sleep(LOOK) => false,
            };
            self.settle().await;
            let text = tokio::fs::read(&self.path).await.ok();
            // A file that is away for a moment is being replaced; only who asks wants to hear of it.
            if told || (text.is_some() && text != self.seen) {
                self.seen = text;
                match self.reload().await {
                    Ok(()) => info!("configuration {} taken over", self.path.display()),
                    Err(error) => error!("configuration not taken over, the former one stays: {error:#}"),
                }
            }
        }
    }

    /// Waits until the file has not changed for a while.
    async fn settle(&self) {
        let stamp = || std::fs::metadata(&self.path).and_then(|file| Ok((file.modified()?, file.len()))).ok();
        loop {
            let before = stamp();
            tokio::time::sleep(SETTLE).await;
            if stamp() == before {
                return;
            }
        }
    }

    async fn reload(&self) -> Result<()> {
        let config = Config::load(&self.path)?;
        let fixed = self.started_with.needs_restart(&config);
        if !fixed.is_empty() {
            bail!("{} takes effect only at a start; restart hookmill, or take that change back", fixed.join(", "));
        }
        self.host.reconfigure(config).await.with_context(|| format!("in the configuration {}", self.path.display()))
    }
}

/// Watches the folder: a file that is replaced by renaming would be lost.
fn watch(path: &Path, hint: mpsc::Sender<()>) -> Result<impl Watcher> {
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
