//! The clock by which rows are removed: what is gone does not come back when the clock is set right.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The clock may come closer to the wall clock by this many days in each day that the process runs.
const DAYS_PER_DAY: i64 = 24;

/// A clock that follows a wall clock that is ahead only slowly.
///
/// At its start the newest row in the database is the last time that is known to have passed. A wall clock that is further
/// ahead than a day may be wrong, or the host may have been off for long: then the clock gains a day in each hour.
#[derive(Debug)]
pub(crate) struct TrustedClock(Mutex<(i64, Instant)>);

impl TrustedClock {
    /// Returns the clock of a database whose newest row is of this time; 0 if there are no rows.
    pub fn new(newest_ms: i64, now_ms: i64) -> Self {
        let known = if newest_ms == 0 { now_ms } else { now_ms.min(newest_ms + DAY_MS) };
        Self(Mutex::new((known, Instant::now())))
    }

    /// Returns the time by which rows may be removed, in milliseconds since the Unix epoch.
    pub fn now_ms(&self, now_ms: i64) -> i64 {
        self.after(now_ms, Instant::now())
    }

    fn after(&self, now_ms: i64, at: Instant) -> i64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = at.saturating_duration_since(state.1);
        *state = (now_ms.min(state.0 + gain_ms(passed)), at);
        state.0
    }
}

fn gain_ms(passed: Duration) -> i64 {
    (passed.as_millis() as i64).saturating_mul(DAYS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, TrustedClock};
    use std::time::{Duration, Instant};

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn a_clock_that_jumps_ahead_is_followed_slowly() {
        let start = Instant::now();
        let hours = |count: u64| start + Duration::from_secs(60 * 60 * count);
        let clock = TrustedClock::new(NOW, NOW);
        assert_eq!(clock.after(NOW + 3_600_000, hours(1)), NOW + 3_600_000);
        let ahead = clock.after(NOW + 365 * DAY_MS, hours(2));
        assert!((NOW + DAY_MS..NOW + 2 * DAY_MS).contains(&ahead), "{}", ahead - NOW);
        // The clock is set right.
        assert_eq!(clock.after(NOW + 3 * 3_600_000, hours(3)), NOW + 3 * 3_600_000);
    }

    #[test]
    fn a_host_that_was_off_for_long_catches_up() {
        let start = Instant::now();
        let clock = TrustedClock::new(NOW - 100 * DAY_MS, NOW);
        let first = clock.now_ms(NOW);
        assert!((NOW - 99 * DAY_MS..NOW - 98 * DAY_MS).contains(&first), "{}", NOW - first);
        let in_five_days = start + Duration::from_secs(5 * 24 * 60 * 60);
        assert_eq!(clock.after(NOW + 5 * DAY_MS, in_five_days), NOW + 5 * DAY_MS);
        assert_eq!(TrustedClock::new(0, NOW).now_ms(NOW), NOW);
    }
}
