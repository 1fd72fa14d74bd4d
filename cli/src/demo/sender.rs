//! Signs and sends payloads as a vendor would, with scheme `hookmill`.

use crate::text::{join, list, plain};
use anyhow::{Context, Result};
use hookmill_incident::timestamp::unix_ms;
use hookmill_signatures::{Declaration, Scheme, Secret};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

const OLD_MS: i64 = 10 * 60 * 1000;
const TIMEOUT: Duration = Duration::from_secs(20);

/// How to sign.
#[derive(Clone, Copy)]
pub(super) enum Signing {
    Right,
    /// With a secret that the host does not know.
    Wrong,
    /// Rightly, with the clock of a while ago.
    Old,
    Missing,
}

/// A request that can be sent any number of times.
#[derive(Clone)]
pub(super) struct Signed {
    source: String,
    body: String,
    headers: HeaderMap,
}

/// What the host answered.
pub(super) struct Answer {
    pub status: u16,
    pub body: Value,
    pub took: Duration,
}

/// Knows every source's secret.
#[derive(Clone)]
pub(super) struct Sender {
    http: reqwest::Client,
    host: Url,
    secrets: BTreeMap<&'static str, String>,
}

impl Sender {
    pub fn new(host: Url, secrets: BTreeMap<&'static str, String>) -> Result<Self> {
        let http =
            reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().context("cannot set up an HTTP client")?;
        Ok(Self { http, host, secrets })
    }

    pub fn secret(&self, source: &str) -> &str {
        self.secrets.get(source).map_or("nobody told the host this one", String::as_str)
    }

    pub fn sign(&self, source: &str, body: &str, signing: Signing) -> Signed {
        let now_ms = unix_ms();
        let mut headers = match signing {
            Signing::Missing => HeaderMap::new(),
            Signing::Right => signature_headers(self.secret(source), now_ms, body),
            Signing::Old => signature_headers(self.secret(source), now_ms - OLD_MS, body),
            Signing::Wrong => signature_headers(self.secret("nobody"), now_ms, body),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Signed { source: source.to_owned(), body: body.to_owned(), headers }
    }

    pub async fn post(&self, signed: &Signed) -> Result<Answer> {
        let mut url = self.host.clone();
        url.set_path(&format!("/api/webhooks/{}", signed.source));
        let request = self.http.post(url).headers(signed.headers.clone()).body(signed.body.clone());
        let started = Instant::now();
        let response = request.send().await.context("the host did not answer")?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.context("the host's answer broke off")?;
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Answer { status, body, took: started.elapsed() })
    }
}

/// Returns the headers of scheme `hookmill`, which takes any secret.
fn signature_headers(secret: &str, now_ms: i64, body: &str) -> HeaderMap {
    let scheme = Scheme::declare(&Declaration::preset("hookmill"), &[Secret::new(secret.to_owned())]);
    let signed = scheme.ok().and_then(|scheme| scheme.sign(body.as_bytes(), now_ms, "").ok());
    signed.map(|signed| signed.headers).unwrap_or_default()
}

/// In one line.
impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { status, body, took } = self;
        let error = &body["error"];
        let parts = if error.is_object() {
            [format!("{}:", plain(&error["code"])), plain(&error["message"]), String::new(), String::new()]
        } else {
            let numbers = list(&body["incidents"]).iter().map(|incident| plain(&incident["number"]));
            let numbers = numbers.collect::<Vec<_>>().join(", ");
            let duplicate = if body["duplicate"] == true { "duplicate of" } else { "" };
            [plain(&body["status"]), duplicate.to_owned(), numbers, plain(&body["message"])]
        };
        write!(formatter, "{status} {}", join(&parts, " "))?;
        write!(formatter, " ({:.1} ms)", took.as_secs_f64() * 1000.0)
    }
}
