//! A code that begins one session in place of a token, so that an address which signs in can be shown: the code is used up by
//! its first use, ends soon, and exists in memory only.

use anyhow::Result;
use hookmill_store::credential_digest;
use std::sync::{Mutex, PoisonError};

/// The time for which a code is valid.
const VALID_MS: i64 = 10 * 60 * 1000;

/// The newest code, unless it was used.
#[derive(Debug, Default)]
pub struct SignInCode(Mutex<Option<Waiting>>);

/// A code that was not used yet.
#[derive(Debug)]
struct Waiting {
    digest: [u8; 32],
    /// The digest of the token that the code stands for.
    token: [u8; 32],
    /// The end of the code, in milliseconds since the Unix epoch.
    ends_at: i64,
}

impl SignInCode {
    /// Makes a code for the token with this digest. An earlier code ends.
    ///
    /// # Errors
    /// Returns an error if the system has no random bytes.
    pub fn make(&self, token: [u8; 32], now_ms: i64) -> Result<String> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let code = hex::encode(random);
        let waiting = Waiting { digest: credential_digest(&code), token, ends_at: now_ms + VALID_MS };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(waiting);
        Ok(code)
    }

    /// Uses up a code, and returns the digest of its token if the code is valid.
    pub fn take(&self, code: &str, now_ms: i64) -> Option<[u8; 32]> {
        let digest = credential_digest(code);
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .take_if(|waiting| waiting.digest == digest || waiting.ends_at <= now_ms)
            .filter(|waiting| waiting.digest == digest && now_ms < waiting.ends_at)
            .map(|waiting| waiting.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_valid_once_and_not_for_long() {
        let codes = SignInCode::default();
        let first = codes.make([1; 32], 0).unwrap();
        assert_eq!(codes.take("another", 0), None);
        assert_eq!(codes.take(&first, VALID_MS - 1), Some([1; 32]));
        assert_eq!(codes.take(&first, 0), None, "it is used up");
        let late = codes.make([1; 32], 0).unwrap();
        assert_eq!(codes.take(&late, VALID_MS), None, "it has ended");
        let (replaced, newest) = (codes.make([1; 32], 0).unwrap(), codes.make([2; 32], 0).unwrap());
        assert_eq!(codes.take(&replaced, 1), None);
        assert_eq!(codes.take(&newest, 1), Some([2; 32]));
    }
}
