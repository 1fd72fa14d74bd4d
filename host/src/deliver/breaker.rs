//! The circuit breaker of one destination.

use super::attempt::AttemptResult;
use hookmill_connection::with_jitter;
use hookmill_store::Health;
use std::time::{Duration, Instant};

/// After this many consecutive failures a destination is paused; one attempt follows each pause.
pub(super) const FAILURES_MAX: u32 = 10;
const PAUSE_MIN: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);

/// A circuit breaker. While a destination is paused, its waiting deliveries cost nothing.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    pause: Duration,
    paused_until: Option<Instant>,
}

impl Breaker {
    /// Returns the number of consecutive failures.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns the end of the pause.
    pub fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Ends the pause.
    pub fn retry_now(&mut self) {
        self.paused_until = None;
    }

    /// Returns the number of attempts that may be in progress at the same time.
    ///
    /// # Errors
    /// Returns the remaining pause as an error.
    pub fn concurrency(&self, concurrency: usize, now: Instant) -> Result<usize, Duration> {
        match self.paused_until.filter(|until| *until > now) {
            Some(until) => Err(until - now),
            None if self.failures >= FAILURES_MAX => Ok(1),
            None => Ok(concurrency),
        }
    }

    /// Records the result of an attempt.
    pub fn record(&mut self, result: &AttemptResult, now: Instant) {
        match result.attempted.health {
            Health::Well => *self = Self::default(),
            Health::Unknown => {}
            Health::Failing => {
                self.failures += 1;
                // Attempts that were in progress when the pause began do not prolong it.
                if self.failures >= FAILURES_MAX && self.paused_until.is_none_or(|until| until <= now) {
                    self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                    self.paused_until = Some(now + with_jitter(self.pause));
                }
                if let Some(retry_after) = result.retry_after {
                    self.paused_until = self.paused_until.max(Some(now + retry_after.min(PAUSE_MAX)));
                }
            }
        }
    }
}
