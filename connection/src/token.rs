//! A token that a server issued, and the rules for the answer that contains it.

use anyhow::{Context, Result, ensure};
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;
use std::fmt;
use std::time::{Duration, Instant};

/// Longer tokens are refused: servers do not accept such headers.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// The lifetime of a token if its server does not name one. A token that ends earlier is renewed when it is refused.
pub(crate) const LIFETIME: Duration = Duration::from_secs(5 * 60);
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// A token is renewed this long before its end, or after nine tenths of a short life.
const MARGIN_MAX: Duration = Duration::from_secs(60);

/// A token as a header of requests.
pub(crate) struct Token {
    pub name: HeaderName,
    pub value: HeaderValue,
    /// The text to redact.
    pub text: String,
    /// The time until which the token is used. A change of the clock does not change it.
    pub until: Instant,
}

impl Token {
    /// Creates a token that was issued now.
    ///
    /// # Errors
    /// Returns an error, without the token in its text, if the token cannot be sent.
    pub fn new(name: HeaderName, prefix: &str, text: String, lifetime: Duration) -> Result<Self> {
        ensure!(!text.is_empty(), "its token is empty");
        ensure!(text.len() <= TOKEN_BYTES_MAX, "its token is longer than {} KiB", TOKEN_BYTES_MAX >> 10);
        let value = HeaderValue::from_str(&format!("{prefix}{text}"));
        let mut value = value.ok().context("its token has characters that a header cannot carry")?;
        value.set_sensitive(true);
        let lifetime = lifetime.min(LIFETIME_MAX);
        let until = Instant::now() + lifetime.saturating_sub(MARGIN_MAX.min(lifetime / 10));
        Ok(Self { name, value, text, until })
    }
}

/// Shows no secret.
impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Token")
    }
}

/// Parses an answer, which is never shown because it may contain a token.
pub(crate) fn parse(document: &[u8]) -> Result<Value> {
    serde_json::from_slice(document).ok().context("its answer is not JSON")
}
