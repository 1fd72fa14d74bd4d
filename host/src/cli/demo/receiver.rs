//! The receiver of the audit webhooks: checks each signature as Standard Webhooks say, and keeps what it saw.

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// One request as it arrived.
#[derive(Clone)]
pub(super) struct Seen {
    pub headers: Vec<(String, String)>,
    pub body: Value,
    pub verified: bool,
}

impl Seen {
    /// What tells a repeat.
    pub fn id(&self) -> &str {
        self.headers.iter().find(|(name, _)| name == "webhook-id").map_or("", |(_, value)| value)
    }
}

/// A receiver that listens on loopback as long as its runtime lives.
#[derive(Clone)]
pub(super) struct Receiver {
    key: Arc<[u8]>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Receiver {
    /// With the bytes of the secret. Returns also where it listens.
    pub async fn start(key: &[u8]) -> Result<(Self, SocketAddr)> {
        let receiver = Self { key: key.into(), seen: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on 127.0.0.1")?;
        let address = listener.local_addr()?;
        let routes = Router::new().route("/audit", post(receive)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok((receiver, address))
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Option<()> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(format!("{}.{}.", text("webhook-id")?, text("webhook-timestamp")?).as_bytes());
        mac.update(body);
        let signature = STANDARD.decode(text("webhook-signature")?.strip_prefix("v1,")?).ok()?;
        mac.verify_slice(&signature).ok()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let verified = receiver.verify(&headers, &body).is_some();
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let seen = Seen { headers: headers.collect(), body: serde_json::from_slice(&body).unwrap_or_default(), verified };
    receiver.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    if verified { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
}
