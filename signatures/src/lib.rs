//! Signature schemes of webhooks: who sent a payload, and what a sender adds so that it is believed.
//!
//! A [`Scheme`] is declared once, by a name and a few keys ([`Declaration`]), with the [`Secret`]s of one source. From
//! then on it verifies a [`Request`] into a [`Proof`] or says why it is not believed ([`Distrust`]), and signs as the
//! sender would. Every vendor that signs with a keyed hash is a row of one table (`presets.rs`), written in the words
//! that a configuration uses for a scheme of its own.
//!
//! Nothing here opens a connection, a file or a clock: a request brings its time, and a certificate that has to be
//! fetched first is asked for ([`Distrust::CertificateMissing`]).
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
mod hmac_key;
mod hmac_rule;
mod hmac_scheme;
mod presets;
mod secret;
mod shared_secret;
mod sns;
pub mod timestamp;
pub mod value;

pub use declaration::{Declaration, Mistake, Words};
pub use presets::names;
pub use secret::Secret;
pub use sns::{AwsUrl, Subscription, is_certificate};

use graph::Graph;
use hmac_rule::HmacRule;
use hmac_scheme::HmacScheme;
use http::{HeaderMap, HeaderName};
use presets::{Family, Preset};
use secret::Shared;
use shared_secret::SharedSecret;
use sns::Sns;
use std::fmt;

/// What a sender posted.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// The bytes on the wire.
    pub body: &'r [u8],
    /// What its URL has after the source's name, decoded.
    pub token: Option<&'r str>,
    /// When it came, in milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// The certificate that [`Distrust::CertificateMissing`] asked for, as PEM.
    pub certificate: Option<&'r [u8]>,
}

/// What is known of a request that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// How a repeat of it is told.
    pub identity: Identity,
    /// Which of the scheme's secrets it knew, counted from 0; 0 where there is none.
    pub secret: usize,
}

/// What, beside source and body, tells a repeat from a new payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The sender's own id of the delivery.
    Delivery(String),
    /// The time of signing in milliseconds since the Unix epoch.
    SignedAt(i64),
    /// Nothing.
    Body,
}

impl Identity {
    fn delivery(id: &[u8]) -> Self {
        Self::Delivery(String::from_utf8_lossy(id).into_owned())
    }
}

/// Why a request is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// The signature or secret is missing, unreadable or wrong.
    Signature,
    /// The signature is right and older than this many seconds.
    Expired(i64),
    /// The signature is right and further in the future than this many seconds.
    Future(i64),
    /// It cannot be said without this certificate, which is at a place that may be asked.
    CertificateMissing(AwsUrl),
}

/// What a sender posts so that it is believed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Headers to add.
    pub headers: HeaderMap,
    /// What the URL has after the source's name, not yet encoded.
    pub token: Option<String>,
    /// The body; another than was given where the scheme lives in it.
    pub body: Vec<u8>,
}

/// Why nothing can be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotSign {
    /// The key that signs is the sender's alone.
    #[error("only the sender has the key that signs; the host can verify, not sign")]
    NoKey,
    /// Every secret has passed its `not_after`.
    #[error("every secret has expired")]
    Expired,
    /// The scheme puts its secret into a JSON body.
    #[error("this scheme puts its secret into the body, which has to be JSON: {{\"value\": [{{…}}]}}")]
    NotJson,
    /// The secret or the id cannot stand in a header.
    #[error("the secret or the id has characters that a header cannot carry")]
    NoHeader,
}

/// How one source's payloads are verified, with its secrets.
pub struct Scheme {
    preset: &'static Preset,
    rule: Rule,
}

enum Rule {
    None,
    Hmac(Box<HmacScheme>),
    Shared(SharedSecret),
    Sns(Sns),
    Graph(Graph),
}

impl Scheme {
    /// The scheme that checks nothing.
    pub fn none() -> Self {
        Self { preset: &presets::NONE, rule: Rule::None }
    }

    /// A scheme with a source's secrets.
    ///
    /// # Errors
    /// What cannot work, and what is allowed. No secret is ever in the text.
    pub fn declare(declaration: &Declaration, secrets: &[Secret]) -> Result<Self, Mistake> {
        let (preset, keys) = declaration.resolve()?;
        let keyless = matches!(preset.family, Family::None | Family::Sns);
        match (keyless, secrets.is_empty()) {
            (true, false) if preset.family == Family::None => {
                return Err(Mistake::new("`scheme: none` checks nothing; remove the secret or choose a scheme"));
            }
            (true, false) => {
                return Err(Mistake::new(format!("scheme `{}` has no secret of yours; remove it", preset.name)));
            }
            (false, true) => {
                return Err(Mistake::new(format!(
                    "scheme `{}` needs a `secret`; only `scheme: none` takes unsigned payloads",
                    preset.name
                )));
            }
            _ => {}
        }
        let rule = match preset.family {
            Family::None => Rule::None,
            Family::Hmac => Rule::Hmac(Box::new(HmacScheme::new(HmacRule::from_keys(&keys)?, secrets)?)),
            Family::Header | Family::Basic | Family::Bearer | Family::UrlToken => {
                Rule::Shared(SharedSecret::new(preset.family, &keys, secrets)?)
            }
            Family::Sns => Rule::Sns(Sns::from_keys(&keys)?),
            Family::Graph => Rule::Graph(Graph::new(Shared::of(secrets))),
        };
        Ok(Self { preset, rule })
    }

    /// Its name in a configuration.
    pub fn name(&self) -> &'static str {
        self.preset.name
    }

    /// Whether it is one vendor's own, rather than a scheme of this host or a custom one.
    pub fn is_vendors(&self) -> bool {
        self.preset.is_vendors
    }

    /// The bytes of the shortest secret, as far as they have to be guessed; none where there is no secret.
    pub fn shortest_secret(&self) -> Option<usize> {
        match &self.rule {
            Rule::None | Rule::Sns(_) => None,
            Rule::Hmac(scheme) => scheme.shortest_key(),
            Rule::Shared(scheme) => scheme.shortest_secret(),
            Rule::Graph(graph) => graph.secrets.shortest(),
        }
    }

    /// For how many seconds after it was signed a request is believed; none where that does not end.
    pub fn tolerance_s(&self) -> Option<i64> {
        match &self.rule {
            Rule::Hmac(scheme) => scheme.rule.is_timed().then_some(scheme.rule.tolerance_s),
            Rule::Sns(sns) => Some(sns.tolerance_s),
            Rule::None | Rule::Shared(_) | Rule::Graph(_) => None,
        }
    }

    /// Whether a header carries this scheme's secret or signature, so that it must not be kept.
    pub fn hides(&self, header: &HeaderName) -> bool {
        match &self.rule {
            Rule::None | Rule::Sns(_) | Rule::Graph(_) => false,
            Rule::Hmac(scheme) => scheme.rule.signature_headers().any(|name| name == header),
            Rule::Shared(scheme) => scheme.header() == Some(header),
        }
    }

    /// A verified body as it may be kept, where the scheme's secret stands in it.
    pub fn without_secrets(&self, body: &[u8]) -> Option<Vec<u8>> {
        match &self.rule {
            Rule::Graph(graph) => graph.without_secrets(body),
            _ => None,
        }
    }

    /// What is signed of a verified body, where that is not all of it: two bodies that differ in the rest are the same.
    pub fn signed_text(&self, body: &[u8]) -> Option<String> {
        match &self.rule {
            Rule::Sns(_) => sns::signed_text(body),
            _ => None,
        }
    }

    /// Checks who sent a request. The signature is checked before the age, so that only who holds the key learns of a
    /// wrong clock.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn verify(&self, request: &Request) -> Result<Proof, Distrust> {
        if request.token.is_some() && self.preset.family != Family::UrlToken {
            return Err(Distrust::Signature);
        }
        match &self.rule {
            Rule::None => Ok(Proof { identity: Identity::Body, secret: 0 }),
            Rule::Hmac(scheme) => scheme.verify(request),
            Rule::Shared(scheme) => scheme.verify(request),
            Rule::Sns(sns) => sns.verify(request),
            Rule::Graph(graph) => graph.verify(request),
        }
    }

    /// What a sender of this body posts at this time, where the host knows how.
    ///
    /// # Errors
    /// Why it cannot be signed here.
    pub fn sign(&self, body: &[u8], now_ms: i64, id: &str) -> Result<Signed, CannotSign> {
        let mut signed = Signed { headers: HeaderMap::new(), token: None, body: body.to_vec() };
        match &self.rule {
            Rule::None => {}
            Rule::Hmac(scheme) => scheme.sign(&mut signed, now_ms, id)?,
            Rule::Shared(scheme) => scheme.sign(&mut signed, now_ms, id)?,
            Rule::Sns(_) => return Err(CannotSign::NoKey),
            Rule::Graph(graph) => signed.body = graph.sign(body, now_ms)?,
        }
        Ok(signed)
    }

    /// The bare keyed hash of a text with one secret, in the scheme's encoding: what Zoom asks for to see that a
    /// receiver knows the secret.
    pub fn keyed_hash(&self, secret: usize, text: &[u8]) -> Option<String> {
        match &self.rule {
            Rule::Hmac(scheme) => scheme.keyed_hash(secret, text),
            _ => None,
        }
    }

    /// What a verified body of Amazon SNS asks to be confirmed, if it asks.
    pub fn subscription(&self, body: &[u8]) -> Option<Subscription> {
        match &self.rule {
            Rule::Sns(sns) => sns.subscription(body),
            _ => None,
        }
    }
}

impl fmt::Debug for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "Scheme({})", self.preset.name)
    }
}

/// The value of a header that may be there once; white space around it is not part of it.
fn at_most_one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, Distrust> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => Ok(Some(value.as_bytes().trim_ascii())),
        _ => Err(Distrust::Signature),
    }
}

/// The sender's id of a delivery; one that is empty is none.
fn delivery_id<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, Distrust> {
    Ok(at_most_one(headers, name)?.filter(|id| !id.is_empty()))
}
