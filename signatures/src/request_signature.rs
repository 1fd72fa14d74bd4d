//! Signs requests of the host itself, for servers that want a signature in each request:
//!
//! | key | meaning |
//! |---|---|
//! | `secret` | the key, or a part of the hashed text |
//! | `algorithm` | `hmac-sha256` (default), `hmac-sha1`, `hmac-sha512`; `sha256` or `sha512` of a text with `{secret}` |
//! | `encoding`, `key_encoding` | as in the schemes with an HMAC |
//! | `template` | the signed text: `{method}`, `{path}`, `{query}`, `{target}` (path and query), `{timestamp}`, `{nonce}`, `{body}`, `{secret}` and any text between |
//! | `signature_header`, `item_prefix` | the header of the signature, and the text before it |
//! | `timestamp_header`, `timestamp_unit` | the header of the time: `s` (default), `ms`, `rfc3339` or `compact` |
//! | `nonce_header` | the header of 64 random characters |

use crate::declaration::DeclarationError;
use crate::headers::header_value;
use crate::hmac_format::Encoding;
use crate::request::SignError;
use crate::secret::Secret;
use crate::template::{Segment, parse};
use crate::timestamp::Unit;
use http::{HeaderName, HeaderValue};
use ring::{digest, hmac};
use std::collections::BTreeMap;

/// The values that a template may name.
const VALUES: &[(&str, SignedValue)] = &[
    ("method", SignedValue::Method),
    ("path", SignedValue::Path),
    ("query", SignedValue::Query),
    ("target", SignedValue::Target),
    ("timestamp", SignedValue::Timestamp),
    ("nonce", SignedValue::Nonce),
    ("body", SignedValue::Body),
    ("secret", SignedValue::Secret),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignedValue {
    Method,
    Path,
    Query,
    Target,
    Timestamp,
    Nonce,
    Body,
    Secret,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    HmacSha256,
    HmacSha1,
    HmacSha512,
    Sha256,
    Sha512,
}

/// The way in which requests are signed, with the secret.
#[derive(PartialEq)]
pub struct RequestSignature {
    algorithm: Algorithm,
    encoding: Encoding,
    secret: Secret,
    key: Vec<u8>,
    template: Vec<Segment<SignedValue>>,
    signature_header: HeaderName,
    prefix: String,
    timestamp_header: Option<HeaderName>,
    unit: Unit,
    nonce_header: Option<HeaderName>,
}

/// The parts of a request that can be signed.
#[derive(Clone, Copy, Debug)]
pub struct UnsignedRequest<'r> {
    /// The method.
    pub method: &'r str,
    /// The path, as it is sent.
    pub path: &'r str,
    /// The query, as it is sent, without the question mark.
    pub query: Option<&'r str>,
    /// The body.
    pub body: &'r [u8],
}

impl RequestSignature {
    /// Takes the keys of a signature out of a declaration.
    ///
    /// # Errors
    /// Returns an error, without the secret in its text, if a key is missing or wrong.
    pub fn declare(keys: &mut BTreeMap<String, String>) -> Result<Self, DeclarationError> {
        let missing =
            |key: &str, example: &str| DeclarationError::new(format!("a signature needs a `{key}`, such as {example}"));
        let secret = keys.remove("secret").filter(|secret| !secret.is_empty());
        let secret = Secret::new(secret.ok_or_else(|| DeclarationError::new("a signature needs a `secret`"))?);
        let template = keys.remove("template").ok_or_else(|| missing("template", "\"{target}\\n{timestamp}\""))?;
        let algorithms = [
            ("hmac-sha256", Algorithm::HmacSha256),
            ("hmac-sha1", Algorithm::HmacSha1),
            ("hmac-sha512", Algorithm::HmacSha512),
            ("sha256", Algorithm::Sha256),
            ("sha512", Algorithm::Sha512),
        ];
        let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
        let key_encodings = [("utf8", Encoding::Utf8), ("base64", Encoding::Base64), ("hex", Encoding::Hex)];
        let units =
            [("s", Unit::Seconds), ("ms", Unit::Milliseconds), ("rfc3339", Unit::Rfc3339), ("compact", Unit::Compact)];
        let signature = Self {
            algorithm: choice(keys, "algorithm", &algorithms)?,
            encoding: choice(keys, "encoding", &encodings)?,
            key: choice(keys, "key_encoding", &key_encodings)?.key(secret.expose())?,
            secret,
            template: parse("template", &template, VALUES)?,
            signature_header: header(keys, "signature_header")?
                .ok_or_else(|| missing("signature_header", "X-Signature"))?,
            prefix: keys.remove("item_prefix").unwrap_or_default(),
            timestamp_header: header(keys, "timestamp_header")?,
            unit: choice(keys, "timestamp_unit", &units)?,
            nonce_header: header(keys, "nonce_header")?,
        };
        signature.refuse_contradictions()?;
        Ok(signature)
    }

    fn refuse_contradictions(&self) -> Result<(), DeclarationError> {
        let has = |value| self.template.contains(&Segment::Value(value));
        let is_hash = matches!(self.algorithm, Algorithm::Sha256 | Algorithm::Sha512);
        let problem = match () {
            () if is_hash && !has(SignedValue::Secret) => {
                "`template` must contain {secret}: a hash without a secret proves nothing"
            }
            () if !is_hash && has(SignedValue::Secret) => {
                "`template` contains {secret}, which is the key of an HMAC; remove it"
            }
            () if has(SignedValue::Timestamp) != self.timestamp_header.is_some() => {
                "{timestamp} in `template` and `timestamp_header` belong together; set both or none"
            }
            () if has(SignedValue::Nonce) != self.nonce_header.is_some() => {
                "{nonce} in `template` and `nonce_header` belong together; set both or none"
            }
            () => return Ok(()),
        };
        Err(DeclarationError::new(problem))
    }

    /// Returns the secret, which answers may repeat.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Returns the names of the headers of a signature.
    pub fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        [Some(&self.signature_header), self.timestamp_header.as_ref(), self.nonce_header.as_ref()].into_iter().flatten()
    }

    /// Returns the headers of the signature of a request. `random` is used only once.
    ///
    /// # Errors
    /// Returns an error if a header cannot carry its value.
    pub fn headers(
        &self,
        request: UnsignedRequest,
        now_ms: i64,
        random: &[u8; 32],
    ) -> Result<Vec<(HeaderName, HeaderValue)>, SignError> {
        let (timestamp, nonce) = (self.unit.format(now_ms), hex::encode(random));
        let query = request.query.unwrap_or_default();
        let target = request.query.map_or_else(|| request.path.to_owned(), |query| format!("{}?{query}", request.path));
        let mut content = Vec::new();
        for segment in &self.template {
            content.extend_from_slice(match segment {
                Segment::Text(text) => text.as_bytes(),
                Segment::Value(SignedValue::Method) => request.method.as_bytes(),
                Segment::Value(SignedValue::Path) => request.path.as_bytes(),
                Segment::Value(SignedValue::Query) => query.as_bytes(),
                Segment::Value(SignedValue::Target) => target.as_bytes(),
                Segment::Value(SignedValue::Timestamp) => timestamp.as_bytes(),
                Segment::Value(SignedValue::Nonce) => nonce.as_bytes(),
                Segment::Value(SignedValue::Body) => request.body,
                Segment::Value(SignedValue::Secret) => &self.key,
            });
        }
        let signature = format!("{}{}", self.prefix, self.encoding.encode(&self.hash(&content)));
        let headers = [
            (Some(&self.signature_header), signature),
            (self.timestamp_header.as_ref(), timestamp),
            (self.nonce_header.as_ref(), nonce),
        ];
        let headers = headers.into_iter().filter_map(|(name, text)| Some((name?.clone(), text)));
        headers.map(|(name, text)| Ok((name, header_value(&text)?))).collect()
    }

    fn hash(&self, content: &[u8]) -> Vec<u8> {
        let mac = |algorithm| hmac::sign(&hmac::Key::new(algorithm, &self.key), content).as_ref().to_vec();
        let digest = |algorithm| digest::digest(algorithm, content).as_ref().to_vec();
        match self.algorithm {
            Algorithm::HmacSha256 => mac(hmac::HMAC_SHA256),
            Algorithm::HmacSha1 => mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Algorithm::HmacSha512 => mac(hmac::HMAC_SHA512),
            Algorithm::Sha256 => digest(&digest::SHA256),
            Algorithm::Sha512 => digest(&digest::SHA512),
        }
    }
}

/// Takes a key whose first choice is the default.
fn choice<T: Copy>(
    keys: &mut BTreeMap<String, String>,
    key: &str,
    choices: &[(&str, T)],
) -> Result<T, DeclarationError> {
    let text = keys.remove(key);
    let found = choices.iter().find(|(name, _)| text.as_deref().is_none_or(|text| text == *name));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let text = text.unwrap_or_default();
        DeclarationError::new(format!("`{key}`: `{text}` is not one of: {}", names.join(", ")))
    })
}

fn header(keys: &mut BTreeMap<String, String>, key: &str) -> Result<Option<HeaderName>, DeclarationError> {
    let parsed = keys.remove(key).map(|text| {
        let name = text.parse::<HeaderName>();
        name.map_err(|_| {
            DeclarationError::new(format!("`{key}`: `{text}` is not a header name; expected one such as X-Signature"))
        })
    });
    parsed.transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(keys: &[(&str, &str)]) -> Result<RequestSignature, DeclarationError> {
        RequestSignature::declare(&mut keys.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect())
    }

    /// The values are those of `openssl dgst -sha1 -hmac` and `openssl dgst -sha256`.
    #[test]
    fn requests_are_signed() {
        let request = UnsignedRequest { method: "GET", path: "/modelbreaches", query: Some("starttime=1"), body: b"" };
        let darktrace = declared(&[
            ("secret", "a private token"),
            ("algorithm", "hmac-sha1"),
            ("template", "{target}\npublic\n{timestamp}"),
            ("signature_header", "DTAPI-Signature"),
            ("timestamp_header", "DTAPI-Date"),
            ("timestamp_unit", "compact"),
        ]);
        let headers = darktrace.unwrap().headers(request, 1_700_000_000_123, &[0; 32]).unwrap();
        let texts: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let expected = "9d9c68689ad20f83c0e6c7c813ee8d7d34a3f66f";
        assert_eq!(texts, [("dtapi-signature", expected), ("dtapi-date", "20231114T221320")]);

        let cortex = declared(&[
            ("secret", "a key"),
            ("algorithm", "sha256"),
            ("template", "{secret}{nonce}{timestamp}"),
            ("signature_header", "Authorization"),
            ("timestamp_header", "x-xdr-timestamp"),
            ("timestamp_unit", "ms"),
            ("nonce_header", "x-xdr-nonce"),
        ]);
        let headers = cortex.unwrap().headers(request, 1_700_000_000_123, &[0xab; 32]).unwrap();
        let texts: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let nonce = "ab".repeat(32);
        let signature = "b01828feb12394fc48547565542ffe26a534086e1cc7ca45bfd22e9508450c9e";
        assert_eq!(
            texts,
            [("authorization", signature), ("x-xdr-timestamp", "1700000000123"), ("x-xdr-nonce", &nonce)]
        );
    }

    #[test]
    fn signatures_that_cannot_work_are_refused() {
        let (secret, header) = (("secret", "hunter2"), ("signature_header", "X-Signature"));
        for (keys, expected) in [
            (&[header][..], "`secret`"),
            (&[secret, ("template", "{body}")], "`signature_header`"),
            (&[secret, header], "`template`"),
            (&[secret, header, ("template", "{host}")], "{host}` is not one of: {method}, {path}"),
            (&[secret, header, ("template", "{timestamp}.{body")], "{body` is not one of: {method}"),
            (&[secret, header, ("template", "{{body}}")], "{{body}` is not one of: {method}"),
            (&[secret, header, ("template", "{body}"), ("algorithm", "sha256")], "must contain {secret}"),
            (&[secret, header, ("template", "{body}{secret}")], "the key of an HMAC"),
            (&[secret, header, ("template", "{timestamp}")], "`timestamp_header`"),
            (&[secret, header, ("template", "{body}"), ("nonce_header", "x-nonce")], "{nonce}"),
            (&[secret, header, ("template", "{body}"), ("algorithm", "md5")], "hmac-sha256, hmac-sha1"),
            (&[secret, header, ("template", "{body}"), ("timestamp_header", "x y")], "not a header name"),
        ] {
            let error = declared(keys).err().unwrap().to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
    }
}
