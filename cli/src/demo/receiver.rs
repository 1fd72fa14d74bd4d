//! The receiver of the audit webhooks, which verifies each signature as Standard Webhooks requires and keeps every
//! request.

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookmill_incident::Clock;
use hookmill_signatures::StandardWebhooks;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// A request that arrived.
#[derive(Clone)]
pub(super) struct Seen {
    pub headers: Vec<(String, String)>,
    pub body: Value,
    pub verified: bool,
}

impl Seen {
    /// Returns the id of the delivery, which repeated requests share.
    pub fn id(&self) -> &str {
        self.headers.iter().find(|(name, _)| name == "webhook-id").map_or("", |(_, value)| value)
    }
}

/// A receiver that listens on a loopback address until its runtime is shut down.
#[derive(Clone)]
pub(super) struct Receiver {
    keys: Arc<StandardWebhooks>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Receiver {
    /// Starts to listen. `key` has the bytes of the secret. Returns the receiver and its address.
    ///
    /// # Errors
    /// Returns an error if the receiver cannot listen.
    pub async fn start(key: &[u8]) -> Result<(Self, SocketAddr)> {
        let secret = format!("whsec_{}", STANDARD.encode(key));
        let receiver = Self { keys: Arc::new(StandardWebhooks::new(&[secret])?), seen: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on 127.0.0.1")?;
        let address = listener.local_addr()?;
        let routes = Router::new().route("/audit", post(receive)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok((receiver, address))
    }

    /// Returns the requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let verified = receiver.keys.verify(&headers, &body, Clock::default().now_ms()).is_ok();
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let seen = Seen { headers: headers.collect(), body: serde_json::from_slice(&body).unwrap_or_default(), verified };
    receiver.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    if verified { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
}
