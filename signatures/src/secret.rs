//! What host and sender both know. Nothing here shows it.

use crate::CannotSign;
use constant_time_eq::constant_time_eq_32;
use sha2::{Digest, Sha256};
use std::fmt;

/// A secret, and until when it is good.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    not_after_ms: Option<i64>,
}

impl Secret {
    /// A secret that is good until it is replaced.
    pub fn new(text: String) -> Self {
        Self { text, not_after_ms: None }
    }

    /// The same, good until this time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn until(self, not_after_ms: i64) -> Self {
        Self { not_after_ms: Some(not_after_ms), ..self }
    }

    /// The secret itself, for a place that keeps it well.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Until when it is good, in milliseconds since the Unix epoch.
    pub fn not_after_ms(&self) -> Option<i64> {
        self.not_after_ms
    }

    /// Whether it is good at a time.
    pub fn is_live(&self, now_ms: i64) -> bool {
        self.not_after_ms.is_none_or(|end| now_ms <= end)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// Secrets that a sender sends as they are, to be compared.
pub(crate) struct Shared {
    secrets: Vec<(Secret, [u8; 32])>,
}

impl Shared {
    pub fn of(secrets: &[Secret]) -> Self {
        let hashed = |secret: &Secret| (secret.clone(), hash(secret.text.as_bytes()));
        Self { secrets: secrets.iter().map(hashed).collect() }
    }

    /// Which live secret this is. Digests are compared, every one of them, so that the time taken tells neither a
    /// secret's length nor how much of it was right.
    pub fn find(&self, given: &[u8], now_ms: i64) -> Option<usize> {
        let given = hash(given);
        let mut found = None;
        for (index, (secret, hash)) in self.secrets.iter().enumerate() {
            if constant_time_eq_32(hash, &given) && secret.is_live(now_ms) && found.is_none() {
                found = Some(index);
            }
        }
        found
    }

    /// What a sender would use at a time.
    pub fn live(&self, now_ms: i64) -> Result<&str, CannotSign> {
        let mut live = self.secrets.iter().filter(|(secret, _)| secret.is_live(now_ms));
        live.next().map(|(secret, _)| secret.expose()).ok_or(CannotSign::Expired)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(|(secret, _)| secret.expose())
    }

    pub fn shortest(&self) -> Option<usize> {
        self.iter().map(str::len).min()
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
