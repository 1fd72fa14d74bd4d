//! Receives payloads over HTTP and answers their senders.

mod answer;

use crate::bodies::{BodyOrigin, ReadBody};
use crate::extract::Path;
use crate::handshake;
use crate::host::Host;
use crate::http_error::HttpError;
use crate::metrics::UNKNOWN;
use crate::peer;
use crate::pipeline::{AcceptedPayload, DryRun};
use crate::refusals::NewRefusal;
use crate::request_id::RequestId;
use crate::routes::routes;
use crate::source::{OnUnmappable, Source};
use crate::traces::Trace;
use crate::verify::Unverified;
pub use answer::{Accepted, AcceptedStatus, Unmappable, UnmappableError};
use anyhow::anyhow;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ALLOW, CONTENT_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use hookmill_incident::{EventStatus, FailureCode};
use hookmill_signatures as signatures;
use hookmill_store::Recorded;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tracing::{Instrument, debug, debug_span, info};
use uuid::Uuid;

/// Unknown source names are truncated to this many characters; valid names are shorter.
const SHOWN_CHARS_MAX: usize = 80;

const WITHOUT_TOKEN: &str = "/api/webhooks/{source}";
const WITH_TOKEN: &str = "/api/webhooks/{source}/{token}";

routes! { pub routes, ROUTES;
    WITHOUT_TOKEN => post(webhook).get(challenge).options(permission);
    WITH_TOKEN => post(webhook).options(permission);
}

/// The parameters in a webhook's path.
#[derive(Deserialize)]
pub struct Target {
    /// The source's name.
    pub source: String,
    /// The part after the source's name, which may be a secret.
    pub token: Option<String>,
}

/// `POST /api/webhooks/{source}` and `POST /api/webhooks/{source}/{token}`.
pub async fn webhook(
    State(host): State<Arc<Host>>,
    Path(target): Path<Target>,
    Extension(RequestId(id)): Extension<RequestId>,
    connection: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Request,
) -> Response {
    let (Parts { headers, uri, .. }, body) = request.into_parts();
    let query = uri.query().map(str::to_owned);
    let span = debug_span!("webhook", request_id = %id);
    // Sources that the host reads do not post.
    let source = host.sources.get(&target.source).filter(|source| !source.settings.is_pulled());
    let peer = host.edge.trusted_proxies.sender(connection, &headers);
    let Some(source) = source else {
        host.pipeline.received(None);
        if let Some(why) = host.sources.unusable().get(&target.source) {
            let error = HttpError::Internal(anyhow!("source `{}` cannot be used: {why}", target.source));
            return refuse(&host, None, id, peer, error);
        }
        // Escaped, because a line feed in an unverified text would begin another line of the log.
        let name = target.source.escape_debug().take(SHOWN_CHARS_MAX).collect();
        // The operator finds the vendor's wrong URL at the source; the sender is not told which names exist.
        let meant = host.sources.meant_by(&target.source);
        return refuse(&host, meant.as_deref(), id, peer, HttpError::UnknownSource(name));
    };
    // The path itself may contain a token.
    let route = if target.token.is_some() { WITH_TOKEN } else { WITHOUT_TOKEN };
    let mut request_span = host.traces.request(route, &headers);
    request_span.set("hookmill.source", &*source.name);
    let trace = request_span.trace();
    let arrived = Arrived { id, source: &source, peer, token: target.token, query, headers, body, trace };
    host.pipeline.received(Some(&source));
    let response = async {
        match take(&host, arrived).await {
            Ok(AcceptedPayload::Recorded(recorded)) => {
                request_span.set("hookmill.event.id", recorded.state.id);
                request_span.set("hookmill.event.status", recorded.state.status.as_str());
                answer(&source, recorded)
            }
            Ok(AcceptedPayload::Handshake(answer)) => {
                log_handshake(&host, &source, id, &answer);
                answer
            }
            Err(error) => {
                let code = error.code();
                let response = refuse(&host, Some(&source), id, peer, error);
                // By the conventions of OpenTelemetry, a refusal that is the client's fault is no failure of the server.
                if response.status().is_server_error() {
                    request_span.fail(code);
                } else {
                    request_span.set("error.type", code);
                }
                response
            }
        }
    }
    .instrument(span)
    .await;
    request_span.answer(response.status());
    response
}

/// `GET /api/webhooks/{source}`: answers the challenge by which Okta checks that its customer owns the endpoint. Other
/// sources get 405.
pub async fn challenge(
    State(host): State<Arc<Host>>,
    Path(target): Path<Target>,
    Extension(RequestId(id)): Extension<RequestId>,
    connection: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Response {
    let peer = host.edge.trusted_proxies.sender(connection, &headers);
    answer_or_refuse(&host, &target, id, peer, |source| handshake::okta(source, &headers))
}

/// `OPTIONS /api/webhooks/{source}` and `OPTIONS /api/webhooks/{source}/{token}`: permits a sender of CloudEvents to post.
/// Other senders, and those of other sources, get 405.
pub async fn permission(
    State(host): State<Arc<Host>>,
    Path(target): Path<Target>,
    Extension(RequestId(id)): Extension<RequestId>,
    connection: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Response {
    let peer = host.edge.trusted_proxies.sender(connection, &headers);
    let (token, now_ms) = (target.token.as_deref(), host.store.clock().now_ms());
    let request = signatures::Request { headers: &headers, body: &[], token, now_ms, fetched: None };
    answer_or_refuse(&host, &target, id, peer, |source| handshake::cloud_events(source, &request))
}

/// Answers a handshake without a body, or refuses the method. Both count in the limit of the host, and not in that of the
/// source, which strangers could use up.
fn answer_or_refuse(
    host: &Host,
    target: &Target,
    id: Uuid,
    peer: Option<IpAddr>,
    answer: impl FnOnce(&Source) -> Option<Response>,
) -> Response {
    let source = host.sources.get(&target.source);
    if let Err(limited) = host.edge.rate_limit.check() {
        return refuse_for(host, source.as_deref(), id, peer, limited.into());
    }
    let admitted = source.as_deref().filter(|source| source.settings.admits(peer));
    match admitted.and_then(|source| Some((answer(source)?, source))) {
        Some((answer, source)) => {
            log_handshake(host, source, id, &answer);
            answer
        }
        None => {
            let refusal = refuse_for(host, source.as_deref(), id, peer, HttpError::MethodNotAllowed);
            ([(ALLOW, "POST")], refusal).into_response()
        }
    }
}

/// A request whose body has not been read yet.
#[derive(Debug)]
pub struct Arrived<'s> {
    /// The event's id, if the request becomes one.
    pub id: Uuid,
    /// The source in the path.
    pub source: &'s Arc<Source>,
    /// The address of the sender.
    pub peer: Option<IpAddr>,
    /// The token in the path.
    pub token: Option<String>,
    /// The query.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
    /// The trace of the request.
    pub trace: Trace,
}

/// Takes a request through all stages without their effects.
///
/// # Errors
/// Returns an error if the request is refused before its payload is verified, or the store fails.
pub async fn dry_run(host: &Host, arrived: Arrived<'_>) -> Result<DryRun, HttpError> {
    admit(&arrived)?;
    let (unverified, _memory) = read(host, arrived).await?;
    Ok(host.pipeline.dry_run(unverified).await?)
}

async fn take(host: &Host, arrived: Arrived<'_>) -> Result<AcceptedPayload, HttpError> {
    host.edge.rate_limit.check()?;
    admit(&arrived)?;
    if let Some(answer) = handshake::graph(arrived.source, arrived.query.as_deref()) {
        return Ok(AcceptedPayload::Handshake(answer));
    }
    let (unverified, _memory) = read(host, arrived).await?;
    Ok(host.pipeline.accept(unverified).await?)
}

/// Refuses addresses that the source does not allow, before the body takes memory.
fn admit(arrived: &Arrived) -> Result<(), HttpError> {
    arrived.source.settings.admits(arrived.peer).then_some(()).ok_or(HttpError::AddressRefused)
}

/// Reads the body. Its memory stays reserved until the second value is dropped.
async fn read(host: &Host, arrived: Arrived<'_>) -> Result<(Unverified, ReadBody), HttpError> {
    let Arrived { id, source, peer, token, query, headers, body, trace } = arrived;
    let mut span = trace.step("receive");
    let (received_at, begun) = (host.store.clock().now_ms(), Instant::now());
    let bytes_max = source.settings.payload_bytes_max;
    let origin = BodyOrigin { network: peer.map(peer::network), source: Some(source.name.clone()) };
    let mut read = host.edge.bodies.read(origin, &headers, body, bytes_max).await?;
    if headers.contains_key(CONTENT_ENCODING) {
        host.edge.bodies.make_room(&mut read, bytes_max).await?;
    }
    let body = read.bytes.clone();
    span.set("http.request.body.size", body.len() as i64);
    Ok((Unverified { id, received_at, begun, source: source.clone(), headers, token, query, body, trace }, read))
}

/// Logs the answer to a handshake. Some handshakes have no signature, so that they must not flood the log.
fn log_handshake(host: &Host, source: &Source, id: Uuid, answer: &Response) {
    if host.edge.logged_unverified.check().is_ok() {
        info!(request_id = %id, source = %source.name, "handshake answered with {}", answer.status());
    }
}

/// Counts, keeps and logs a refusal for a source, if there is one.
pub fn refuse_for(host: &Host, source: Option<&Source>, id: Uuid, peer: Option<IpAddr>, error: HttpError) -> Response {
    match source {
        Some(source) => refuse(host, Some(source), id, peer, error),
        None => error.into_response(),
    }
}

fn refuse(host: &Host, source: Option<&Source>, id: Uuid, peer: Option<IpAddr>, error: HttpError) -> Response {
    let (name, code, reason) = (source.map_or(UNKNOWN, |source| &source.name), error.code(), error.reason());
    host.pipeline.refused(source, code, &reason);
    host.refusals.add(NewRefusal {
        id,
        source: source.map(|source| &*source.name),
        code,
        reason: &reason,
        address: peer,
    });
    // Refused requests must not flood the log.
    if host.edge.logged_unverified.check().is_ok() {
        info!(request_id = %id, source = name, code, "webhook refused: {reason}");
    } else {
        debug!(request_id = %id, source = name, code, "webhook refused: {reason}");
    }
    error.into_response()
}

/// Answers the sender of a stored event.
fn answer(source: &Source, recorded: Recorded) -> Response {
    let Recorded { state, duplicate, .. } = recorded;
    let refused = matches!(state.code, Some(FailureCode::Malformed | FailureCode::Unsupported));
    if refused && state.status == EventStatus::Quarantined && source.settings.on_unmappable == OnUnmappable::Reject {
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(Unmappable::new(state, duplicate))).into_response();
    }
    (StatusCode::ACCEPTED, Json(Accepted::new(state, refused, duplicate))).into_response()
}
