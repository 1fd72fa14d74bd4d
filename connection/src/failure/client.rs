//! The reasons behind an error of the HTTP client.
//!
//! The client reports a chain of errors from five crates, some of which are known by their text only. No other module
//! reads this chain. A URL or a header never gets into the text of a failure.

use super::causes::{Causes, causes, find};
use super::{Code, Failure, tls};
use crate::AddressError;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

/// The properties of the request that failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestContext {
    /// Whether the request goes through a proxy.
    pub is_proxied: bool,
    /// Whether the server is reached over TLS.
    pub is_tls: bool,
    /// The limit for connecting.
    pub connect_timeout: Duration,
    /// The limit for the whole attempt.
    pub timeout: Duration,
}

impl Failure {
    /// Returns the failure for the TLS error among the causes of another client's error, if there is one.
    pub fn from_tls_cause(error: &(dyn Error + 'static)) -> Option<Self> {
        tls::failure(&causes(error))
    }

    /// Converts an error of the HTTP client.
    pub(crate) fn from_client(error: &reqwest::Error, request: RequestContext) -> Self {
        let causes = causes(error);
        // The client names the errors of a tunnel through a proxy by their text only.
        let tunnel = causes.iter().map(ToString::to_string).find(|text| text.starts_with("tunnel error: "));
        // Failures before the tunnel exists concern the proxy. Requests without TLS have no tunnel.
        let is_before_tunnel = tunnel.as_ref().is_none_or(|text| text.contains("underlying connection"));
        let is_at_proxy = request.is_proxied && is_before_tunnel && (tunnel.is_some() || !request.is_tls);
        if let Some(error) = find::<AddressError>(&causes) {
            return Self::from(error.clone()).at_proxy(request.is_proxied);
        }
        if error.is_timeout() && error.is_connect() {
            let limit = request.connect_timeout.as_secs_f64();
            let text = format!("no connection was established in time ({limit} s); see `connect_timeout`");
            return Self::new(Code::Timeout, text).at_proxy(is_at_proxy && tunnel.is_some());
        }
        if error.is_timeout() {
            let limit = request.timeout.as_secs_f64();
            return Self::new(Code::Timeout, format!("the server did not answer in time ({limit} s)"));
        }
        if let Some(failure) = tls::failure(&causes) {
            return failure.at_proxy(is_at_proxy);
        }
        match tunnel {
            Some(text) if !is_before_tunnel => tunnel_failure(&text),
            _ if error.is_connect() => connect_failure(&causes, request),
            _ => exchange_failure(error, &causes),
        }
    }
}

/// Describes a proxy that answered, but did not connect to the server.
fn tunnel_failure(text: &str) -> Failure {
    if text.contains("authorization") {
        return Failure::proxy_authorization();
    }
    if text.contains("unsuccessful") {
        return Failure::new(Code::Proxy, "the proxy refuses to connect to the server, or could not");
    }
    Failure::new(Code::Proxy, format!("the proxy closed the connection: {text}"))
}

/// Describes a connection that was not established.
fn connect_failure(causes: &Causes, request: RequestContext) -> Failure {
    let io = find::<io::Error>(causes);
    let cause = io.map_or_else(|| innermost(causes), ToString::to_string);
    let failure = match causes.iter().find_map(|cause| address(*cause)) {
        Some(address) => Failure::new(Code::Connect, format!("cannot connect to {address}: {cause}")),
        // The connector names the address of an attempt that failed: without an address, TCP is connected already.
        None if request.is_tls && io.is_some_and(is_disconnect) => {
            Failure::new(Code::Tls, format!("the connection was cut in the TLS handshake: {cause}"))
        }
        None => Failure::new(Code::Connect, format!("cannot connect: {cause}")),
    };
    failure.at_proxy(request.is_proxied && io.is_some())
}

/// Describes a failure on a connection that was established.
fn exchange_failure(error: &reqwest::Error, causes: &Causes) -> Failure {
    let hyper = find::<hyper::Error>(causes);
    if hyper.is_some_and(hyper::Error::is_parse) {
        return Failure::new(Code::Interrupted, format!("the answer is not HTTP: {}", innermost(causes)));
    }
    let is_ended = |error: &hyper::Error| error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    if hyper.is_some_and(is_ended) || find::<io::Error>(causes).is_some_and(is_disconnect) {
        let text = format!("the connection was cut before the answer: {}", innermost(causes));
        return Failure::new(Code::Interrupted, text);
    }
    let code = if error.is_builder() { Code::Request } else { Code::Interrupted };
    Failure::new(code, innermost(causes))
}

/// Returns the text of the innermost error. The outermost is the client's own error, whose text may contain the URL, so
/// that text is never used.
fn innermost(causes: &Causes) -> String {
    match causes {
        [] | [_] => "the request could not be sent".to_owned(),
        [.., last] => last.to_string(),
    }
}

/// Returns the address of a failed attempt to connect. The connector's error shows the address in its debug text only.
fn address(error: &(dyn Error + 'static)) -> Option<SocketAddr> {
    let shown = format!("{error:?}");
    let (_, rest) = shown.strip_prefix("ConnectError(")?.split_once(", ")?;
    rest.split(", ").next()?.parse().ok()
}

/// Returns whether the other side ended the connection.
fn is_disconnect(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof)
}
