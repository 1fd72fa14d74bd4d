//! Accepts connections and speaks HTTP/1.1 on them, over TLS where it is set, within bounds that strangers cannot exhaust.
//!
//! What a connection can hold is bounded by [`HEAD_BYTES_MAX`], for how long by `limits.head_timeout`; when
//! `limits.connections` are open, those that have made the host wait longest give way to new ones. All this rests on one
//! note per connection, since when the host waits for its client, and on a look at these notes now and then
//! (`connections.rs`): a request sets no timer and takes no lock.

mod connections;
mod tls;
mod watched;

pub use tls::{LiveTls, TlsFiles};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::http::{Request, Response};
use axum::routing::future::RouteFuture;
use bytes::Bytes;
use connections::{Close, Connection, Connections, Place};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ServerConfig;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower_service::Service;
use tracing::{debug, warn};
use watched::Watched;

/// The largest head of a request; a larger one is answered 431. A connection's buffers grow to this as well. How many
/// headers there may be is hyper's own bound, 100, which it keeps without allocating.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How often to look for connections that made the host wait too long: this, or a quarter of how long they may.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait when the system gives no connection, for want of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// How often the log says that connections are short.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// How much of what a client sends after its last answer is read at once, and thrown away.
const LINGER_BYTES: usize = 16 * 1024;
/// File descriptors that are kept for other uses than connections: the database, plugins, deliveries.
const DESCRIPTORS_KEPT: u64 = 256;

/// What the connections of one listener may use.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many may be open at once.
    pub connections: u32,
    /// How long one may stay without sending the whole head of a request, from its beginning or the last answer on, and
    /// how long without taking anything of an answer.
    pub head_timeout: Duration,
}

impl Bounds {
    /// The same, with no more connections than the process can open beside `others`. Its limit of file descriptors is
    /// raised as far as the system allows.
    #[must_use]
    pub fn within_descriptors(self, others: u32) -> Self {
        let limit = getrlimit(Resource::Nofile);
        let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).is_ok();
        let Some(descriptors) = (if raised { limit.maximum } else { limit.current }) else { return self };
        let room = descriptors.saturating_sub(DESCRIPTORS_KEPT + u64::from(others)).max(1);
        if room >= u64::from(self.connections) {
            return self;
        }
        warn!(
            "`limits.connections` is {}, but this process may open only {descriptors} files: it takes {room} connections; \
             raise the limit (`ulimit -Hn`, `LimitNOFILE=` in systemd) or lower the key",
            self.connections
        );
        Self { connections: room as u32, ..self }
    }
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    tls: LiveTls,
    connections: Arc<Connections>,
    head_timeout: Duration,
}

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// When something else does, or the address is not this machine's.
    pub async fn bind(address: SocketAddr, tls: LiveTls, bounds: Bounds) -> Result<Self> {
        let tcp = TcpListener::bind(address).await;
        let tcp = tcp.with_context(|| format!("cannot listen on {address}; is another program there?"))?;
        let connections = Arc::new(Connections::new(bounds.connections));
        Ok(Self { tcp, tls, connections, head_timeout: bounds.head_timeout })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serves until it is stopped, and then until what was in flight is answered.
    pub async fn serve(self, router: Router, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = self.accept(&router) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        drop(self.tcp);
        self.connections.end().await;
    }

    async fn accept(&self, router: &Router) {
        let mut looks = tokio::time::interval((self.head_timeout / 4).clamp(Duration::from_millis(10), LOOK));
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut warned_at = None;
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                _ = looks.tick() => {
                    self.connections.close_overdue(self.head_timeout);
                    continue;
                }
            };
            match accepted {
                Ok((tcp, peer)) => {
                    if self.connections.are_full() {
                        warn_sometimes(
                            &mut warned_at,
                            "as many connections are open as may be; new ones take the \
                            place of those that wait longest",
                        );
                    }
                    let place = self.connections.open().await;
                    tokio::spawn(hold(tcp, peer, self.tls.current(), router.clone(), place));
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    warn_sometimes(&mut warned_at, &format!("cannot accept connections: {error}"));
                    self.connections.close_longest_waiting();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn warn_sometimes(warned_at: &mut Option<Instant>, text: &str) {
    if warned_at.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
        *warned_at = Some(Instant::now());
        warn!("{text}");
    }
}

/// Whether accepting failed because of the one connection, which is gone.
fn is_of_the_client(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}

/// One connection from its beginning to its end.
async fn hold(tcp: TcpStream, peer: SocketAddr, tls: Option<Arc<ServerConfig>>, router: Router, place: Place) {
    // No buffer is made for a client that says nothing.
    let mut first = [0];
    tokio::select! {
        came = tcp.peek(&mut first) => if !matches!(came, Ok(1)) { return },
        _ = place.told_to_close() => return,
    }
    let tcp = Watched::new(tcp, place.clone());
    // In boxes, so that a client that says nothing costs no room for what others need.
    let Some(tls) = tls else { return Box::pin(talk(tcp, peer, &router, &place)).await };
    let handshake = Box::pin(TlsAcceptor::from(tls).accept(tcp));
    let encrypted = tokio::select! {
        encrypted = handshake => encrypted,
        _ = place.told_to_close() => return,
    };
    match encrypted {
        Ok(stream) => Box::pin(talk(stream, peer, &router, &place)).await,
        Err(error) => debug!(%peer, "no TLS connection: {error}"),
    }
}

async fn talk<S>(stream: S, peer: SocketAddr, router: &Router, connection: &Arc<Connection>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer = service_fn(|request| {
        let answering = router.clone().call(arrived(request, peer, connection));
        Answering { answering, turn: Some(Turn(connection.clone())) }
    });
    let mut http = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answer);
    let close = tokio::select! {
        result = poll_fn(|context| http.poll_without_shutdown(context)) => {
            if let Err(error) = result {
                debug!(%peer, "a connection ended: {error}");
            }
            None
        }
        close = connection.told_to_close() => Some(close),
    };
    match close {
        None => linger(http.into_parts().io.into_inner(), connection).await,
        Some(close) => {
            Pin::new(&mut http).graceful_shutdown();
            let rest = poll_fn(|context| http.poll_without_shutdown(context));
            match close {
                Close::Now => {}
                Close::Within(time) => drop(tokio::time::timeout(time, rest).await),
                Close::AfterAnswer => tokio::select! {
                    _ = rest => {}
                    () = connection.given_up() => {}
                },
            }
        }
    }
}

/// A connection that is closed while its client sends is reset, and the answer with it: what still comes is read first.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin, connection: &Connection) {
    let drained = async {
        let mut bytes = Vec::with_capacity(LINGER_BYTES);
        stream.shutdown().await?;
        while stream.read_buf(&mut bytes).await? > 0 {
            bytes.clear();
        }
        std::io::Result::Ok(())
    };
    tokio::select! {
        _ = drained => {}
        _ = connection.told_to_close() => {}
    }
}

/// A request as the router takes it, with its sender's address.
fn arrived(request: Request<Incoming>, peer: SocketAddr, connection: &Arc<Connection>) -> Request<Body> {
    let mut request = request.map(|body| {
        if body.is_end_stream() {
            connection.works();
            return Body::empty();
        }
        connection.awaits_body();
        Body::new(Arriving { body, connection: connection.clone() })
    });
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

/// The body of a request. While it is there, its client is waited for.
struct Arriving {
    body: Incoming,
    connection: Arc<Connection>,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.connection.works();
    }
}

/// The host's turn on a connection, from the head of a request to the end of its answer.
struct Turn(Arc<Connection>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.awaits_head();
    }
}

/// A request that is being answered.
struct Answering {
    answering: RouteFuture<Infallible>,
    turn: Option<Turn>,
}

impl Future for Answering {
    type Output = Result<Response<Leaving>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        let Ok(mut response) = ready!(Pin::new(&mut self.answering).poll(context));
        let turn = self.turn.take();
        if turn.as_ref().is_some_and(|turn| turn.0.is_ending()) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response.map(|body| Leaving { body, _turn: turn })))
    }
}

/// The body of an answer. When it has left, it is its client's turn.
struct Leaving {
    body: Body,
    _turn: Option<Turn>,
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
