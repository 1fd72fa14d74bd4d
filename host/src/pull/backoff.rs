//! The waiting times between attempts to read a source.

use super::read_error::ReadError;
use hookmill_connection::with_jitter;
use std::time::Duration;

/// The wait after a first failure, and before connecting again to a stream that ended.
const WAIT: Duration = Duration::from_secs(1);
pub(super) const WAIT_MAX: Duration = Duration::from_secs(5 * 60);
/// A server may choose the first wait between these two.
const SERVER_WAIT_MIN: Duration = Duration::from_secs(1);
const SERVER_WAIT_MAX: Duration = Duration::from_secs(60);

/// An exponential backoff over consecutive failures.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    failures: u32,
}

impl Backoff {
    pub fn new() -> Self {
        Self { first: WAIT, failures: 0 }
    }

    /// Returns the number of consecutive failures.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Resets the failures; a server may choose the first wait after them.
    pub fn succeed(&mut self, server_wait: Option<Duration>) {
        self.failures = 0;
        self.first = server_wait.map_or(self.first, |wait| wait.clamp(SERVER_WAIT_MIN, SERVER_WAIT_MAX));
    }

    /// Returns how long to wait after an error. A wait that a busy server asks for is not a failure.
    pub fn after(&mut self, error: &ReadError) -> Duration {
        let asked = error.failure.asked_wait.map(with_jitter);
        asked.unwrap_or_else(|| self.next().max(error.retry_after.unwrap_or_default()))
    }

    /// Counts a failure and returns the pause after it.
    pub fn next(&mut self) -> Duration {
        let wait = self.first.saturating_mul(2_u32.saturating_pow(self.failures)).min(WAIT_MAX);
        self.failures = self.failures.saturating_add(1);
        with_jitter(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookmill_connection::{Code, Failure};

    #[test]
    fn waits_grow_up_to_a_limit() {
        let mut backoff = Backoff::new();
        let seconds = |backoff: &mut Backoff| backoff.next().as_secs();
        assert_eq!([(); 3].map(|()| seconds(&mut backoff)), [1, 2, 4]);
        let longest = (0..100).map(|_| seconds(&mut backoff)).last();
        assert!((300..=330).contains(&longest.unwrap()));
        backoff.succeed(Some(Duration::from_secs(3)));
        backoff.succeed(None);
        assert_eq!(seconds(&mut backoff), 3);
        let asked = |wait: u64| ReadError {
            failure: Failure { asked_wait: Some(Duration::from_secs(wait)), ..Failure::new(Code::Status, "busy") },
            retry_after: Some(Duration::from_secs(wait)),
            status: None,
        };
        assert_eq!([1, 1, 7].map(|wait| backoff.after(&asked(wait)).as_secs()), [1, 1, 7]);
        assert_eq!(backoff.failures(), 1);
    }
}
