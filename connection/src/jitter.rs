//! Random waits.

use std::time::Duration;

/// The largest share by which jitter lengthens a wait.
pub const JITTER: f64 = 0.1;

/// Lengthens a wait at random by up to a tenth, so that requests that failed together are not repeated together.
pub fn with_jitter(wait: Duration) -> Duration {
    let share = getrandom::u32().map_or(0.0, |random| f64::from(random) / f64::from(u32::MAX));
    wait.mul_f64(1.0 + JITTER * share)
}
