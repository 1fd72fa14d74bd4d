//! The waits between attempts.

use hookmill_connection::{JITTER, RETRY_AFTER_MAX};
use std::time::Duration;

/// The largest jitter on a wait that the receiver asked for.
pub(super) const ASKED_JITTER_MAX: Duration = Duration::from_secs(5);

/// The waits between the attempts of one delivery; when they are used up, the delivery is dead.
#[derive(Clone, Debug)]
pub struct RetrySchedule(Vec<Duration>);

impl RetrySchedule {
    /// Creates a schedule of these waits.
    pub fn new(waits: Vec<Duration>) -> Self {
        Self(waits)
    }

    /// Returns the wait after an attempt, given the number of steps that earlier attempts used up; `None` after the last
    /// attempt.
    pub fn wait(&self, used_steps: u32) -> Option<Duration> {
        self.0.get(used_steps as usize).copied()
    }

    /// Returns the longest time after which an attempt follows another one.
    pub fn longest_wait(&self) -> Duration {
        let longest = self.0.iter().max().copied().unwrap_or_default();
        longest.mul_f64(1.0 + JITTER).max(RETRY_AFTER_MAX + ASKED_JITTER_MAX)
    }
}

impl Default for RetrySchedule {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let seconds = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Self(seconds.into_iter().map(Duration::from_secs).collect())
    }
}
