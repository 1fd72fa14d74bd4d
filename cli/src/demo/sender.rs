//! Signs and sends payloads as a vendor would, with scheme `hookmill`.

use crate::text::{clean, join};
use anyhow::{Context, Result};
use hookmill_host::api::shapes::{Accepted, ErrorAnswer};
use hookmill_incident::Clock;
use hookmill_signatures::{Declaration, Scheme, Secret};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

const OLD_MS: i64 = 10 * 60 * 1000;
const TIMEOUT: Duration = Duration::from_secs(20);

/// The way to sign a request.
#[derive(Clone, Copy)]
pub(super) enum Signing {
    Right,
    /// With a secret that the host does not know.
    Wrong,
    /// With the right secret and a timestamp that is too old.
    Old,
    Missing,
}

/// A request that can be sent any number of times.
#[derive(Clone)]
pub(super) struct SignedRequest {
    source: String,
    body: String,
    headers: HeaderMap,
}

/// The host's answer.
pub(super) struct HostAnswer {
    pub status: u16,
    pub took: Duration,
    /// The body; `None` if it has none of the expected shapes.
    body: Option<AnswerBody>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AnswerBody {
    Accepted(Box<Accepted>),
    Refused(ErrorAnswer),
}

impl HostAnswer {
    /// Returns the body if the host stored the payload.
    pub fn accepted(&self) -> Option<&Accepted> {
        match &self.body {
            Some(AnswerBody::Accepted(accepted)) => Some(accepted),
            _ => None,
        }
    }

    /// Returns the code of the refusal.
    pub fn error_code(&self) -> Option<&str> {
        match &self.body {
            Some(AnswerBody::Refused(answer)) => Some(&answer.error.code),
            _ => None,
        }
    }
}

/// A sender that has the secret of every source.
#[derive(Clone)]
pub(super) struct Sender {
    http: reqwest::Client,
    host: Url,
    secrets: BTreeMap<&'static str, String>,
}

impl Sender {
    /// Creates a sender to the host with this URL.
    ///
    /// # Errors
    /// Returns an error if the HTTP client cannot be set up.
    pub fn new(host: Url, secrets: BTreeMap<&'static str, String>) -> Result<Self> {
        let http =
            reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().context("cannot set up an HTTP client")?;
        Ok(Self { http, host, secrets })
    }

    /// Returns the secret of a source, or for other names one that the host does not know.
    pub fn secret(&self, source: &str) -> &str {
        self.secrets.get(source).map_or("a secret that the host does not know", String::as_str)
    }

    /// Returns a signed request.
    pub fn sign(&self, source: &str, body: &str, signing: Signing) -> SignedRequest {
        let now_ms = Clock::default().now_ms();
        let mut headers = match signing {
            Signing::Missing => HeaderMap::new(),
            Signing::Right => signature_headers(self.secret(source), now_ms, body),
            Signing::Old => signature_headers(self.secret(source), now_ms - OLD_MS, body),
            Signing::Wrong => signature_headers(self.secret("nobody"), now_ms, body),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        SignedRequest { source: source.to_owned(), body: body.to_owned(), headers }
    }

    /// Sends a request and returns the answer.
    ///
    /// # Errors
    /// Returns an error if the host does not answer.
    pub async fn post(&self, signed: &SignedRequest) -> Result<HostAnswer> {
        let mut url = self.host.clone();
        url.set_path(&format!("/api/webhooks/{}", signed.source));
        let request = self.http.post(url).headers(signed.headers.clone()).body(signed.body.clone());
        let started = Instant::now();
        let response = request.send().await.context("the host did not answer")?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.context("the host's answer was interrupted")?;
        let body = serde_json::from_slice(&bytes).ok();
        Ok(HostAnswer { status, took: started.elapsed(), body })
    }
}

/// Returns the headers of scheme `hookmill`, which takes any secret.
fn signature_headers(secret: &str, now_ms: i64, body: &str) -> HeaderMap {
    let scheme = Scheme::declare(&Declaration::preset("hookmill"), &[Secret::new(secret.to_owned())]);
    let signed = scheme.ok().and_then(|scheme| scheme.sign(body.as_bytes(), now_ms, "").ok());
    signed.map(|signed| signed.headers).unwrap_or_default()
}

impl fmt::Display for HostAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { status, took, body } = self;
        let body = match body {
            Some(AnswerBody::Refused(ErrorAnswer { error })) => {
                format!("{}: {}", clean(&error.code), clean(&error.message))
            }
            Some(AnswerBody::Accepted(accepted)) => {
                let numbers = accepted.incidents.iter().map(|incident| clean(&incident.number));
                let numbers = numbers.collect::<Vec<_>>().join(", ");
                let duplicate = if accepted.duplicate { "duplicate of" } else { "" };
                let message = accepted.message.as_deref().map(clean).unwrap_or_default();
                join(&[accepted.status.to_string(), duplicate.to_owned(), numbers, message], " ")
            }
            None => String::new(),
        };
        write!(formatter, "{status} {body}")?;
        write!(formatter, " ({:.1} ms)", took.as_secs_f64() * 1000.0)
    }
}
