//! Secrets that host and sender share. No `Debug` output contains one.

use crate::request::{SignError, SignatureError};
use constant_time_eq::constant_time_eq_32;
use sha2::{Digest, Sha256};
use std::fmt;

/// A secret, and the time until which it is valid.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    not_after_ms: Option<i64>,
}

impl Secret {
    /// Makes a secret that does not expire. Line ends after the secret do not belong to it: files and the output of
    /// commands end with one, and no sender signs with it.
    pub fn new(mut text: String) -> Self {
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        Self { text, not_after_ms: None }
    }

    /// Limits the secret's validity to this time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn until(self, not_after_ms: i64) -> Self {
        Self { not_after_ms: Some(not_after_ms), ..self }
    }

    /// Returns the secret itself, for code that stores it safely.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the last moment at which the secret is valid, in milliseconds since the Unix epoch.
    pub fn not_after_ms(&self) -> Option<i64> {
        self.not_after_ms
    }

    /// Returns whether the secret is valid at a time.
    pub fn is_live(&self, now_ms: i64) -> bool {
        self.not_after_ms.is_none_or(|end| now_ms <= end)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// Secrets that the sender sends unchanged, so that they are compared.
pub(crate) struct SharedSecrets {
    secrets: Vec<(Secret, [u8; 32])>,
}

impl SharedSecrets {
    pub fn new(secrets: &[Secret]) -> Self {
        let hashed = |secret: &Secret| (secret.clone(), hash(secret.text.as_bytes()));
        Self { secrets: secrets.iter().map(hashed).collect() }
    }

    /// Returns the index of the live secret that equals the given text. All digests are compared, so that the time of
    /// the comparison reveals neither the length of a secret nor the length of a matching prefix.
    pub fn find(&self, given: &[u8], now_ms: i64) -> Result<usize, SignatureError> {
        let given = hash(given);
        let mut found = Err(SignatureError::Wrong);
        for (index, (secret, hash)) in self.secrets.iter().enumerate() {
            if constant_time_eq_32(hash, &given) && found.is_err() {
                found = if secret.is_live(now_ms) { Ok(index) } else { Err(SignatureError::SecretExpired) };
            }
        }
        found
    }

    /// Returns the first secret that is valid at a time.
    pub fn live(&self, now_ms: i64) -> Result<&str, SignError> {
        let mut live = self.secrets.iter().filter(|(secret, _)| secret.is_live(now_ms));
        live.next().map(|(secret, _)| secret.expose()).ok_or(SignError::Expired)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(|(secret, _)| secret.expose())
    }

    pub fn shortest_bytes(&self) -> Option<usize> {
        self.iter().map(str::len).min()
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
