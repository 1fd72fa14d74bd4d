//! Secrets that must not appear in texts.

use std::fmt;

/// The replacement for a secret in a text.
const REDACTED: &str = "***";
/// The shortest secret that is redacted: shorter texts occur in any answer by chance.
const SECRET_BYTES_MIN: usize = 4;

/// The texts to redact, longest first: otherwise a secret that is part of another one would be replaced first, and the rest
/// of the longer secret would stay.
#[derive(Clone, Default, PartialEq)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Adds texts.
    pub fn extend(&mut self, texts: impl IntoIterator<Item = String>) {
        self.0.extend(texts.into_iter().filter(|text| text.len() >= SECRET_BYTES_MIN));
        self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    /// Replaces every secret in a text, such as a server's answer that repeats the request.
    pub fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED))
    }

    /// Returns the length of the longest secret.
    pub(crate) fn bytes_max(&self) -> usize {
        self.0.first().map_or(0, String::len)
    }
}

impl<const N: usize> From<[&str; N]> for Secrets {
    fn from(texts: [&str; N]) -> Self {
        let mut secrets = Self::default();
        secrets.extend(texts.map(str::to_owned));
        secrets
    }
}

/// Shows no secret.
impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Secrets")
    }
}
