//! A server on loopback for sources that the host reads. It gives scripted answers, byte by byte, or those of a function, and
//! keeps the requests.

use crate::host::eventually;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, split};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// The answer to one request.
#[derive(Clone, Debug)]
pub struct Page {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Whether the connection stays open after the body.
    stays: bool,
    /// The answer waits for this.
    gate: Option<Arc<Notify>>,
    delay: Duration,
}

impl Page {
    pub fn json(body: &Value) -> Self {
        Self::of(200, "application/json", body.to_string())
    }

    pub fn bytes(body: Vec<u8>) -> Self {
        Self { body, ..Self::of(200, "application/octet-stream", String::new()) }
    }

    pub fn status(status: u16, body: &str) -> Self {
        Self::of(status, "text/plain", body.to_owned())
    }

    /// A stream that ends after these frames.
    pub fn frames(frames: &str) -> Self {
        Self::of(200, "Text/Event-Stream ;charset=utf-8", frames.to_owned())
    }

    /// A stream that stays open after these frames and sends nothing more.
    pub fn stream(frames: &str) -> Self {
        Self { stays: true, ..Self::frames(frames) }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Waits with the answer until the gate is opened.
    pub fn behind(self, gate: &Arc<Notify>) -> Self {
        Self { gate: Some(gate.clone()), ..self }
    }

    /// Answers as late as a slow server.
    pub fn late(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    fn of(status: u16, content_type: &str, body: String) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into_bytes(), stays: false, gate: None, delay: Duration::ZERO }
    }
}

/// A request as received.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET /path?query`.
    pub line: String,
    headers: Vec<(String, String)>,
    /// The body, if it is JSON.
    pub body: Value,
    pub text: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

type Answers = Box<dyn FnMut(&Asked) -> Page + Send>;

#[derive(Default)]
struct Script {
    /// The function that answers, in place of `pages`.
    answers: Mutex<Option<Answers>>,
    pages: Mutex<VecDeque<Page>>,
    last: Mutex<Option<Page>>,
    asked: Mutex<Vec<Asked>>,
}

/// A running server.
pub struct Server {
    pub url: String,
    script: Arc<Script>,
}

impl Server {
    /// Starts a server that gives these answers in order and repeats the last one.
    pub async fn start(pages: impl IntoIterator<Item = Page>) -> Self {
        Self::serve(pages, "http", None).await
    }

    /// Starts a server whose answers are those of a function.
    pub async fn answering(answers: impl FnMut(&Asked) -> Page + Send + 'static) -> Self {
        let server = Self::start([]).await;
        *server.script.answers.lock().unwrap() = Some(Box::new(answers));
        server
    }

    /// Starts a server over TLS that gives answers in order.
    pub async fn start_tls(config: rustls::ServerConfig, pages: impl IntoIterator<Item = Page>) -> Self {
        Self::serve(pages, "https", Some(Arc::new(config).into())).await
    }

    async fn serve(pages: impl IntoIterator<Item = Page>, scheme: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let server = Self { url, script: Arc::default() };
        server.answer_next(pages);
        let script = server.script.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (script, tls) = (script.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, script).await,
                        Some(tls) => answer(tls.accept(stream).await.ok()?, script).await,
                    }
                });
            }
        });
        server
    }

    /// Replaces the answers.
    pub fn answer_next(&self, pages: impl IntoIterator<Item = Page>) {
        *self.script.pages.lock().unwrap() = pages.into_iter().collect();
    }

    /// Waits for this many requests and returns them.
    pub async fn asked(&self, count: usize) -> Vec<Asked> {
        eventually(&format!("{count} requests"), async || {
            Some(self.script.asked.lock().unwrap().clone()).filter(|asked| asked.len() >= count)
        })
        .await
    }
}

/// Reads one request, answers it and closes the connection.
async fn answer(stream: impl AsyncRead + AsyncWrite, script: Arc<Script>) -> Option<()> {
    let (read, mut write) = split(stream);
    let mut read = BufReader::new(read);
    let mut line = String::new();
    read.read_line(&mut line).await.ok()?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        read.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, text)| text.parse().unwrap());
    let mut body = vec![0; length];
    read.read_exact(&mut body).await.ok()?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let text = String::from_utf8(body).unwrap();
    let body = serde_json::from_str(&text).unwrap_or_default();
    let asked = Asked { line, headers, body, text };
    script.asked.lock().unwrap().push(asked.clone());
    let answer = script.answers.lock().unwrap().as_mut().map(|answers| answers(&asked));
    let page = answer.or_else(|| script.pages.lock().unwrap().pop_front());
    let page = {
        let mut last = script.last.lock().unwrap();
        *last = page.or(last.take());
        last.clone()?
    };
    if let Some(gate) = &page.gate {
        gate.notified().await;
    }
    let headers: String = page.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 {} X\r\n{headers}connection: close\r\n\r\n", page.status);
    tokio::time::sleep(page.delay).await;
    write.write_all(&[head.as_bytes(), &page.body].concat()).await.ok()?;
    if page.stays {
        // Until the client closes the connection.
        while read.read_u8().await.is_ok() {}
    }
    write.shutdown().await.ok()
}
