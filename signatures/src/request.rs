//! Requests and the results of verifying and signing them.

use crate::aws_url::AwsUrl;
use http::HeaderMap;

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
    /// The certificate that [`VerifyError::CertificateMissing`] named, as PEM.
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
    pub(crate) fn delivery(id: &[u8]) -> Self {
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
