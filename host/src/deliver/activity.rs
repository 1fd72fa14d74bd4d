//! The recent attempts of one destination, as operators see them. A restart forgets them.

use super::breaker::Breaker;
use hookmill_store::Attempt;
use std::collections::VecDeque;
use std::time::Instant;

/// The number of durations that are kept.
const DURATIONS: usize = 256;

/// The recent attempts of one destination, and the state of its circuit breaker.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    durations_ms: VecDeque<i64>,
    /// The newest attempt that failed.
    pub last_failure: Option<Attempt>,
    /// The number of consecutive failures.
    pub failures: u32,
    paused_until: Option<Instant>,
}

impl Activity {
    /// Adds an attempt, after which the breaker is in this state.
    pub(super) fn record(&mut self, attempt: &Attempt, breaker: &Breaker) {
        if self.durations_ms.len() == DURATIONS {
            self.durations_ms.pop_front();
        }
        self.durations_ms.push_back(attempt.duration_ms);
        if attempt.code.is_some() {
            self.last_failure = Some(attempt.clone());
        }
        self.set_breaker(breaker);
    }

    /// Sets the state of the breaker.
    pub(super) fn set_breaker(&mut self, breaker: &Breaker) {
        (self.failures, self.paused_until) = (breaker.failures(), breaker.paused_until());
    }

    /// Returns the remaining pause in milliseconds; `None` if deliveries are attempted.
    pub fn pause_ms(&self) -> Option<i64> {
        let until = self.paused_until?.checked_duration_since(Instant::now())?;
        Some(until.as_millis() as i64)
    }

    /// Returns the duration in milliseconds that this share of the recent attempts did not exceed; `None` without
    /// attempts.
    pub fn duration_ms(&self, share: f64) -> Option<i64> {
        let mut sorted: Vec<i64> = self.durations_ms.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_recent_attempts() {
        let mut activity = Activity::default();
        assert_eq!(activity.duration_ms(0.5), None);
        let attempt = Attempt { at: 0, duration_ms: 0, http_status: None, code: None, error: None, answer: None };
        let mut record =
            |duration_ms| activity.record(&Attempt { duration_ms, ..attempt.clone() }, &Breaker::default());
        record(9_000);
        (1..=DURATIONS as i64).for_each(&mut record);
        let at = |share| activity.duration_ms(share);
        assert_eq!((at(0.5), at(0.95), at(1.0)), (Some(128), Some(244), Some(256)));
    }
}
