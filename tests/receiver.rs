//! A receiver of audit webhooks on loopback. It gives scripted answers and keeps the requests.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::serve::Listener;
use serde_json::Value;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The receiver's answer to one request.
#[derive(Clone, Debug)]
pub enum Reply {
    Status(u16),
    /// A status with this header.
    With(u16, &'static str, String),
    /// A status with this text and the request's headers as body.
    Echo(u16, &'static str),
    /// No answer for longer than any timeout.
    Never,
}

/// A request as received.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub path: String,
    pub headers: HeaderMap,
    pub bytes: Bytes,
    pub body: Value,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        value.to_str().unwrap()
    }
}

#[derive(Default)]
struct Script {
    replies: Mutex<VecDeque<Reply>>,
    received: Mutex<Vec<Received>>,
}

/// A running receiver.
pub struct Receiver {
    pub url: String,
    script: Arc<Script>,
}

impl Receiver {
    /// Starts a receiver that gives these answers in order and 200 afterwards.
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        Self::serve(url, listener, replies)
    }

    /// Starts a receiver over TLS that answers 200.
    pub async fn start_tls(config: rustls::ServerConfig) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/hook", tcp.local_addr().unwrap());
        Self::serve(url, TlsListener { tcp, acceptor: Arc::new(config).into() }, [])
    }

    fn serve<L>(url: String, listener: L, replies: impl IntoIterator<Item = Reply>) -> Self
    where
        L: Listener,
        L::Addr: std::fmt::Debug,
    {
        let script = Arc::new(Script { replies: Mutex::new(replies.into_iter().collect()), ..Script::default() });
        let router = Router::new().fallback(any(answer)).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, script }
    }

    /// Returns the requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.script.received.lock().unwrap().clone()
    }

    /// Waits for this many requests and returns them.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        crate::host::eventually(&format!("{count} deliveries"), async || {
            Some(self.received()).filter(|received| received.len() >= count)
        })
        .await
    }
}

struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

async fn answer(State(script): State<Arc<Script>>, uri: axum::http::Uri, headers: HeaderMap, bytes: Bytes) -> Response {
    let body = serde_json::from_slice(&bytes).unwrap_or_default();
    let echo = format!("{headers:?}");
    let received = Received { at: Instant::now(), path: uri.path().to_owned(), headers, bytes, body };
    script.received.lock().unwrap().push(received);
    let reply = script.replies.lock().unwrap().pop_front().unwrap_or(Reply::Status(200));
    let status = |status| StatusCode::from_u16(status).unwrap();
    match reply {
        Reply::Status(code) => status(code).into_response(),
        Reply::With(code, name, value) => (status(code), [(name, value)]).into_response(),
        Reply::Echo(code, before) => (status(code), format!("{before}{echo}")).into_response(),
        Reply::Never => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            StatusCode::OK.into_response()
        }
    }
}
