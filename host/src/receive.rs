//! Takes payloads in over HTTP and answers their senders.

use crate::Host;
use crate::event::{EventStatus, FailureCode};
use crate::extract::Path;
use crate::http_error::HttpError;
use crate::id::unix_ms;
use crate::metrics::UNKNOWN;
use crate::request_id::RequestId;
use crate::source::{LastError, OnUnmappable, Source, Tally};
use crate::store::{EventState, IncidentRef, Recorded};
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use std::sync::Arc;
use tracing::{Instrument, debug_span, info};
use uuid::Uuid;

/// A payload of a known source that nobody has checked.
#[derive(Debug)]
pub struct Unverified {
    /// The id that its event will have.
    pub id: Uuid,
    /// When it came, in milliseconds since the Unix epoch.
    pub received_at: i64,
    /// The source in its URL.
    pub source: Arc<Source>,
    /// Its headers.
    pub headers: HeaderMap,
    /// The query of its URL.
    pub query: Option<String>,
    /// Its body.
    pub body: Bytes,
}

/// `POST /api/webhooks/{source}`.
pub async fn webhook(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Extension(RequestId(id)): Extension<RequestId>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let span = debug_span!("webhook", request_id = %id);
    let Some(source) = host.sources.get(&name) else {
        host.metrics.received(UNKNOWN);
        return refuse(&host, None, id, HttpError::UnknownSource(name));
    };
    host.metrics.received(&source.name);
    source.tally.count(|tally| tally.received += 1);
    async {
        let taken = take(&host, id, &source, headers, query, body).await;
        match taken {
            Ok(recorded) => answer(&host, &source, recorded),
            Err(error) => refuse(&host, Some(&source), id, error),
        }
    }
    .instrument(span)
    .await
}

async fn take(
    host: &Host,
    id: Uuid,
    source: &Arc<Source>,
    headers: HeaderMap,
    query: Option<String>,
    body: Body,
) -> Result<Recorded, HttpError> {
    let received_at = unix_ms();
    host.rate_limit.check()?;
    // Its memory is its own until it is answered.
    let read = host.bodies.read(&headers, body, source.settings.payload_bytes_max).await?;
    let body = read.bytes.clone();
    host.accept(Unverified { id, received_at, source: source.clone(), headers, query, body }).await
}

fn refuse(host: &Host, source: Option<&Source>, id: Uuid, error: HttpError) -> Response {
    let (name, code) = (source.map_or(UNKNOWN, |source| &source.name), error.code());
    host.metrics.error(name, code);
    if let Some(source) = source {
        source.tally.count(|tally| {
            tally.refused += 1;
            tally.last_error = Some(last_error(code, &error.to_string()));
        });
    }
    info!(request_id = %id, source = name, code, "webhook refused: {error}");
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
    source.tally.count(|tally| count(tally, &state, duplicate));
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

fn count(tally: &mut Tally, state: &EventState, duplicate: bool) {
    if duplicate {
        tally.duplicates += 1;
        return;
    }
    tally.accepted += 1;
    match (state.status, state.code) {
        (EventStatus::Mapped | EventStatus::Partial | EventStatus::Ignored, _) => tally.last_success = Some(unix_ms()),
        (_, Some(code)) => {
            tally.last_error = Some(last_error(code.as_str(), state.message.as_deref().unwrap_or_default()));
        }
        _ => {}
    }
}

fn last_error(code: &str, message: &str) -> LastError {
    LastError { at: unix_ms(), code: code.to_owned(), message: message.to_owned() }
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
