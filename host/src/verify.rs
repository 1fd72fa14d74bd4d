//! Verification of the sender of a payload: the only way from [`Unverified`] to [`Verified`].
//!
//! The schemes are in the crate `hookmill-signatures`. This module unpacks compressed bodies and envelopes, and removes
//! every header and query parameter that may hold a secret.

mod refusal;
mod secret_names;
mod unpack;

pub use refusal::Refusal;

use crate::aws::Aws;
use crate::issuers::Issuers;
use crate::source::{Source, SourceSettings};
use crate::traces::Trace;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use hookmill_incident::{
    DELIVERY_ID, Event, Journey, NamedValue, RepeatKey, SenderVerification, UsedSecret, microseconds,
};
use hookmill_signatures::{Fetched, Identity, KeySet, Request, Scheme, Verification, VerifyError};
use secret_names::is_secret_name;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// A payload of a known source, as received and not verified yet.
pub struct Unverified {
    /// The id that the event will have.
    pub id: Uuid,
    /// The time when the payload arrived, in milliseconds since the Unix epoch.
    pub received_at: i64,
    /// The moment when the body began to be read.
    pub begun: Instant,
    /// The source that the URL names.
    pub source: Arc<Source>,
    /// The headers.
    pub headers: HeaderMap,
    /// The part of the URL after the source's name, which may be a secret.
    pub token: Option<String>,
    /// The query of the URL.
    pub query: Option<String>,
    /// The body as received, perhaps compressed.
    pub body: Bytes,
    /// The trace of the request.
    pub trace: Trace,
}

/// A payload whose sender is verified. The later stages accept nothing else.
#[derive(Debug)]
pub struct Verified {
    event: Event,
    source: Arc<Source>,
    secret: usize,
    trace: Trace,
    journey: Journey,
}

impl Verified {
    /// Accepts an event without a check: one that was verified when it was stored, or that the host itself read from
    /// the source.
    pub fn trusted(event: Event, source: Arc<Source>) -> Self {
        Self { event, source, secret: 0, trace: Trace::default(), journey: Journey::default() }
    }

    /// Puts the further stages into a trace.
    #[must_use]
    pub fn in_trace(self, trace: Trace) -> Self {
        Self { trace, ..self }
    }

    /// Continues the way that the event went before.
    #[must_use]
    pub fn on_journey(self, journey: Journey) -> Self {
        Self { journey, ..self }
    }

    /// Returns the source.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Returns the event.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Returns the unpacked body.
    pub fn body(&self) -> &Bytes {
        &self.event.body
    }

    /// Returns the index of the source's secret that the sender used.
    pub fn secret(&self) -> usize {
        self.secret
    }

    /// Returns the trace of the payload.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Returns the event, its source, its trace and its way so far.
    pub fn into_parts(self) -> (Event, Arc<Source>, Trace, Journey) {
        (self.event, self.source, self.trace, self.journey)
    }
}

/// Checks a payload against its source's scheme.
///
/// # Errors
/// Returns an error if the signature is wrong or cannot be checked, or the body cannot be unpacked.
pub async fn verify(unverified: Unverified, aws: &Aws, issuers: &Issuers) -> Result<Verified, Refusal> {
    let Unverified { id, received_at, begun, source, mut headers, token, query, body, trace } = unverified;
    let received = Instant::now();
    let mut span = trace.step("verify");
    let settings = &source.settings;
    let token = token.as_deref();
    let request = Request { headers: &headers, body: &body, token, now_ms: received_at, fetched: None };
    span.set("hookmill.scheme", settings.scheme.name());
    let Verification { identity, secret } = check_signature(settings, request, aws, issuers).await?;

    let body = unpack::unpack(&mut headers, body, settings.payload_bytes_max).await?;
    let payload = settings.scheme.payload(&headers, &body);
    let (body, facts) = payload.map_or((body, Vec::new()), |payload| (payload.body.into(), payload.context));
    let query = query.unwrap_or_default();
    let is_public = |name: &str, value: &str| {
        let reveals_secret = |text: &str| settings.scheme.reveals_secret(text.as_bytes());
        !is_secret_name(name) && !reveals_secret(name) && !reveals_secret(value)
    };
    let query = form_urlencoded::parse(query.as_bytes()).filter(|(name, value)| is_public(name, value));
    let mut context: Vec<NamedValue> =
        query.map(|(name, value)| (format!("query.{name}"), value.into_owned())).collect();
    context.extend(facts.into_iter().filter(|(name, value)| is_public(name, value)));
    if let Some(id) = identity.delivery_id() {
        context.push((DELIVERY_ID.to_owned(), id.to_owned()));
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
        body,
        repeat_key: repeat_key(identity),
        traceparent: trace.traceparent(),
    };
    let used = settings.scheme.is_replaced(secret).map(|is_replaced| UsedSecret { index: secret, is_replaced });
    let journey = Journey {
        receive_us: Some(microseconds(received - begun)),
        verify_us: Some(microseconds(received.elapsed())),
        verification: Some(SenderVerification { scheme: settings.scheme.name().into(), secret: used }),
        ..Journey::default()
    };
    Ok(Verified { event, source, secret, trace, journey })
}

fn repeat_key(identity: Identity) -> RepeatKey {
    match identity {
        Identity::Delivery(id) => RepeatKey::DeliveryId(id),
        Identity::UnsignedDelivery { id, signed_at } => RepeatKey::UnsignedDeliveryId { id, signed_at },
        Identity::SignedAt(at) => RepeatKey::SignedAt(at),
        Identity::Body => RepeatKey::Body,
    }
}

/// Checks the signature, and fetches the certificate or the keys that the check needs, if it needs any.
async fn check_signature(
    settings: &SourceSettings,
    request: Request<'_>,
    aws: &Aws,
    issuers: &Issuers,
) -> Result<Verification, Refusal> {
    let scheme = &settings.scheme;
    match (scheme.verify(&request), &settings.key_server) {
        (Err(VerifyError::CertificateMissing(url)), _) => {
            let certificate = aws.certificate(&url).await?;
            Ok(scheme.verify(&Request { fetched: Some(Fetched::Certificate(&certificate)), ..request })?)
        }
        (Err(VerifyError::KeysMissing), Some(server)) => {
            let verify = |keys: &KeySet| scheme.verify(&Request { fetched: Some(Fetched::Keys(keys)), ..request });
            Ok(issuers.verify(server, verify).await??)
        }
        (result, _) => Ok(result?),
    }
}

/// Returns the headers that may be stored and shown to plugins. Proxies copy URLs and credentials into headers of their
/// own, so the values are searched for the source's secrets, too.
fn public_headers(headers: &HeaderMap, scheme: &Scheme) -> Vec<NamedValue> {
    headers
        .iter()
        .filter(|(name, value)| {
            !scheme.is_secret_header(name) && !is_secret_name(name.as_str()) && !scheme.reveals_secret(value.as_bytes())
        })
        .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
