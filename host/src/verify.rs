//! Checks who sent a payload: the only way from [`Unverified`] to [`Verified`].
//!
//! The schemes are in the crate `hookmill-signatures`. This module unpacks compressed bodies, and leaves out of the event
//! every header and query parameter that may hold a secret.

mod unpack;

use crate::aws::{Aws, CertificateUnavailable};
use crate::source::Source;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use hookmill_incident::{DELIVERY_ID, Event, NamedValue, RepeatKey};
use hookmill_signatures::{Identity, Request, Scheme, Verification, VerifyError};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

/// A payload of a known source, as received and not verified yet.
pub struct Unverified {
    /// The id that the event will have.
    pub id: Uuid,
    /// When the payload came, in milliseconds since the Unix epoch.
    pub received_at: i64,
    /// The source that the URL names.
    pub source: Arc<Source>,
    /// The headers.
    pub headers: HeaderMap,
    /// The part of the URL after the source's name, which may be a secret.
    pub token: Option<String>,
    /// The query of the URL.
    pub query: Option<String>,
    /// The body as it came over the wire.
    pub body: Bytes,
}

/// Why a payload is refused before it is an event.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The signature is missing or wrong.
    #[error("Webhook signature verification failed")]
    Signature,
    /// The signature is too old.
    #[error("Webhook timestamp is too old (>{})", length(*.tolerance_s))]
    Expired {
        /// How old it may be, in seconds.
        tolerance_s: i64,
    },
    /// The signature is from the future.
    #[error("Webhook timestamp is in the future (>{})", length(*.tolerance_s))]
    Future {
        /// How far ahead it may be, in seconds.
        tolerance_s: i64,
    },
    /// The certificate that the payload was signed with could not be fetched.
    #[error(transparent)]
    CertificateUnavailable(#[from] CertificateUnavailable),
    /// The body is larger than allowed after it was unpacked.
    #[error("the payload is larger than {bytes_max} bytes")]
    TooLarge {
        /// The largest body that is taken, in bytes.
        bytes_max: usize,
    },
    /// The body is not encoded as its headers say.
    #[error("{0}")]
    Undecodable(String),
    /// The host failed. The cause goes to the log.
    #[error("something failed inside; the log says what")]
    Internal(anyhow::Error),
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Signature => Self::Signature,
            VerifyError::Expired(tolerance_s) => Self::Expired { tolerance_s },
            VerifyError::Future(tolerance_s) => Self::Future { tolerance_s },
            VerifyError::CertificateMissing(_) => Self::CertificateUnavailable(CertificateUnavailable),
        }
    }
}

/// Returns a length of time in words.
fn length(seconds: i64) -> String {
    if seconds % 60 == 0 { format!("{} minutes", seconds / 60) } else { format!("{seconds} seconds") }
}

/// A payload whose sender is verified. The later stages accept nothing else.
#[derive(Debug)]
pub struct Verified {
    event: Event,
    source: Arc<Source>,
    secret: usize,
}

impl Verified {
    /// An event that was verified when it was stored, for mapping it again.
    pub fn again(event: Event, source: Arc<Source>) -> Self {
        Self { event, source, secret: 0 }
    }

    /// Who sent it.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Its body, unpacked.
    pub fn body(&self) -> &Bytes {
        &self.event.body
    }

    /// Which of the source's secrets its sender knew.
    pub fn secret(&self) -> usize {
        self.secret
    }

    /// What was received, and who sent it.
    pub fn into_parts(self) -> (Event, Arc<Source>) {
        (self.event, self.source)
    }
}

/// Checks a payload against its source's scheme.
///
/// # Errors
/// Why it is not believed, or cannot be read.
pub async fn verify(unverified: Unverified, aws: &Aws) -> Result<Verified, Refusal> {
    let Unverified { id, received_at, source, mut headers, token, query, body } = unverified;
    let settings = &source.settings;
    let token = token.as_deref();
    let request = Request { headers: &headers, body: &body, token, now_ms: received_at, certificate: None };
    let Verification { identity, secret } = prove(&settings.scheme, request, aws).await?;

    let body = unpack::unpack(&mut headers, body, settings.payload_bytes_max).await?;
    let query = query.unwrap_or_default();
    let query = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| !is_secret(name));
    let mut context: Vec<NamedValue> =
        query.map(|(name, value)| (format!("query.{name}"), value.into_owned())).collect();
    if let Identity::Delivery(id) = &identity {
        context.push((DELIVERY_ID.to_owned(), id.clone()));
    }
    let signed_text = settings.scheme.signed_text(&body);
    let event = Event {
        id,
        source: source.name.clone(),
        received_at,
        content_type: headers.get(header::CONTENT_TYPE).map(|value| text(value.as_bytes())),
        headers: public_headers(&headers, &settings.scheme),
        context,
        digest: Sha256::digest(signed_text.as_ref().map_or(&*body, String::as_bytes)).into(),
        body: settings.scheme.without_secrets(&body).map_or(body, Bytes::from),
        repeat_key: repeat_key(identity),
    };
    Ok(Verified { event, source, secret })
}

fn repeat_key(identity: Identity) -> RepeatKey {
    match identity {
        Identity::Delivery(id) => RepeatKey::DeliveryId(id),
        Identity::SignedAt(at) => RepeatKey::SignedAt(at),
        Identity::Body => RepeatKey::Body,
    }
}

/// Fetches the certificate that a request asks for, if it may ask.
async fn prove(scheme: &Scheme, request: Request<'_>, aws: &Aws) -> Result<Verification, Refusal> {
    match scheme.verify(&request) {
        Err(VerifyError::CertificateMissing(url)) => {
            let certificate = aws.certificate(&url).await?;
            Ok(scheme.verify(&Request { certificate: Some(&certificate), ..request })?)
        }
        proof => Ok(proof?),
    }
}

/// The headers that may be stored and shown to plugins.
fn public_headers(headers: &HeaderMap, scheme: &Scheme) -> Vec<NamedValue> {
    headers
        .iter()
        .filter(|(name, _)| !scheme.is_secret_header(name) && !is_secret(name.as_str()))
        .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a header or query parameter of this name carries a secret, by its name alone.
fn is_secret(name: &str) -> bool {
    const NAMES: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];
    const PARTS: [&str; 5] = ["token", "secret", "signature", "api-key", "password"];
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || PARTS.iter().any(|part| name.contains(part))
}
