//! `/api/stream` and `/api/events/stream`.

use super::parameters::{Parameters, invalid};
use crate::extract::Query;
use crate::host::Host;
use crate::http_error::HttpError;
use crate::stream::{Stream, StreamFilter, StreamReader, event_name};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use hookmill_incident::{EventStatus, Operation, Severity, id};
use jiff::Timestamp;
use std::future::ready;
use std::sync::Arc;
use tracing::warn;
use uuid::{Uuid, Variant};

/// The names of the events of `/api/events/stream` that can be selected.
const EVENT_TYPES: [&str; 2] = ["event", "refusal"];
const LAST_EVENT_ID: &str = "last-event-id";
/// The time that clients are asked to wait before they reconnect.
const RETRY: &[u8] = b"retry: 3000\n";

pub(super) async fn follow(
    State(host): State<Arc<Host>>,
    headers: HeaderMap,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let events: Vec<&str> = Operation::ALL.iter().copied().map(event_name).collect();
    let filter = StreamFilter {
        sources: parameters.all("source"),
        classes: parameters.words("severity", Severity::ALL)?.iter().map(ToString::to_string).collect(),
        events: parameters.words("type", &events)?.into_iter().map(str::to_owned).collect(),
    };
    answer(&host.stream, filter, &headers, parameters)
}

pub(super) async fn follow_events(
    State(host): State<Arc<Host>>,
    headers: HeaderMap,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let filter = StreamFilter {
        sources: parameters.all("source"),
        classes: parameters.words("status", EventStatus::ALL)?.iter().map(ToString::to_string).collect(),
        events: parameters.words("type", &EVENT_TYPES)?.into_iter().map(str::to_owned).collect(),
    };
    answer(&host.event_stream, filter, &headers, parameters)
}

fn answer(
    stream: &Arc<Stream>,
    filter: StreamFilter,
    headers: &HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, HttpError> {
    let from = parameters.one("from")?.map(|text| place("from", &text)).transpose()?;
    parameters.end()?;
    let last =
        headers.get(LAST_EVENT_ID).map(|value| place("Last-Event-ID", &String::from_utf8_lossy(value.as_bytes())));
    let reader = stream.follow(last.transpose()?.or(from), filter).ok_or(HttpError::Overloaded)?;
    let connected = Bytes::from([RETRY, &reader.mark("connected")].concat());
    let events = stream::once(ready(Ok(connected))).chain(stream::unfold(reader, next));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Asks nginx not to buffer the events.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

async fn next(mut reader: StreamReader) -> Option<(anyhow::Result<Bytes>, StreamReader)> {
    let next = reader.next().await;
    if let Err(error) = &next {
        warn!("cannot continue the stream of a client; closing its connection: {error:#}");
    }
    Some((next.transpose()?, reader))
}

/// Parses the position after which a reader continues.
fn place(name: &str, text: &str) -> Result<Uuid, HttpError> {
    // OpenCTI's clients begin with `0-0`.
    if matches!(text, "0" | "0-0") {
        return Ok(id::before(0));
    }
    let is_ours = |id: &Uuid| id.get_version_num() == 7 && id.get_variant() == Variant::RFC4122;
    let of_event = text.parse().ok().filter(is_ours);
    let of_time = || text.parse().ok().map(|time: Timestamp| id::before(time.as_millisecond()));
    let help = "expected the `id` of an event, a time such as 2026-01-31T08:00:00Z, or 0 for all events";
    of_event.or_else(of_time).ok_or_else(|| invalid(name, text, help))
}
