//! The task that makes backups at intervals.

use super::keys::LockFile;
use super::make::{Made, MakeOptions, make};
use super::pace::Pace;
use super::retained;
use crate::metrics::Metrics;
use crate::tasks::pause;
use anyhow::{Context, Result};
use hookmill_notify::Trigger;
use hookmill_store::Store;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// After a failure the next attempt comes after this time, or earlier if the interval is shorter.
const RETRY_AFTER: Duration = Duration::from_secs(15 * 60);
/// A backup that is older than this many intervals is a failure, even if no attempt failed.
const INTERVALS_MAX: u32 = 2;

/// The interval and the folder of backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The interval.
    pub every: Duration,
    /// The number of backups that are kept.
    pub keep: usize,
    /// The folder of the backups.
    pub to: PathBuf,
    /// The secret that seals the key of the vault.
    pub lock: LockFile,
    /// The bytes that are read or written in a second.
    pub bytes_per_second: u64,
}

/// The state of the backups of a schedule.
#[derive(Clone, Debug, Default)]
pub struct BackupState {
    /// The time at which the next one is due.
    pub next_at: Option<Timestamp>,
    /// The newest complete one.
    pub last_success: Option<LastBackup>,
    /// The newest failure since then.
    pub last_failure: Option<LastFailure>,
}

/// A backup that was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastBackup {
    /// The file.
    pub file: String,
    /// The time at which the backup was begun: the backup holds everything that was acknowledged before.
    pub at: Timestamp,
    /// The size of the file.
    pub bytes: u64,
    /// The time that it took; none if it was made before this host was started.
    pub duration_ms: Option<u64>,
}

/// A backup that failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastFailure {
    /// The time of the failure.
    pub at: Timestamp,
    /// The reason.
    pub error: String,
}

/// The task.
#[derive(Debug)]
pub struct BackupTask {
    schedule: Schedule,
    data_dir: PathBuf,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    state: Mutex<BackupState>,
}

impl BackupTask {
    /// Creates the task and checks that its files can be used.
    ///
    /// # Errors
    /// Returns an error if the folder or the file of the passphrase or key cannot be used.
    pub fn new(schedule: Schedule, data_dir: PathBuf, store: Arc<Store>, metrics: Arc<Metrics>) -> Result<Self> {
        schedule.lock.read()?;
        let newest = retained::list(&schedule.to).context("make the folder of the backups")?.into_iter().next();
        let state = BackupState { last_success: newest.map(LastBackup::from), ..BackupState::default() };
        if let Some(last) = &state.last_success {
            metrics.backup(last.at.as_second(), None, last.bytes);
        }
        Ok(Self { schedule, data_dir, store, metrics, state: Mutex::new(state) })
    }

    /// Returns the schedule.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Returns what is known about the backups.
    pub fn state(&self) -> BackupState {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BackupState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.store.clock().now()
    }

    /// Makes backups until the host stops.
    pub async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut is_reported = false;
        // Without a backup for two intervals from then on, something is wrong.
        let mut well_at = self.now();
        let mut due_at = self.state().last_success.map_or(well_at, |last| later(last.at, self.schedule.every));
        let mut running: Option<Running> = None;
        while pause(POLL_INTERVAL, &mut stopped).await {
            if running.as_ref().is_some_and(|running| running.backup.is_finished())
                && let Some(Running { backup, .. }) = running.take()
            {
                let made = backup.await.map_err(Into::into).and_then(|made| made);
                is_reported = self.record(made, is_reported).await;
                let last = self.lock().last_failure.as_ref().map(|failure| failure.at);
                due_at = match last {
                    Some(failed_at) => later(failed_at, self.schedule.every.min(RETRY_AFTER)),
                    None => {
                        well_at = self.now();
                        later(due_at, self.schedule.every).max(well_at)
                    }
                };
            }
            if !is_reported && self.now() > later(well_at, self.schedule.every.saturating_mul(INTERVALS_MAX)) {
                is_reported = true;
                self.notify(&format!("no backup was completed since {well_at}")).await;
            }
            // The clock may have been ahead when the newest backup was made.
            due_at = due_at.min(later(self.now(), self.schedule.every));
            self.lock().next_at = Some(due_at);
            if running.is_none() && self.now() >= due_at {
                running = Some(self.clone().begin());
            }
        }
        // The work ends at its next step. The next backup removes the files that are left behind.
        if let Some(Running { stop, .. }) = running {
            stop.store(true, Ordering::Relaxed);
        }
    }

    fn begin(self: Arc<Self>) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let backup = tokio::task::spawn_blocking(move || self.make(stopped));
        Running { stop, backup }
    }

    /// Makes one backup, then removes the oldest beyond those that are kept. Blocks.
    fn make(&self, stop: Arc<AtomicBool>) -> Result<(PathBuf, Made)> {
        let Schedule { to, keep, lock, bytes_per_second, .. } = &self.schedule;
        let file = to.join(retained::file_name(self.now()));
        let options =
            MakeOptions { data_dir: self.data_dir.clone(), lock: lock.read()?, clock: self.store.clock().clone() };
        let made = make(&options, &file, &mut Pace::new(Some(*bytes_per_second), stop, |_| {}))?;
        retained::keep_newest(to, *keep, &file)?;
        Ok((file, made))
    }

    /// Records a result. Returns whether the present failures were reported.
    async fn record(&self, made: Result<(PathBuf, Made)>, is_reported: bool) -> bool {
        match made {
            Ok((file, made)) => {
                made.manifest.warnings.iter().for_each(|warning| warn!("{warning}"));
                let (at, bytes, took) = (made.manifest.created_at, made.bytes, made.took);
                info!("backup {} made: {bytes} bytes in {} ms", file.display(), took.as_millis());
                self.metrics.backup(at.as_second(), Some(took), bytes);
                let (file, duration_ms) = (file.display().to_string(), u64::try_from(took.as_millis()).ok());
                let mut state = self.lock();
                state.last_success = Some(LastBackup { file, at, bytes, duration_ms });
                state.last_failure = None;
                false
            }
            Err(failure) => {
                let error = format!("{failure:#}");
                error!("the backup failed: {error}");
                self.metrics.backup_failure();
                self.lock().last_failure = Some(LastFailure { at: self.now(), error: error.clone() });
                if !is_reported {
                    self.notify(&error).await;
                }
                true
            }
        }
    }

    async fn notify(&self, error: &str) {
        let last_success_at = self.lock().last_success.as_ref().map(|last| last.at);
        let to = self.schedule.to.display().to_string();
        let object = json!({"to": to, "error": error, "last_success_at": last_success_at});
        if let Err(error) = self.store.enqueue_notice(Trigger::BackupFailed, json!({"object": object})).await {
            warn!("cannot queue notifications of {}: {error:#}", Trigger::BackupFailed);
        }
    }
}

/// A backup that is being made.
struct Running {
    stop: Arc<AtomicBool>,
    backup: JoinHandle<Result<(PathBuf, Made)>>,
}

impl From<retained::Retained> for LastBackup {
    fn from(backup: retained::Retained) -> Self {
        let file = backup.path.display().to_string();
        Self { file, at: backup.created_at, bytes: backup.bytes, duration_ms: None }
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}
