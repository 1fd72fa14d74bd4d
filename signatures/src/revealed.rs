//! Recognition of secrets in texts that are not supposed to hold them, such as the headers that proxies add.

use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem::Finder;
use percent_encoding::percent_decode;
use std::borrow::Cow;

/// Proxies encode a URL that they put into another one once more.
const DECODINGS_MAX: usize = 3;

/// The secrets of one source, as they may appear in a text.
pub(crate) struct RevealedSecrets {
    finders: Vec<Finder<'static>>,
    shortest: usize,
}

impl RevealedSecrets {
    pub fn new(secrets: &[Secret]) -> Self {
        let forms = secrets.iter().flat_map(|secret| forms(secret.expose())).filter(|form| !form.is_empty());
        let finders: Vec<_> = forms.map(|form| Finder::new(form.as_bytes()).into_owned()).collect();
        let shortest = finders.iter().map(|finder| finder.needle().len()).min().unwrap_or(usize::MAX);
        Self { finders, shortest }
    }

    /// Returns whether a text contains one of the secrets, also percent-encoded. Most texts are shorter than a secret
    /// and need no search.
    pub fn are_in(&self, text: &[u8]) -> bool {
        if text.len() < self.shortest {
            return false;
        }
        let mut text = Cow::Borrowed(text);
        for _ in 0..DECODINGS_MAX {
            if self.finders.iter().any(|finder| finder.find(&text).is_some()) {
                return true;
            }
            if !text.contains(&b'%') {
                return false;
            }
            text = Cow::Owned(percent_decode(&text).collect());
        }
        self.finders.iter().any(|finder| finder.find(&text).is_some())
    }

    /// Replaces each secret in a text by asterisks.
    pub fn mask(&self, text: &mut [u8]) {
        for finder in &self.finders {
            let found: Vec<usize> = finder.find_iter(text).collect();
            found.into_iter().for_each(|start| text[start..start + finder.needle().len()].fill(b'*'));
        }
    }
}

/// Returns a secret as it is, the password of `user:password`, and the form that scheme `basic` sends.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    if let Some((_, password)) = secret.split_once(':') {
        forms.extend([password.to_owned(), STANDARD.encode(secret)]);
    }
    forms
}
