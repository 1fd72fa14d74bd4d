//! Signs deliveries, as [Standard Webhooks](https://www.standardwebhooks.com) or with an HMAC in a configured header.

use anyhow::{Result, bail};
use hookmill_connection::header_name;
use hookmill_signatures::{Declaration, Scheme, Secret, StandardWebhooks};
use reqwest::header::{HeaderMap, HeaderName};

/// The signature of a destination's deliveries.
#[derive(Debug, Default)]
pub enum Signature {
    /// No signature.
    #[default]
    None,
    /// `webhook-signature`, with a signature for each secret, so that a receiver can use any of them.
    StandardWebhooks(Box<StandardWebhooks>),
    /// A keyed hash of the body, described by a signature scheme.
    Hash(Box<Scheme>),
}

impl Signature {
    /// Creates a signature of Standard Webhooks with these secrets.
    ///
    /// # Errors
    /// Returns an error, without secrets in its text, if a secret is invalid.
    pub fn standard_webhooks(secrets: &[String]) -> Result<Self> {
        Ok(Self::StandardWebhooks(Box::new(StandardWebhooks::new(secrets)?)))
    }

    /// Creates the signature of GitHub: `X-Hub-Signature-256`.
    ///
    /// # Errors
    /// Returns the errors of [`Signature::hash`].
    pub fn github(secrets: &[String]) -> Result<Self> {
        Self::declared(&Declaration::preset("github"), secrets)
    }

    /// Creates a keyed hash of the body in a header of this name, after a prefix.
    ///
    /// # Errors
    /// Returns an error if header, algorithm or encoding is invalid, or if there is not exactly one secret.
    pub fn hash(header: &str, algorithm: &str, encoding: &str, prefix: &str, secrets: &[String]) -> Result<Self> {
        let header = header_name(header, "header")?;
        let declaration = Declaration::preset("hmac")
            .with("signature_header", header.as_str())
            .with("algorithm", algorithm)
            .with("encoding", encoding)
            .with("item_prefix", prefix);
        Self::declared(&declaration, secrets)
    }

    fn declared(declaration: &Declaration, secrets: &[String]) -> Result<Self> {
        let [secret] = secrets else {
            bail!("a `{}` signature uses one secret; only `standard-webhooks` can use several", declaration.scheme);
        };
        if secret.is_empty() {
            bail!("the secret is empty");
        }
        let scheme = Scheme::declare(declaration, &[Secret::new(secret.clone())])?;
        let signature = Self::Hash(Box::new(scheme));
        // Signing once reveals errors when the configuration is loaded.
        signature.headers("", 0, b"")?;
        Ok(signature)
    }

    /// Returns the headers of the signature, which nothing else may set.
    pub fn header_names(&self) -> Vec<HeaderName> {
        self.headers("", 0, b"").map(|headers| headers.keys().cloned().collect()).unwrap_or_default()
    }

    /// Returns the signature headers of one message.
    pub(super) fn headers(&self, id: &str, now_ms: i64, body: &[u8]) -> Result<HeaderMap> {
        let timestamp_s = now_ms / 1000;
        Ok(match self {
            Self::None => StandardWebhooks::unsigned_headers(id, timestamp_s)?,
            Self::StandardWebhooks(keys) => keys.headers(id, timestamp_s, body)?,
            Self::Hash(scheme) => {
                let mut headers = scheme.sign(body, now_ms, id)?.headers;
                headers.extend(StandardWebhooks::unsigned_headers(id, timestamp_s)?);
                headers
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Signature;

    /// The examples of GitHub's documentation and of `openssl dgst -hmac`.
    #[test]
    fn hashes_of_the_body() {
        let secrets = ["It's a Secret to Everybody".to_owned()];
        let github = Signature::github(&secrets).unwrap().headers("id", 0, b"Hello, World!").unwrap();
        let expected = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(github["x-hub-signature-256"], format!("sha256={expected}"));
        let own = Signature::hash("X-Sum", "sha256", "hex", "v0=", &secrets).unwrap();
        assert_eq!(own.headers("id", 0, b"Hello, World!").unwrap()["x-sum"], format!("v0={expected}"));
        assert!(own.header_names().contains(&"x-sum".parse().unwrap()));
    }

    #[test]
    fn invalid_signatures_are_refused() {
        let secret = |count: usize| vec!["hunter2hunter2".to_owned(); count];
        for (wrong, word) in [
            (Signature::github(&secret(2)), "one secret"),
            (Signature::github(&secret(0)), "one secret"),
            (Signature::hash("x sum", "sha256", "hex", "", &secret(1)), "`header`"),
            (Signature::hash("webhook-id", "sha256", "hex", "", &secret(1)), "the host's own"),
            (Signature::hash("x-sum", "md5", "hex", "", &secret(1)), "sha256"),
            (Signature::hash("x-sum", "sha256", "hex", "\n", &secret(1)), "header"),
            (Signature::standard_webhooks(&secret(1)), "whsec_"),
        ] {
            let error = format!("{:#}", wrong.unwrap_err());
            assert!(error.contains(word) && !error.contains("hunter2"), "{error}");
        }
    }
}
