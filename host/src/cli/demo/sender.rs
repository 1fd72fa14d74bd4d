//! Signs and sends as a vendor would. Written against the documentation of the scheme, not with the host's own code.

use crate::cli::text::{join, list, plain};
use hookmill_incident::id::unix_ms;
use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Url;
use serde_json::Value;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

const OLD_S: i64 = 10 * 60;
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
    headers: Vec<(&'static str, String)>,
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
        let now = unix_ms() / 1000;
        let mut headers = vec![("content-type", "application/json".to_owned())];
        let signature = match signing {
            Signing::Missing => None,
            Signing::Right => Some((now, self.secret(source))),
            Signing::Old => Some((now - OLD_S, self.secret(source))),
            Signing::Wrong => Some((now, self.secret("nobody"))),
        };
        if let Some((timestamp, secret)) = signature {
            headers.push(("x-webhook-timestamp", timestamp.to_string()));
            headers.push(("x-webhook-signature", signature_of(secret, timestamp, body)));
        }
        Signed { source: source.to_owned(), body: body.to_owned(), headers }
    }

    pub async fn post(&self, signed: &Signed) -> Result<Answer> {
        let mut url = self.host.clone();
        url.set_path(&format!("/api/webhooks/{}", signed.source));
        let mut request = self.http.post(url).body(signed.body.clone());
        for (name, value) in &signed.headers {
            request = request.header(*name, value);
        }
        let started = Instant::now();
        let response = request.send().await.context("the host did not answer")?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.context("the host's answer broke off")?;
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Answer { status, body, took: started.elapsed() })
    }
}

fn signature_of(secret: &str, timestamp: i64, body: &str) -> String {
    let mut mac = match Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        Ok(mac) => mac,
        Err(_) => return String::new(),
    };
    mac.update(format!("{timestamp}.{body}").as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
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
