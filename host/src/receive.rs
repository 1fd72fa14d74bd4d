//! Takes payloads in over HTTP and answers their senders.

use crate::api::fallback;
use crate::event::{EventStatus, FailureCode};
use crate::http_error::HttpError;
use crate::id::unix_ms;
use crate::metrics::UNKNOWN;
use crate::source::{OnUnmappable, Source};
use crate::store::{EventState, IncidentRef, Recorded};
use crate::{Host, Taken, handshake};
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tracing::{Instrument, debug_span, info};
use uuid::Uuid;

/// How long a sender may take for a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A payload of a known source that nobody has checked.
#[derive(Debug)]
pub struct Unverified {
    /// The id that its event will have.
    pub id: Uuid,
    /// When it came, in milliseconds since the Unix epoch.
    pub received_at: i64,
    /// The source in its URL.
    pub source: Arc<Source>,
    /// Where it came from, as far as that is known.
    pub peer: Option<IpAddr>,
    /// Its headers.
    pub headers: HeaderMap,
    /// What its URL has after the source's name: a secret, as likely as not.
    pub token: Option<String>,
    /// The query of its URL.
    pub query: Option<String>,
    /// Its body, as it came over the wire.
    pub body: Bytes,
}

/// What a webhook's URL names.
#[derive(Deserialize)]
pub struct Target {
    source: String,
    token: Option<String>,
}

/// `POST /api/webhooks/{source}` and `POST /api/webhooks/{source}/{token}`.
pub async fn webhook(
    State(host): State<Arc<Host>>,
    Path(target): Path<Target>,
    connection: Option<Extension<ConnectInfo<SocketAddr>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let id = host.store.new_id();
    let span = debug_span!("webhook", request_id = %id);
    let Some(source) = host.sources.get(target.source.as_str()).cloned() else {
        host.metrics.received(UNKNOWN);
        return refuse(&host, UNKNOWN, id, HttpError::UnknownSource(target.source));
    };
    host.metrics.received(&source.name);
    let peer = host.trusted_proxies.sender(connection, &headers);
    async {
        match take(&host, Arrived { id, source: &source, peer, token: target.token, query, headers, body }).await {
            Ok(Taken::Recorded(recorded)) => answer(&host, &source, recorded),
            Ok(Taken::Handshake(answer)) => {
                info!(request_id = %id, source = %source.name, "handshake answered with {}", answer.status());
                answer
            }
            Err(error) => refuse(&host, &source.name, id, error),
        }
    }
    .instrument(span)
    .await
}

/// `GET /api/webhooks/{source}`: Okta asks so whether the endpoint is its customer's. For others there is nothing here.
pub async fn challenge(
    State(host): State<Arc<Host>>,
    Path(target): Path<Target>,
    connection: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Response {
    let peer = host.trusted_proxies.sender(connection, &headers);
    let source = host.sources.get(target.source.as_str()).filter(|source| source.settings.admits(peer));
    match source.and_then(|source| Some((source, handshake::okta(source, &headers)?))) {
        Some((source, answer)) => {
            info!(source = %source.name, "handshake answered with {}", answer.status());
            answer
        }
        None => fallback().await.into_response(),
    }
}

/// A request before its body was read.
struct Arrived<'s> {
    id: Uuid,
    source: &'s Arc<Source>,
    peer: Option<IpAddr>,
    token: Option<String>,
    query: Option<String>,
    headers: HeaderMap,
    body: Body,
}

async fn take(host: &Host, arrived: Arrived<'_>) -> Result<Taken, HttpError> {
    let Arrived { id, source, peer, token, query, headers, body } = arrived;
    let received_at = unix_ms();
    if let Some(answer) = handshake::graph(source, peer, query.as_deref())? {
        return Ok(Taken::Handshake(answer));
    }
    let body = read_body(&headers, body, source.settings.payload_bytes_max).await?;
    host.accept(Unverified { id, received_at, source: source.clone(), peer, headers, token, query, body }).await
}

async fn read_body(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, HttpError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > bytes_max) {
        return Err(HttpError::PayloadTooLarge { bytes_max });
    }
    let reading = axum::body::to_bytes(body, bytes_max);
    match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if is_too_long(&error) => Err(HttpError::PayloadTooLarge { bytes_max }),
        Ok(Err(_)) => Err(HttpError::InvalidRequest("the body ended before it was complete".into())),
        Err(_) => Err(HttpError::InvalidRequest(format!("the body took longer than {} s", BODY_TIMEOUT.as_secs()))),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>())
}

fn refuse(host: &Host, source: &str, id: Uuid, error: HttpError) -> Response {
    host.metrics.error(source, error.code());
    info!(request_id = %id, source, code = error.code(), "webhook refused: {error}");
    error.into_response()
}

#[derive(Serialize)]
struct Accepted<'a> {
    status: &'static str,
    event_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident_number: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    incidents: &'a [IncidentRef],
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

#[derive(Serialize)]
struct Unmappable<'a> {
    error: UnmappableError<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

#[derive(Serialize)]
struct UnmappableError<'a> {
    code: &'static str,
    message: &'a str,
    event_id: Uuid,
}

/// What the sender of a stored event is told.
fn answer(host: &Host, source: &Source, recorded: Recorded) -> Response {
    let Recorded { state, duplicate, .. } = recorded;
    if let Some(code) = state.code {
        host.metrics.error(&source.name, code.as_str());
        info!(request_id = %state.id, source = %source.name, code = code.as_str(), "event quarantined: {}",
            state.message.as_deref().unwrap_or_default());
    }
    let refused = matches!(state.code, Some(FailureCode::Malformed | FailureCode::Unsupported));
    if refused && state.status == EventStatus::Quarantined && source.settings.on_unmappable == OnUnmappable::Reject {
        let message = state.message.as_deref().unwrap_or_default();
        let error = UnmappableError { code: "unmappable_payload", message, event_id: state.id };
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(Unmappable { error, duplicate })).into_response();
    }
    (StatusCode::ACCEPTED, Json(accepted(&state, refused, duplicate))).into_response()
}

fn accepted(state: &EventState, refused: bool, duplicate: bool) -> Accepted<'_> {
    let status = match state.status {
        EventStatus::Mapped => "accepted",
        EventStatus::Partial if !state.incidents.is_empty() => "accepted",
        EventStatus::Quarantined if refused => "quarantined",
        EventStatus::Queued | EventStatus::Quarantined => "queued",
        EventStatus::Partial | EventStatus::Ignored | EventStatus::Discarded => "ignored",
    };
    let first = state.incidents.first();
    Accepted {
        status,
        event_id: state.id,
        incident_id: first.map(|incident| incident.id),
        incident_number: first.map(|incident| incident.number.as_str()),
        incidents: &state.incidents,
        queue_id: (status == "queued").then_some(state.id),
        message: state.message.as_deref(),
        duplicate,
    }
}
