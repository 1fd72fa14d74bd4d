//! Limits on the number of requests in a second.

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};
use std::num::NonZeroU32;
use std::time::Duration;

/// A request beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; try again in {retry_after_s} s")]
pub struct RateLimited {
    /// The time until the next request is accepted, in seconds.
    pub retry_after_s: u64,
}

/// A limit on the number of requests in a second, or no limit. After a pause, the requests of one second may arrive
/// together.
#[derive(Debug)]
pub struct RateLimit(Option<(NonZeroU32, DefaultDirectRateLimiter)>);

impl RateLimit {
    /// No limit.
    pub const NONE: Self = Self(None);

    /// Returns a limit of this many requests in a second; `None` means no limit.
    pub fn per_second(requests: Option<NonZeroU32>) -> Self {
        Self(requests.map(|requests| (requests, DefaultDirectRateLimiter::direct(Quota::per_second(requests)))))
    }

    /// Returns a limit of one request in each period, for a receiver that counts one a second.
    pub fn one_in(period: Duration) -> Self {
        let quota = Quota::with_period(period).map(DefaultDirectRateLimiter::direct);
        Self(quota.map(|limiter| (NonZeroU32::MIN, limiter)))
    }

    /// Returns the number of requests in a second, if there is a limit.
    pub fn requests_per_second(&self) -> Option<NonZeroU32> {
        self.0.as_ref().map(|(requests, _)| *requests)
    }

    /// Counts a request.
    ///
    /// # Errors
    /// Returns the time to wait if the request is beyond the limit.
    pub fn take(&self) -> Result<(), Duration> {
        let Some((_, limiter)) = &self.0 else { return Ok(()) };
        limiter.check().map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    /// Counts a request of a client.
    ///
    /// # Errors
    /// Returns an error if the request is beyond the limit.
    pub fn check(&self) -> Result<(), RateLimited> {
        self.take().map_err(|wait| RateLimited { retry_after_s: wait.as_secs() + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_can_come_at_once() {
        let limit = RateLimit::per_second(NonZeroU32::new(3));
        for _ in 0..3 {
            limit.check().unwrap();
        }
        assert!(matches!(limit.check(), Err(RateLimited { retry_after_s: 1 })));
        assert!((0..1000).all(|_| RateLimit::NONE.check().is_ok()));
    }
}
