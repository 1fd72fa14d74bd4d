//! The clock of a host.

use crate::timestamp::unix_ms;
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The clock of one host: that of the system, which a test can shift. Clones share it.
///
/// The wall clock decides what is due, expired or a repeat, and it can be set back while the host runs. Everything that
/// is measured within the process uses [`std::time::Instant`] instead.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<ClockState>);

#[derive(Debug, Default)]
struct ClockState {
    shift_ms: AtomicI64,
    /// The latest time that the clock has shown.
    latest_ms: AtomicI64,
}

impl Clock {
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
        unix_ms() + self.0.shift_ms.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

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
}
