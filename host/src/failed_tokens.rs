//! Requests with a token, or the id of a session, that is not valid: counted for each address, logged at a limited rate, and limited.

use crate::peer::network;
use crate::rate_limit::RateLimited;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures of one address in a minute before its further tokens are refused without a look. A person who mistypes, or
/// a program with an expired token, stays below it.
pub const FAILURES_PER_MINUTE: u32 = 30;
const MINUTE: Duration = Duration::from_secs(60);
/// The maximum number of addresses and tokens that are remembered. They take a few hundred KiB.
const REMEMBERED_MAX: usize = 4096;

/// The failures of all addresses within the last minute.
#[derive(Debug, Default)]
pub struct FailedTokens(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    failures: HashMap<Option<IpAddr>, Failures>,
    /// Valid tokens with the address that used them.
    valid: HashSet<(Option<IpAddr>, [u8; 32])>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    since: Instant,
    count: u32,
}

/// The part of a failure that belongs into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureNote {
    /// The first failure of the address within a minute.
    First,
    /// From now on, the address is refused until the minute has passed.
    Limited,
    /// One of many.
    Repeated,
}

impl FailedTokens {
    /// Checks whether a token from this address may be looked up. A token that was valid before from the same address
    /// always may, so that clients behind one proxy do not lock each other out.
    ///
    /// # Errors
    /// Returns the time to wait if the address had too many failures.
    pub fn check(&self, address: Option<IpAddr>, token: &str) -> Result<(), RateLimited> {
        let address = address.map(network);
        let remembered = self.lock();
        let Some(failures) = remembered.failures.get(&address) else { return Ok(()) };
        let left = MINUTE.saturating_sub(failures.since.elapsed());
        let is_limited = failures.count >= FAILURES_PER_MINUTE && !left.is_zero();
        match is_limited && !remembered.valid.contains(&(address, digest(token))) {
            true => Err(RateLimited { retry_after_s: left.as_secs() + 1 }),
            false => Ok(()),
        }
    }

    /// Records that a token from this address was valid.
    pub fn succeeded(&self, address: Option<IpAddr>, token: &str) {
        let mut remembered = self.lock();
        // Nothing has to be remembered of an address without failures, except the token for later.
        if remembered.valid.len() >= REMEMBERED_MAX {
            remembered.valid.clear();
        }
        remembered.valid.insert((address.map(network), digest(token)));
    }

    /// Records that a token from this address was not valid.
    pub fn failed(&self, address: Option<IpAddr>) -> FailureNote {
        let mut remembered = self.lock();
        if remembered.failures.len() >= REMEMBERED_MAX {
            remembered.failures.retain(|_, failures| failures.since.elapsed() < MINUTE);
            if remembered.failures.len() >= REMEMBERED_MAX {
                remembered.failures.clear();
            }
        }
        let now = Instant::now();
        let failures = remembered.failures.entry(address.map(network)).or_insert(Failures { since: now, count: 0 });
        if failures.since.elapsed() >= MINUTE {
            *failures = Failures { since: now, count: 0 };
        }
        failures.count += 1;
        match failures.count {
            1 => FailureNote::First,
            FAILURES_PER_MINUTE => FailureNote::Limited,
            _ => FailureNote::Repeated,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_limited_and_others_are_not() {
        let failed = FailedTokens::default();
        let [attacker, same_network, other] =
            ["2001:db8::1", "2001:db8::2", "2001:db8:1::1"].map(|text| Some(text.parse().unwrap()));
        failed.succeeded(attacker, "valid");
        let notes: Vec<_> = (0..FAILURES_PER_MINUTE).map(|_| failed.failed(attacker)).collect();
        assert_eq!((notes[0], notes[1]), (FailureNote::First, FailureNote::Repeated));
        assert_eq!(notes.last(), Some(&FailureNote::Limited));
        for address in [attacker, same_network] {
            let limited = failed.check(address, "guess").unwrap_err();
            assert!((1..=61).contains(&limited.retry_after_s));
        }
        assert!(failed.check(attacker, "valid").is_ok());
        assert!(failed.check(other, "guess").is_ok() && failed.check(None, "guess").is_ok());
    }

    #[test]
    fn the_memory_of_failures_is_bounded() {
        let failed = FailedTokens::default();
        for index in 0..3 * REMEMBERED_MAX as u32 {
            let address = Some(IpAddr::from(index.to_be_bytes()));
            failed.failed(address);
            failed.succeeded(address, "valid");
        }
        let remembered = failed.lock();
        assert!(remembered.failures.len() <= REMEMBERED_MAX && remembered.valid.len() <= REMEMBERED_MAX);
    }
}
