//! One connection from its start to its end: TLS, then HTTP/1.1.
//!
//! The bodies of requests and answers are wrapped, so that the [`ConnectionState`] always shows which side has to act.

use crate::connection_state::{Close, ConnectionState};
use crate::connections::Slot;
use crate::monitored_stream::MonitoredStream;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::http::{Request, Response};
use axum::routing::future::RouteFuture;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tower_service::Service;
use tracing::debug;

/// The largest head of a request; a larger one is answered with 431. This is also the limit of a connection's buffers.
/// hyper itself limits the number of headers to 100, without an allocation.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The size of the buffer for data that a client sends after its last answer, which is discarded.
const LINGER_BYTES: usize = 16 * 1024;

/// Serves one connection until it ends.
pub async fn serve_connection(
    tcp: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    slot: Slot,
) {
    // Buffers are allocated only after the first byte has arrived: idle clients cost little memory.
    let mut first = [0];
    tokio::select! {
        peeked = tcp.peek(&mut first) => if !matches!(peeked, Ok(1)) { return },
        _ = slot.close_requested() => return,
    }
    let tcp = MonitoredStream::new(tcp, slot.clone());
    // These futures are boxed, so that this one stays small while the client is idle.
    let Some(tls) = tls else { return Box::pin(serve_http(tcp, peer, &router, &slot)).await };
    let handshake = Box::pin(TlsAcceptor::from(tls).accept(tcp));
    let encrypted = tokio::select! {
        encrypted = handshake => encrypted,
        _ = slot.close_requested() => return,
    };
    match encrypted {
        Ok(stream) => Box::pin(serve_http(stream, peer, &router, &slot)).await,
        Err(error) => debug!(%peer, "no TLS connection: {error}"),
    }
}

async fn serve_http<S>(stream: S, peer: SocketAddr, router: &Router, state: &Arc<ConnectionState>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| {
        let answer = router.clone().call(routed(request, peer, state));
        ResponseFuture { answer, exchange: Some(Exchange(state.clone())) }
    });
    let mut http = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let close = tokio::select! {
        result = poll_fn(|context| http.poll_without_shutdown(context)) => {
            if let Err(error) = result {
                debug!(%peer, "a connection ended: {error}");
            }
            None
        }
        close = state.close_requested() => Some(close),
    };
    match close {
        None => close_lingering(http.into_parts().io.into_inner(), state).await,
        Some(close) => {
            Pin::new(&mut http).graceful_shutdown();
            let rest = poll_fn(|context| http.poll_without_shutdown(context));
            match close {
                Close::Now => {}
                Close::Within(time) => drop(tokio::time::timeout(time, rest).await),
                Close::AfterAnswer => tokio::select! {
                    _ = rest => {}
                    () = state.abandoned() => {}
                },
            }
        }
    }
}

/// Closes a connection after reading what its client still sends. Closing with unread data would reset the connection,
/// and the client could lose its answer.
async fn close_lingering(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: &ConnectionState) {
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
        _ = state.close_requested() => {}
    }
}

/// Converts a request for the router, and adds the address of its client.
fn routed(request: Request<Incoming>, peer: SocketAddr, state: &Arc<ConnectionState>) -> Request<Body> {
    let mut request = request.map(|body| {
        if body.is_end_stream() {
            state.set_working();
            return Body::empty();
        }
        state.set_awaiting_body();
        Body::new(RequestBody { body, state: state.clone() })
    });
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

/// The body of a request. The host waits for its client until this value is dropped.
struct RequestBody {
    body: Incoming,
    state: Arc<ConnectionState>,
}

impl HttpBody for RequestBody {
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

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.state.set_working();
    }
}

/// One request and its answer. When dropped, the host waits for the next request of the client.
struct Exchange(Arc<ConnectionState>);

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.set_awaiting_head();
    }
}

/// The future of an answer, which adds `connection: close` if the answer is the last one on its connection.
struct ResponseFuture {
    answer: RouteFuture<Infallible>,
    exchange: Option<Exchange>,
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        let Ok(mut response) = ready!(Pin::new(&mut self.answer).poll(context));
        let exchange = self.exchange.take();
        if exchange.as_ref().is_some_and(|exchange| exchange.0.is_shutting_down()) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response.map(|body| ResponseBody { body, _exchange: exchange })))
    }
}

/// The body of an answer. The exchange ends when this value is dropped.
struct ResponseBody {
    body: Body,
    _exchange: Option<Exchange>,
}

impl HttpBody for ResponseBody {
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
