//! Requests to a path that is nearly the URL of a source. Slashes too many are forgiven; everything else is refused, with
//! a line in the log and a count, so that the operator finds the vendor's wrong URL.

use crate::extract::{Path, Sender};
use crate::host::Host;
use crate::http_error::HttpError;
use crate::receive::{Target, refuse_for, webhook};
use crate::request_id::RequestId;
use axum::Extension;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Answers requests for paths that do not exist.
pub async fn unknown_path(
    State(host): State<Arc<Host>>,
    Extension(id): Extension<RequestId>,
    connection: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Request,
) -> Response {
    let segments = segments(request.uri().path());
    match (request.method(), &segments[..]) {
        (&Method::POST, [api, webhooks, source]) if is_webhooks(api, webhooks) => {
            let target = Target { source: source.clone(), token: None };
            webhook(State(host), Path(target), Extension(id), connection, request).await
        }
        (&Method::POST, [api, webhooks, source, token]) if is_webhooks(api, webhooks) => {
            let target = Target { source: source.clone(), token: Some(token.clone()) };
            webhook(State(host), Path(target), Extension(id), connection, request).await
        }
        _ => {
            let peer = host.edge.trusted_proxies.sender(connection, request.headers());
            refuse_near_miss(&host, id, peer, &segments, HttpError::NotFound("such path".into()))
        }
    }
}

/// Answers requests with a method that their path does not have.
pub async fn unknown_method(
    State(host): State<Arc<Host>>,
    Extension(id): Extension<RequestId>,
    Sender(peer): Sender,
    request: Request,
) -> Response {
    let segments = segments(request.uri().path());
    match &segments[..] {
        [api, webhooks, ..] if is_webhooks(api, webhooks) => {
            refuse_near_miss(&host, id, peer, &segments, HttpError::MethodNotAllowed)
        }
        _ => HttpError::MethodNotAllowed.into_response(),
    }
}

fn is_webhooks(api: &str, webhooks: &str) -> bool {
    (api, webhooks) == ("api", "webhooks")
}

/// Returns the segments of a path that are not empty, decoded.
fn segments(path: &str) -> Vec<String> {
    let decoded = |segment| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    path.split('/').filter(|segment| !segment.is_empty()).map(decoded).collect()
}

/// Counts, keeps and logs a refusal if the path names a source, but not the path itself, because it may hold a token.
fn refuse_near_miss(
    host: &Host,
    RequestId(id): RequestId,
    peer: Option<IpAddr>,
    segments: &[String],
    error: HttpError,
) -> Response {
    let source = segments.iter().find_map(|segment| host.sources.get(segment));
    refuse_for(host, source.as_deref(), id, peer, error)
}
