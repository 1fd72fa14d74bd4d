//! Signature schemes of webhooks: verifies who sent a request, and signs requests as a sender does.
//!
//! A [`Declaration`] names a scheme and the keys that differ from its preset. [`Scheme::declare`] joins it with the
//! [`Secret`]s of one source. [`Scheme::verify`] turns a [`Request`] into a [`Verification`] or a [`VerifyError`];
//! [`Scheme::sign`] returns the headers, token and body that the sender would send. [`StandardWebhooks`] signs with
//! several secrets at once.
//!
//! Vendors with an HMAC are rows of one table (`presets.rs`). The crate opens no connection and no file and reads no
//! clock: a request carries its time, and [`VerifyError::CertificateMissing`] asks the caller to fetch a certificate.
//!
//! ```
//! use hookmill_signatures::{Declaration, Request, Scheme, Secret};
//!
//! let secret = Secret::new("It's a Secret to Everybody".into());
//! let scheme = Scheme::declare(&Declaration::preset("github"), &[secret])?;
//! let signed = scheme.sign(b"Hello, World!", 0, "id-1")?;
//! let request = Request { headers: &signed.headers, body: &signed.body, token: None, now_ms: 0, certificate: None };
//! assert!(scheme.verify(&request).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod declaration;
mod graph;
mod hmac_format;
mod hmac_key;
mod hmac_scheme;
mod presets;
mod secret;
mod shared_secret;
pub mod signature_items;
mod sns;
mod standard_webhooks;
pub mod timestamp;

pub use declaration::{Declaration, DeclarationError, OneOrMany};
pub use presets::scheme_names;
pub use secret::Secret;
pub use sns::{AwsUrl, Subscription, is_certificate};
pub use standard_webhooks::StandardWebhooks;

use graph::Graph;
use hmac_format::HmacFormat;
use hmac_scheme::HmacScheme;
use http::{HeaderMap, HeaderName, HeaderValue};
use presets::{Family, Preset};
use secret::SharedSecrets;
use shared_secret::SharedSecretScheme;
use sns::Sns;
use std::fmt;

/// A request as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The headers.
    pub headers: &'r HeaderMap,
    /// The body, as received on the wire.
    pub body: &'r [u8],
    /// The decoded path segment after the source's name.
    pub token: Option<&'r str>,
    /// The time of arrival in milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// The certificate that [`VerifyError::CertificateMissing`] asked for, as PEM.
    pub certificate: Option<&'r [u8]>,
}

/// The result of a successful verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The property by which a repeat of the request is recognised.
    pub identity: Identity,
    /// The index of the scheme's secret that the sender used; 0 for a scheme without secrets.
    pub secret: usize,
}

/// The property that, besides source and body, distinguishes a repeat from a new payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The sender's own delivery id.
    Delivery(String),
    /// The signing time in milliseconds since the Unix epoch.
    SignedAt(i64),
    /// Nothing but the body.
    Body,
}

impl Identity {
    fn delivery(id: &[u8]) -> Self {
        Self::Delivery(String::from_utf8_lossy(id).into_owned())
    }
}

/// The reason why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyError {
    /// The signature or secret is missing, unreadable or wrong.
    Signature,
    /// The signature is right but older than this many seconds.
    Expired(i64),
    /// The signature is right but more than this many seconds in the future.
    Future(i64),
    /// Verification needs the certificate at this URL. The URL is safe to fetch.
    CertificateMissing(AwsUrl),
}

/// A request as the sender would send it.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The headers that the scheme adds.
    pub headers: HeaderMap,
    /// The path segment after the source's name, not yet encoded.
    pub token: Option<String>,
    /// The body. It differs from the given one if the scheme puts its secret into the body.
    pub body: Vec<u8>,
}

/// The reason why a body cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The host has only the public half of the key.
    #[error("only the sender has the signing key; the host can verify but not sign")]
    NoKey,
    /// Every secret has passed its `not_after`.
    #[error("every secret has expired")]
    Expired,
    /// The scheme puts its secret into a JSON body, and the body is not JSON of that form.
    #[error("the scheme puts its secret into the body, which must be JSON: {{\"value\": [{{…}}]}}")]
    NotJson,
    /// The secret or the id cannot be written into a header.
    #[error("the secret or the id contains characters that a header cannot carry")]
    NoHeader,
}

/// A signature scheme with the secrets of one source.
pub struct Scheme {
    preset: &'static Preset,
    kind: Kind,
}

enum Kind {
    None,
    Hmac(Box<HmacScheme>),
    Shared(SharedSecretScheme),
    Sns(Sns),
    Graph(Graph),
}

impl Scheme {
    /// Returns the scheme `none`, which checks nothing.
    pub fn none() -> Self {
        Self { preset: &presets::NONE, kind: Kind::None }
    }

    /// Makes a scheme from its declaration and the secrets of a source.
    ///
    /// # Errors
    /// Returns an error if the declaration cannot work or does not fit the secrets. The text says what is allowed and
    /// never contains a secret.
    pub fn declare(declaration: &Declaration, secrets: &[Secret]) -> Result<Self, DeclarationError> {
        let (preset, keys) = declaration.resolve()?;
        let keyless = matches!(preset.family, Family::None | Family::Sns);
        match (keyless, secrets.is_empty()) {
            (true, false) if preset.family == Family::None => {
                return Err(DeclarationError::new(
                    "`scheme: none` checks nothing; remove the secret or choose a scheme",
                ));
            }
            (true, false) => {
                return Err(DeclarationError::new(format!("scheme `{}` uses no secret; remove it", preset.name)));
            }
            (false, true) => {
                return Err(DeclarationError::new(format!(
                    "scheme `{}` needs a `secret`; only `scheme: none` accepts unsigned payloads",
                    preset.name
                )));
            }
            _ => {}
        }
        let kind = match preset.family {
            Family::None => Kind::None,
            Family::Hmac => Kind::Hmac(Box::new(HmacScheme::new(HmacFormat::from_keys(&keys)?, secrets)?)),
            Family::Header | Family::Basic | Family::Bearer | Family::UrlToken => {
                Kind::Shared(SharedSecretScheme::new(preset.family, &keys, secrets)?)
            }
            Family::Sns => Kind::Sns(Sns::from_keys(&keys)?),
            Family::Graph => Kind::Graph(Graph::new(SharedSecrets::new(secrets))),
        };
        Ok(Self { preset, kind })
    }

    /// Returns the scheme's name in a configuration.
    pub fn name(&self) -> &'static str {
        self.preset.name
    }

    /// Returns whether the scheme belongs to one vendor, rather than to Hookmill or a custom sender.
    pub fn is_vendor_preset(&self) -> bool {
        self.preset.is_vendor_preset
    }

    /// Returns the number of bytes of the shortest secret that an attacker has to guess; `None` without a secret.
    pub fn shortest_secret_bytes(&self) -> Option<usize> {
        match &self.kind {
            Kind::None | Kind::Sns(_) => None,
            Kind::Hmac(scheme) => scheme.shortest_key_bytes(),
            Kind::Shared(scheme) => scheme.shortest_secret_bytes(),
            Kind::Graph(graph) => graph.secrets.shortest_bytes(),
        }
    }

    /// Returns how many seconds after signing a request is accepted; `None` if the scheme signs no time.
    pub fn tolerance_s(&self) -> Option<i64> {
        match &self.kind {
            Kind::Hmac(scheme) => scheme.format.is_timed().then_some(scheme.format.tolerance_s),
            Kind::Sns(sns) => Some(sns.tolerance_s),
            Kind::None | Kind::Shared(_) | Kind::Graph(_) => None,
        }
    }

    /// Returns whether a header carries the scheme's secret or signature, so that it must not be stored.
    pub fn is_secret_header(&self, header: &HeaderName) -> bool {
        match &self.kind {
            Kind::None | Kind::Sns(_) | Kind::Graph(_) => false,
            Kind::Hmac(scheme) => scheme.format.signature_headers().any(|name| name == header),
            Kind::Shared(scheme) => scheme.header() == Some(header),
        }
    }

    /// Returns a verified body without the scheme's secret; `None` if the scheme puts no secret into the body.
    pub fn without_secrets(&self, body: &[u8]) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::Graph(graph) => graph.without_secrets(body),
            _ => None,
        }
    }

    /// Returns the signed content of a verified body; `None` if all of the body is signed. Bodies with the same signed
    /// content are repeats of each other, whatever the rest contains.
    pub fn signed_text(&self, body: &[u8]) -> Option<String> {
        match &self.kind {
            Kind::Sns(_) => sns::signed_text(body),
            _ => None,
        }
    }

    /// Verifies who sent a request. The signature is checked before the age, so that only a holder of the key learns
    /// about a wrong clock.
    ///
    /// # Errors
    /// Returns an error if the request is refused, or a certificate has to be fetched first.
    pub fn verify(&self, request: &Request) -> Result<Verification, VerifyError> {
        if request.token.is_some() && self.preset.family != Family::UrlToken {
            return Err(VerifyError::Signature);
        }
        match &self.kind {
            Kind::None => Ok(Verification { identity: Identity::Body, secret: 0 }),
            Kind::Hmac(scheme) => scheme.verify(request),
            Kind::Shared(scheme) => scheme.verify(request),
            Kind::Sns(sns) => sns.verify(request),
            Kind::Graph(graph) => graph.verify(request),
        }
    }

    /// Signs a body as its sender would at this time, with the first live secret. `id` is the delivery id, which
    /// schemes without one ignore.
    ///
    /// # Errors
    /// Returns an error if only the sender can sign, or the secret, id or body does not fit the scheme.
    pub fn sign(&self, body: &[u8], now_ms: i64, id: &str) -> Result<Signed, SignError> {
        let mut signed = Signed { headers: HeaderMap::new(), token: None, body: body.to_vec() };
        match &self.kind {
            Kind::None => {}
            Kind::Hmac(scheme) => scheme.sign(&mut signed, now_ms, id)?,
            Kind::Shared(scheme) => scheme.sign(&mut signed, now_ms, id)?,
            Kind::Sns(_) => return Err(SignError::NoKey),
            Kind::Graph(graph) => signed.body = graph.sign(body, now_ms)?,
        }
        Ok(signed)
    }

    /// Returns the HMAC of a text with the secret at this index, in the scheme's encoding. Zoom asks for it to check
    /// that the receiver has the secret.
    pub fn hmac(&self, secret: usize, text: &[u8]) -> Option<String> {
        match &self.kind {
            Kind::Hmac(scheme) => scheme.hmac(secret, text),
            _ => None,
        }
    }

    /// Returns the subscription that a verified body of Amazon SNS asks to confirm.
    pub fn subscription(&self, body: &[u8]) -> Option<Subscription> {
        match &self.kind {
            Kind::Sns(sns) => sns.subscription(body),
            _ => None,
        }
    }
}

impl fmt::Debug for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "Scheme({})", self.preset.name)
    }
}

/// Returns the trimmed value of a header, which may occur once at most.
fn at_most_one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, VerifyError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => Ok(Some(value.as_bytes().trim_ascii())),
        _ => Err(VerifyError::Signature),
    }
}

/// Returns the sender's delivery id. An empty id counts as missing.
fn delivery_id<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, VerifyError> {
    Ok(at_most_one(headers, name)?.filter(|id| !id.is_empty()))
}

fn header_value(text: &str) -> Result<HeaderValue, SignError> {
    HeaderValue::from_str(text).map_err(|_| SignError::NoHeader)
}
