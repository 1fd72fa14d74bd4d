//! The clock of a host.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time for which the clock must keep pace before something is removed because it is too old.
pub const STEADY_FOR: Duration = Duration::from_secs(60 * 60);
/// A smaller step ahead changes nothing that is kept for days.
const STEP_AHEAD_MS: i64 = 60_000;
/// A clock that went ahead between two hosts is ahead by no more than this if the second one takes over the pace.
const PAUSE_MS_MAX: u64 = 10 * 60_000;

/// The clock of one host: that of the system, which a test can shift. Clones share it. Nothing else reads the system's
/// clock.
///
/// The wall clock decides what is due, expired or a repeat, and it can be set back or ahead while the host runs.
/// Everything that is measured within the process uses [`Instant`] instead.
#[derive(Clone, Debug)]
pub struct Clock(Arc<ClockState>);

#[derive(Debug)]
struct ClockState {
    shift_ms: AtomicI64,
    /// The latest time that the clock has shown.
    latest_ms: AtomicI64,
    pace: Mutex<Pace>,
}

/// The pace of the wall clock, compared with the monotonic one.
#[derive(Debug)]
struct Pace {
    /// The wall clock when both were last compared.
    wall_ms: i64,
    compared_at: Instant,
    /// The beginning of the time without a step ahead.
    steady_since: Instant,
    /// The steps ahead that were not taken yet.
    ahead_ms: i64,
}

/// For how long a clock has kept pace at a time, for the next process on the same data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPace {
    /// The time, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The time for which the clock has kept pace, up to [`STEADY_FOR`].
    pub steady_ms: u64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::steady_since(Instant::now())
    }
}

impl Clock {
    /// Returns a clock that has kept pace since a moment in the past, as one does whose host has run since then.
    pub fn steady_since(moment: Instant) -> Self {
        let (wall_ms, compared_at) = (system_ms(), Instant::now());
        let pace = Mutex::new(Pace { wall_ms, compared_at, steady_since: moment, ahead_ms: 0 });
        Self(Arc::new(ClockState { shift_ms: AtomicI64::default(), latest_ms: AtomicI64::default(), pace }))
    }

    /// Returns the time in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        let now = self.read();
        if now > self.0.latest_ms.load(Ordering::Relaxed) {
            self.0.latest_ms.fetch_max(now, Ordering::Relaxed);
        }
        now
    }

    /// Returns the time.
    pub fn now(&self) -> Timestamp {
        let now = self.now_ms();
        Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Returns the time for removing what is too old, in milliseconds since the Unix epoch; `None` if the clock may be
    /// wrong: it has not kept pace for [`STEADY_FOR`] since it went ahead or since the first host started. What is
    /// removed by a clock that is ahead is lost.
    pub fn steady_ms(&self) -> Option<i64> {
        let mut pace = self.pace();
        pace.compare(self.read(), Instant::now());
        pace.steady_ms()
    }

    /// Returns for how long the clock has kept pace.
    pub fn kept_pace(&self) -> KeptPace {
        let mut pace = self.pace();
        pace.compare(self.read(), Instant::now());
        let steady = (pace.compared_at - pace.steady_since).min(STEADY_FOR);
        KeptPace { at_ms: pace.wall_ms, steady_ms: steady.as_millis() as u64 }
    }

    /// Continues the pace of a former process, unless the clock shows that it ended long ago or later than now. Without
    /// this, a host that is restarted within each hour would never remove anything.
    pub fn continue_pace(&self, former: KeptPace) {
        let mut pace = self.pace();
        pace.compare(self.read(), Instant::now());
        let is_near = former.at_ms <= pace.wall_ms && former.at_ms.abs_diff(pace.wall_ms) <= PAUSE_MS_MAX;
        let steady_since = pace.steady_since.checked_sub(Duration::from_millis(former.steady_ms));
        if let Some(steady_since) = steady_since.filter(|_| is_near) {
            pace.steady_since = steady_since;
        }
    }

    /// Returns how far the clock went ahead of the monotonic one, in milliseconds; 0 if it did not. Each step ahead is
    /// returned once.
    pub fn take_step_ahead_ms(&self) -> i64 {
        let mut pace = self.pace();
        pace.compare(self.read(), Instant::now());
        std::mem::take(&mut pace.ahead_ms)
    }

    /// Returns how far the clock went back behind a time that it has shown, in milliseconds; 0 if it did not. Each step
    /// back is returned once.
    pub fn take_step_back_ms(&self) -> i64 {
        let now = self.read();
        let latest = self.0.latest_ms.swap(now, Ordering::Relaxed);
        (latest - now).max(0)
    }

    /// Shifts the clock, as an operator or a time service does that sets it.
    pub fn shift_ms(&self, by: i64) {
        self.0.shift_ms.fetch_add(by, Ordering::Relaxed);
    }

    fn read(&self) -> i64 {
        system_ms() + self.0.shift_ms.load(Ordering::Relaxed)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.0.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// Compares both clocks. A step back makes nothing too old, so that it changes nothing here.
    fn compare(&mut self, wall_ms: i64, now: Instant) {
        let passed_ms = i64::try_from((now - self.compared_at).as_millis()).unwrap_or(i64::MAX);
        let ahead_ms = wall_ms.saturating_sub(self.wall_ms).saturating_sub(passed_ms);
        (self.wall_ms, self.compared_at) = (wall_ms, now);
        if ahead_ms >= STEP_AHEAD_MS {
            self.steady_since = now;
            self.ahead_ms = self.ahead_ms.saturating_add(ahead_ms);
        }
    }

    fn steady_ms(&self) -> Option<i64> {
        (self.compared_at - self.steady_since >= STEADY_FOR).then_some(self.wall_ms)
    }
}

fn system_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::{Clock, KeptPace, Pace, STEADY_FOR};
    use std::time::{Duration, Instant};

    #[test]
    fn a_step_back_is_noticed_once() {
        let clock = Clock::default();
        let shared = clock.clone();
        let before = clock.now_ms();
        assert!(clock.take_step_back_ms() < 1_000);
        shared.shift_ms(3_600_000);
        assert!(clock.now_ms() >= before + 3_600_000);
        shared.shift_ms(-3_600_000);
        assert!(clock.now_ms() < before + 60_000);
        assert!(clock.take_step_back_ms() > 3_500_000);
        assert!(clock.take_step_back_ms() < 1_000);
    }

    #[test]
    fn a_clock_is_trusted_after_an_hour_without_a_step_ahead() {
        let start = Instant::now();
        let mut pace = Pace { wall_ms: 0, compared_at: start, steady_since: start, ahead_ms: 0 };
        // Minutes of the monotonic clock, the wall clock, and whether the latter is trusted.
        for (minute, wall_minute, is_steady) in [
            (0, 0, false),
            (59, 59, false),
            (60, 60, true),
            (120, 120, true),
            // Two years ahead.
            (121, 1_051_200, false),
            (180, 1_051_259, false),
            // Confirmed.
            (181, 1_051_260, true),
            // Back, and a little ahead again.
            (182, 182, true),
            (183, 185, false),
            (242, 244, false),
            (243, 245, true),
        ] {
            pace.compare(wall_minute * 60_000, start + Duration::from_secs(minute * 60));
            assert_eq!(pace.steady_ms(), is_steady.then_some(wall_minute * 60_000), "{minute}");
        }
        assert_eq!(pace.ahead_ms, (1_051_200 - 121 + 2) * 60_000);
    }

    #[test]
    fn a_pace_continues_after_a_short_pause_only() {
        const MINUTE_MS: i64 = 60_000;
        let half = KeptPace { at_ms: Clock::default().now_ms(), steady_ms: 30 * 60_000 };
        // Minutes by which the clock of the second process is ahead of the end of the first one.
        for (pause, continues) in [(-1, false), (0, true), (9, true), (11, false), (365 * 24 * 60, false)] {
            let clock = Clock::default();
            clock.shift_ms(pause * MINUTE_MS);
            // The host has not run before its clock was set.
            clock.pace().compare(clock.read(), Instant::now());
            clock.pace().steady_since = Instant::now();
            clock.continue_pace(half);
            assert_eq!(clock.kept_pace().steady_ms >= half.steady_ms, continues, "{pause}");
            assert_eq!(clock.steady_ms(), None, "{pause}: half an hour is not enough");
            clock.continue_pace(KeptPace { at_ms: clock.now_ms(), ..half });
            assert_eq!(clock.steady_ms().is_some(), continues, "{pause}");
        }
        let steady = Clock::steady_since(Instant::now() - 2 * STEADY_FOR).kept_pace();
        assert_eq!(steady.steady_ms, STEADY_FOR.as_millis() as u64);
        let ahead = Clock::default();
        ahead.continue_pace(KeptPace { at_ms: ahead.now_ms(), ..steady });
        ahead.shift_ms(2 * MINUTE_MS);
        assert_eq!(ahead.steady_ms(), None, "the step ahead counts also after the pace continued");
    }

    #[test]
    fn a_step_ahead_is_noticed_once() {
        let clock = Clock::steady_since(Instant::now() - STEADY_FOR);
        assert!(clock.steady_ms().is_some());
        clock.shift_ms(3_600_000);
        assert_eq!(clock.steady_ms(), None);
        assert!(clock.take_step_ahead_ms() > 3_500_000);
        assert_eq!(clock.take_step_ahead_ms(), 0);
        clock.shift_ms(-3_600_000);
        assert_eq!(clock.take_step_ahead_ms(), 0);
        assert_eq!(clock.steady_ms(), None, "a clock that has just been wrong may be wrong again");
    }
}
