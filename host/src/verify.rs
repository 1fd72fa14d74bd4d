//! Checks who sent a payload: the only way from [`Unverified`] to [`Verified`].
//!
//! How senders sign is in the crate `hookmill-signatures`. What is left to do here: unpacking what came compressed, and
//! leaving out of the event what nobody may keep.

mod unpack;

use crate::aws::Aws;
use hookmill_incident::{DELIVERY_ID, Event, NamedValue, RepeatKey};
use crate::api::http_error::HttpError;
use crate::receive::Unverified;
use crate::source::Source;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use hookmill_signatures::{Identity, Request, Scheme, Verification, VerifyError};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A payload whose sender is known. What follows takes nothing less.
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
pub async fn verify(unverified: Unverified, aws: &Aws) -> Result<Verified, HttpError> {
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
async fn prove(scheme: &Scheme, request: Request<'_>, aws: &Aws) -> Result<Verification, HttpError> {
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
