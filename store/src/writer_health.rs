//! Whether commits succeed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::{error, info};

/// The interval of logging failures: a full disk fails thousands of writes in a second.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// A commit that takes longer counts as a failure until it ends.
const COMMIT_MAX: Duration = Duration::from_secs(5);

/// The state of the writer, shared with readers of the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriterHealth(Arc<Mutex<HealthState>>);

#[derive(Debug, Default)]
struct HealthState {
    /// Why the last commit failed; none if it succeeded.
    trouble: Option<Arc<str>>,
    /// When the commit began that runs.
    began_at: Option<Instant>,
    logged_at: Option<Instant>,
    unlogged: u64,
}

impl WriterHealth {
    /// Returns why the last commit failed or does not end, if so.
    pub fn trouble(&self) -> Option<Arc<str>> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let running = state.began_at.map(|at| at.elapsed()).filter(|time| *time > COMMIT_MAX);
        let slow = || running.map(|time| format!("a commit has not ended for {} s", time.as_secs()).into());
        state.trouble.clone().or_else(slow)
    }

    /// Runs a commit, or what is due after it.
    pub fn watch<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = |at| self.0.lock().unwrap_or_else(PoisonError::into_inner).began_at = at;
        began(Some(Instant::now()));
        let result = work();
        began(None);
        result
    }

    /// Records that a commit succeeded.
    pub fn succeed(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.trouble.take().is_some() {
            info!("the database takes writes again");
        }
    }

    /// Records that no commit is possible at the moment.
    pub fn fail(&self, reason: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.trouble = Some(reason.into());
        state.log(&format!("the database takes no writes, and payloads get the answer 503: {reason}"));
    }

    /// Logs the failure of a single write.
    pub fn log(&self, text: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).log(text);
    }
}

impl HealthState {
    fn log(&mut self, text: &str) {
        if self.logged_at.is_some_and(|at| at.elapsed() < LOG_EVERY) {
            self.unlogged += 1;
            return;
        }
        match std::mem::take(&mut self.unlogged) {
            0 => error!("{text}"),
            count => error!("{text} (and {count} failures that were not logged)"),
        }
        self.logged_at = Some(Instant::now());
    }
}
