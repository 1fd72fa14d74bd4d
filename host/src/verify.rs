//! Checks who sent a payload. The only way from [`Unverified`] to [`Verified`], and the only place that names
//! signature headers.

mod hmac_scheme;

use crate::event::{Event, Identity, NamedValue};
use crate::receive::Unverified;
use crate::source::Source;
use anyhow::{Result, bail};
use axum::http::HeaderMap;
use hmac_scheme::HmacScheme;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// How a source's payloads are signed, with its key.
#[derive(Debug)]
pub enum Scheme {
    /// Not at all; has to be said in so many words.
    None,
    /// With a keyed hash of what was sent.
    Hmac(HmacScheme),
}

impl Scheme {
    /// A scheme by its name.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn preset(name: &str, secret: &[u8]) -> Result<Self> {
        match hmac_scheme::PRESETS.iter().find(|rule| rule.name == name) {
            Some(rule) => Ok(Self::Hmac(HmacScheme::new(rule, secret))),
            None => {
                let names: Vec<&str> = hmac_scheme::PRESETS.iter().map(|rule| rule.name).collect();
                bail!("unknown scheme `{name}`; known are {} and none", names.join(", "))
            }
        }
    }
}

impl Scheme {
    /// SHIM
    pub fn name(&self) -> &str { "x" }
}
/// Why a payload is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// The signature is missing, unreadable or wrong.
    Signature,
    /// The signature is right and too old.
    Expired,
    /// The signature is right and from a time to come.
    Future,
}

/// A payload whose sender is known. What follows takes nothing less.
#[derive(Debug)]
pub struct Verified {
    event: Event,
    source: Arc<Source>,
}

impl Verified {
    /// An event that was verified when it was stored, for mapping it again.
    pub fn again(event: Event, source: Arc<Source>) -> Self {
        Self { event, source }
    }

    /// Who sent it.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What was received, and who sent it.
    pub fn into_parts(self) -> (Event, Arc<Source>) {
        (self.event, self.source)
    }
}

/// Checks a payload against its source's scheme.
///
/// The signature is checked before the age, so that only who holds the key learns of a wrong clock.
///
/// # Errors
/// Why it is not believed.
pub fn verify(unverified: Unverified) -> Result<Verified, Distrust> {
    let Unverified { id, received_at, source, headers, query, body } = unverified;
    let identity = match &source.settings.scheme {
        Scheme::None => Identity::Body,
        Scheme::Hmac(scheme) => scheme.verify(&headers, &body, received_at)?,
    };
    let query = query.unwrap_or_default();
    let context = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| !is_secret(name));
    let event = Event {
        id,
        source: source.name.clone(),
        received_at,
        content_type: text(&headers, "content-type"),
        headers: public_headers(&headers, &source.settings.scheme),
        context: context.map(|(name, value)| (format!("query.{name}"), value.into_owned())).collect(),
        digest: Sha256::digest(&body).into(),
        body,
        identity,
    };
    Ok(Verified { event, source })
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The headers that may be stored and shown to plugins.
fn public_headers(headers: &HeaderMap, scheme: &Scheme) -> Vec<NamedValue> {
    let signing = match scheme {
        Scheme::None => None,
        Scheme::Hmac(scheme) => Some(scheme.signature_header()),
    };
    headers
        .iter()
        .filter(|(name, _)| Some(name.as_str()) != signing && !is_secret(name.as_str()))
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

/// Whether a header or query parameter of this name carries a secret, by its name alone.
fn is_secret(name: &str) -> bool {
    const NAMES: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];
    const PARTS: [&str; 5] = ["token", "secret", "signature", "api-key", "password"];
    let name = name.to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || PARTS.iter().any(|part| name.contains(part))
}
