//! Applies a changed configuration while the host runs: either all changes or none, with the reason in the log.

use crate::config::{Config, Settings};
use crate::folder_watcher::{FolderWatcher, changed};
use crate::host::{Host, ReloadRequest};
use crate::service_manager;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// The time for which the files must not change before they are read, because editors write in steps.
const UNCHANGED_FOR: Duration = Duration::from_millis(200);
/// The time between two looks without a notice, for changes that cause none.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The task that follows a configuration file.
#[derive(Debug)]
pub struct Reloader {
    host: Arc<Host>,
    path: PathBuf,
    /// The settings at the start. Only those that may change without a restart have changed since.
    started_with: Arc<Settings>,
    /// The files when they were last applied or refused.
    known: FileDigests,
    /// SIGHUP, which may have come before the host was up.
    hangup: Signal,
    /// Requests of operators to reload.
    requests: mpsc::Receiver<ReloadRequest>,
}

/// The configuration file and the certificates that it names, by the digest of their content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDigests(Vec<(PathBuf, Option<[u8; 32]>)>);

impl FileDigests {
    /// Reads the files; `None` stands for a file that cannot be read.
    pub fn read(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let digest = |path: &PathBuf| std::fs::read(path).ok().map(|bytes| Sha256::digest(bytes).into());
        Self(paths.into_iter().map(|path| (path.clone(), digest(&path))).collect())
    }

    /// Returns the digests of these files: the known digests if there are any, otherwise the digests of the present
    /// files.
    #[must_use]
    pub fn for_paths(&self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let digests = |path: PathBuf| match self.0.iter().find(|(known, _)| *known == path) {
            Some(known) => vec![known.clone()],
            None => Self::read([path]).0,
        };
        Self(paths.into_iter().flat_map(digests).collect())
    }

    fn read_again(&self) -> Self {
        Self::read(self.0.iter().map(|(path, _)| path.clone()))
    }

    fn is_complete(&self) -> bool {
        self.0.iter().all(|(_, digest)| digest.is_some())
    }
}

impl Reloader {
    /// Prepares to follow the file. `applied` are the files as they were when `started_with` was loaded.
    pub fn new(
        host: Arc<Host>,
        path: PathBuf,
        applied: FileDigests,
        started_with: Arc<Settings>,
        hangup: Signal,
        requests: mpsc::Receiver<ReloadRequest>,
    ) -> Self {
        Self { host, path, started_with, known: applied, hangup, requests }
    }

    /// Reloads on SIGHUP, on requests, and whenever the file changes.
    pub async fn run(mut self) {
        let mut watcher = watch(&self.path)
            .inspect_err(|error| warn!("changes of {} are found late: {error:#}", self.path.display()))
            .ok();
        let mut is_requested = false;
        let mut request: Option<ReloadRequest> = None;
        loop {
            self.wait_until_unchanged().await;
            let files = self.known.read_again();
            // A file that is missing for a moment is being replaced. Only SIGHUP and requests report the missing file as an error.
            if is_requested || (files.is_complete() && files != self.known) {
                self.known = files;
                // A host that still starts reports that it is ready once it is.
                let is_ready = self.host.loaded.is_settled();
                if is_ready {
                    service_manager::report_reloading();
                }
                let result = self.reload().await;
                match &result {
                    Ok(()) => info!("configuration {} applied", self.path.display()),
                    Err(error) => error!("cannot apply the changed configuration, keeping the previous one: {error:#}"),
                }
                if let Some(request) = request.take() {
                    // The client may have gone.
                    let _ = request.send(result.map_err(|error| format!("{error:#}")));
                }
                if is_ready {
                    service_manager::report_ready();
                }
            }
            is_requested = tokio::select! {
                _ = self.hangup.recv() => true,
                Some(asked) = self.requests.recv() => {
                    request = Some(asked);
                    true
                }
                () = changed(watcher.as_mut()) => false,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
        }
    }

    async fn wait_until_unchanged(&self) {
        let stamps = || {
            let files = self.known.0.iter().map(|(path, _)| std::fs::metadata(path));
            files.map(|file| file.and_then(|file| Ok((file.modified()?, file.len()))).ok()).collect::<Vec<_>>()
        };
        loop {
            let before = stamps();
            tokio::time::sleep(UNCHANGED_FOR).await;
            if stamps() == before {
                return;
            }
        }
    }

    async fn reload(&mut self) -> Result<()> {
        let config = Config::load(&self.path)?;
        self.known = self.known.for_paths(config.files(&self.path));
        let fixed = self.started_with.needs_restart(&config.settings);
        if !fixed.is_empty() {
            bail!("{} takes effect only at a start; restart hookmill, or undo the change", fixed.join(", "));
        }
        self.host.reconfigure(config).await.with_context(|| format!("in the configuration {}", self.path.display()))
    }
}

/// Watches the folder, because a watch on the file itself is lost when the file is replaced by renaming.
fn watch(path: &Path) -> Result<FolderWatcher> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut watcher = FolderWatcher::new()?;
    watcher.follow(folder)?;
    Ok(watcher)
}
