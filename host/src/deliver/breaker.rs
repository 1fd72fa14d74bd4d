//! The circuit breaker of one destination.

use super::attempt::AttemptResult;
use hookmill_connection::with_jitter;
use hookmill_store::Health;
use std::time::{Duration, Instant};

/// After this many consecutive failures a destination is paused; one attempt follows each pause.
pub(super) const FAILURES_MAX: u32 = 10;
const PAUSE_MIN: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
/// A receiver that asks to wait this many times without a success in between is treated like one that fails.
const ASKED_MAX: u32 = 100;

/// A circuit breaker. While a destination is paused, its waiting deliveries cost nothing.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    pause: Duration,
    paused_until: Option<Instant>,
    /// The number of times in a row that the receiver asked to wait.
    asked: u32,
    /// The end of the wait that the receiver asked for.
    asked_until: Option<Instant>,
}

impl Breaker {
    /// Returns the number of consecutive failures.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns the end of the pause.
    pub fn paused_until(&self) -> Option<Instant> {
        self.paused_until.max(self.asked_until)
    }

    /// Ends the pause.
    pub fn retry_now(&mut self) {
        (self.paused_until, self.asked_until) = (None, None);
    }

    /// Returns the number of attempts that may be in progress at the same time.
    ///
    /// # Errors
    /// Returns the remaining pause as an error.
    pub fn concurrency(&self, concurrency: usize, now: Instant) -> Result<usize, Duration> {
        match self.paused_until().filter(|until| *until > now) {
            Some(until) => Err(until - now),
            None if self.failures >= FAILURES_MAX || self.asked > 0 => Ok(1),
            None => Ok(concurrency),
        }
    }

    /// Records the result of an attempt.
    pub fn record(&mut self, result: &AttemptResult, now: Instant) {
        match result.attempted.health {
            // The success of an attempt that began before the wait says nothing about its end.
            Health::Well => {
                let asked_until = self.asked_until.filter(|until| *until > now);
                *self = Self { asked: asked_until.map_or(0, |_| self.asked), asked_until, ..Self::default() };
            }
            Health::Unknown => {}
            Health::Failing => {
                if let Some(wait) = result.asked_wait {
                    self.asked += 1;
                    self.asked_until = self.asked_until.max(Some(now + wait));
                    if self.asked < ASKED_MAX {
                        return;
                    }
                }
                self.failures += 1;
                // Attempts that were in progress when the pause began do not prolong it.
                if self.failures >= FAILURES_MAX && self.paused_until.is_none_or(|until| until <= now) {
                    self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                    self.paused_until = Some(now + with_jitter(self.pause));
                }
                if let (Some(retry_after), None) = (result.retry_after, result.asked_wait) {
                    self.paused_until = self.paused_until.max(Some(now + retry_after.min(PAUSE_MAX)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookmill_store::{Attempt, Attempted, Next};
    use uuid::Uuid;

    fn result(health: Health, asked_wait: Option<u64>) -> AttemptResult {
        let attempt = Attempt { at: 0, duration_ms: 0, http_status: None, code: None, error: None, answer: None };
        let attempted = Attempted { delivery: Uuid::nil(), attempt, next: Next::Dead, health };
        let asked_wait = asked_wait.map(Duration::from_secs);
        AttemptResult { attempted, retry_after: asked_wait, asked_wait, is_gone: false }
    }

    #[test]
    fn a_receiver_that_asks_to_wait_is_not_treated_as_broken() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        for _ in 0..20 {
            breaker.record(&result(Health::Failing, Some(1)), at(0));
        }
        // A success from before the wait does not end it.
        breaker.record(&result(Health::Well, None), at(10));
        assert_eq!(breaker.concurrency(8, at(600)), Err(Duration::from_millis(400)));
        // One attempt comes first after the wait.
        assert_eq!((breaker.concurrency(8, at(1_000)), breaker.failures()), (Ok(1), 0));
        breaker.record(&result(Health::Failing, Some(1)), at(1_000));
        assert!(breaker.concurrency(8, at(1_999)).is_err());
        breaker.record(&result(Health::Well, None), at(2_000));
        assert_eq!(breaker.concurrency(8, at(2_000)), Ok(8));
        for _ in 0..ASKED_MAX + FAILURES_MAX {
            breaker.record(&result(Health::Failing, Some(1)), at(3_000));
        }
        assert!(breaker.concurrency(8, at(7_000)).is_err(), "it only asks");
        breaker.retry_now();
        assert_eq!(breaker.concurrency(8, at(7_000)), Ok(1));
    }
}
