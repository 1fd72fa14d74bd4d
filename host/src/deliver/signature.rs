//! Signs what is delivered, as [Standard Webhooks](https://www.standardwebhooks.com) say or in a header of its own.

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use hookmill_connection::header_name;
use hookmill_signatures::{Declaration, Scheme, Secret};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "whsec_";
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// How a destination's deliveries are signed.
#[derive(Debug, Default)]
pub enum Signature {
    /// Not at all.
    #[default]
    None,
    /// `webhook-signature`, with a signature of each secret: a receiver takes whichever it knows.
    StandardWebhooks(Vec<SigningSecret>),
    /// A keyed hash of the body, as a source's scheme describes it.
    Hash(Box<Scheme>),
}

impl Signature {
    /// Standard Webhooks with these secrets.
    ///
    /// # Errors
    /// When one is none of theirs. No secret is in the text.
    pub fn standard_webhooks(secrets: &[String]) -> Result<Self> {
        let secrets = secrets.iter().map(|secret| secret.parse().map_err(|problem: String| anyhow!(problem)));
        Ok(Self::StandardWebhooks(secrets.collect::<Result<_>>()?))
    }

    /// As GitHub signs: `X-Hub-Signature-256`.
    ///
    /// # Errors
    /// As [`Signature::hash`].
    pub fn github(secrets: &[String]) -> Result<Self> {
        Self::declared(&Declaration::preset("github"), secrets)
    }

    /// A keyed hash of the body in a header of this name, after a prefix.
    ///
    /// # Errors
    /// When there is no such header, algorithm or encoding, or not one secret.
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
            bail!(
                "a `{}` signature is made with one secret; only `standard-webhooks` has room for more",
                declaration.scheme
            );
        };
        if secret.is_empty() {
            bail!("the secret is empty");
        }
        let scheme = Scheme::declare(declaration, &[Secret::new(secret.clone())])?;
        let signature = Self::Hash(Box::new(scheme));
        // What cannot be signed is to be known now.
        signature.headers("", 0, b"")?;
        Ok(signature)
    }

    /// The headers that it sets, which are nobody else's to set.
    pub fn header_names(&self) -> Vec<HeaderName> {
        self.headers("", 0, b"").map(|headers| headers.keys().cloned().collect()).unwrap_or_default()
    }

    /// The headers of one message.
    pub(super) fn headers(&self, id: &str, now_ms: i64, body: &[u8]) -> Result<HeaderMap> {
        let mut headers = match self {
            Self::Hash(scheme) => scheme.sign(body, now_ms, id)?.headers,
            Self::None | Self::StandardWebhooks(_) => HeaderMap::with_capacity(4),
        };
        let timestamp_s = now_ms / 1000;
        headers.insert("webhook-id", id.parse().context("its id")?);
        headers.insert("webhook-timestamp", timestamp_s.into());
        if let Self::StandardWebhooks(secrets) = self {
            let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(id, timestamp_s, body)).collect();
            headers.insert("webhook-signature", HeaderValue::from_str(&signatures.join(" "))?);
        }
        Ok(headers)
    }
}

/// A key of a destination.
#[derive(Clone)]
pub struct SigningSecret(Hmac<Sha256>);

impl SigningSecret {
    /// The `webhook-signature` of a message.
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl FromStr for SigningSecret {
    type Err = String;

    /// `whsec_` and the key in base64. The text itself is never in the error.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let help = "write `whsec_` and 24 to 64 random bytes in base64: `echo whsec_$(openssl rand -base64 32)`";
        let encoded =
            text.strip_prefix(PREFIX).ok_or_else(|| format!("the secret does not begin with whsec_; {help}"))?;
        let key = STANDARD.decode(encoded).map_err(|_| format!("the secret is not base64 after whsec_; {help}"))?;
        if !KEY_BYTES.contains(&key.len()) {
            return Err(format!("the secret has {} bytes; {help}", key.len()));
        }
        Hmac::new_from_slice(&key).map(Self).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("SigningSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::{Signature, SigningSecret};

    /// That of GitHub's documentation, and those that `openssl dgst -hmac` prints.
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
    fn what_cannot_sign_is_refused() {
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

    /// The vectors of the Standard Webhooks and Svix libraries.
    #[test]
    fn published_vectors() {
        let vectors = [
            (
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
            (
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ];
        for (secret, id, timestamp, body, expected) in vectors {
            let secret: SigningSecret = secret.parse().unwrap();
            assert_eq!(secret.sign(id, timestamp, body.as_bytes()), expected);
        }
    }

    #[test]
    fn unusable_secrets_are_refused_without_being_shown() {
        for text in ["", "hunter2hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%"] {
            let error = text.parse::<SigningSecret>().unwrap_err();
            assert!(error.contains("openssl rand") && !error.contains("hunter2"), "{error}");
        }
    }
}
