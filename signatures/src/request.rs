//! Requests and the results of verifying and signing them.

use crate::aws_url::AwsUrl;
use crate::jws::JwsError;
use crate::key_set::{KeyError, KeySet};
use http::{HeaderMap, HeaderName};

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
    /// The file that an earlier verification of the same request asked for.
    pub fetched: Option<Fetched<'r>>,
}

/// A file that the caller has fetched for a verification.
#[derive(Clone, Copy, Debug)]
pub enum Fetched<'r> {
    /// The certificate that [`VerifyError::CertificateMissing`] named, as PEM.
    Certificate(&'r [u8]),
    /// The keys that [`VerifyError::KeysMissing`] asked for.
    Keys(&'r KeySet),
}

/// The payload in a verified body, without the secret or the envelope of its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The bytes of the payload.
    pub body: Vec<u8>,
    /// Facts of the envelope, by name.
    pub context: Vec<(String, String)>,
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
    /// The sender's own delivery id, which the signature or the secret beside it proves.
    Delivery(String),
    /// The sender's own delivery id, which is not signed: everybody who has seen the request can repeat it with another
    /// one.
    UnsignedDelivery {
        /// The id.
        id: String,
        /// The signing time in milliseconds since the Unix epoch, if the scheme signs one.
        signed_at: Option<i64>,
    },
    /// The signing time in milliseconds since the Unix epoch.
    SignedAt(i64),
    /// Nothing but the body.
    Body,
}

impl Identity {
    /// Returns the sender's delivery id, signed or not.
    pub fn delivery_id(&self) -> Option<&str> {
        match self {
            Self::Delivery(id) | Self::UnsignedDelivery { id, .. } => Some(id),
            Self::SignedAt(_) | Self::Body => None,
        }
    }

    pub(crate) fn delivery(id: &[u8]) -> Self {
        Self::Delivery(String::from_utf8_lossy(id).into_owned())
    }
}

/// The reason why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyError {
    /// The signature or secret is missing, unreadable or wrong.
    Signature(SignatureError),
    /// The signature is right but older than allowed.
    Expired {
        /// The largest allowed age, in seconds.
        tolerance_s: i64,
        /// The age, in seconds.
        age_s: i64,
    },
    /// The signature is right but further in the future than allowed.
    Future {
        /// The largest allowed distance, in seconds.
        tolerance_s: i64,
        /// The distance, in seconds.
        ahead_s: i64,
    },
    /// Verification needs the certificate at this URL. The URL is safe to fetch.
    CertificateMissing(AwsUrl),
    /// Verification needs the keys at [`crate::Scheme::key_url`].
    KeysMissing,
}

/// The exact reason why a signature or secret is not accepted. It is for the operator: a sender who learns it can guess
/// better.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The request does not have a header.
    #[error("the header `{0}` is missing")]
    HeaderMissing(HeaderName),
    /// The request has a header more than once.
    #[error("the header `{0}` occurs more than once")]
    HeaderRepeated(HeaderName),
    /// The value of a header does not have the form that the scheme needs.
    #[error("the header `{0}` does not have the form of the scheme")]
    HeaderForm(HeaderName),
    /// The secret after the source's name is missing.
    #[error("the URL has no secret after the name of the source")]
    TokenMissing,
    /// The scheme has no secret after the source's name.
    #[error("the URL has a segment after the name of the source, and the scheme uses none")]
    TokenUnexpected,
    /// The body does not have the form that the scheme needs.
    #[error("the body does not have the form of the scheme")]
    BodyForm,
    /// The topic of Amazon SNS is not among those of the scheme.
    #[error("the topic is not one of the `topics` of the scheme")]
    TopicUnknown,
    /// A signature cannot be checked with its certificate.
    #[error("the certificate is not one of Amazon SNS for the region of the topic")]
    Certificate,
    /// The secret was replaced, and its time has passed.
    #[error("the sender uses a secret that was replaced and is no longer valid")]
    SecretExpired,
    /// The bearer token is not a signed JWT.
    #[error("the bearer token is not a JWT, such as header.claims.signature in base64url")]
    JwtForm,
    /// The JWT is signed with an algorithm that the scheme does not accept.
    #[error("the token is signed with `{0}`, which is not one of the scheme's `algorithms`")]
    JwtAlgorithm(String),
    /// A claim of the JWT is missing or has another value.
    #[error("the claim `{0}` of the token is missing, or is not what the scheme requires")]
    JwtClaim(String),
    /// The JWT is no longer valid.
    #[error("the token expired {ago_s} s ago: the sender uses an old token, or one of the clocks is wrong")]
    JwtExpired {
        /// The time since the end, in seconds.
        ago_s: i64,
    },
    /// The JWT is not valid yet.
    #[error("the token becomes valid in {ahead_s} s: the clock of the issuer or of this host is wrong")]
    JwtEarly {
        /// The time until the start, in seconds.
        ahead_s: i64,
    },
    /// No key of the issuer fits the JWT. Newer keys of the issuer may.
    #[error("no key of the issuer made the token's signature")]
    KeyUnknown,
    /// No secret of the source fits.
    #[error("the signature or secret is wrong: the sender uses another secret, or the body was changed on its way")]
    Wrong,
}

impl From<JwsError> for SignatureError {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::Form => Self::JwtForm,
            JwsError::Algorithm(name) => Self::JwtAlgorithm(name),
        }
    }
}

impl From<KeyError> for SignatureError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Wrong => Self::Wrong,
            KeyError::Unknown => Self::KeyUnknown,
        }
    }
}

impl From<SignatureError> for VerifyError {
    fn from(error: SignatureError) -> Self {
        Self::Signature(error)
    }
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
    #[error(
        "the scheme puts its secret into the body, which must be JSON of the sender's form, such as an object or, for \
         Microsoft Graph, {{\"value\": [{{…}}]}}"
    )]
    NotJson,
    /// The secret or the id cannot be written into a header.
    #[error("the secret or the id contains characters that a header cannot carry")]
    NoHeader,
}
