//! `/api/events`.

use super::parameters::Parameters;
use super::{List, shown, time};
use crate::extract::{Path, Query};
use crate::host::Host;
use crate::http_error::HttpError;
use crate::pipeline::RemapError;
use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookmill_incident::{EventState, EventStatus, FailureCode};
use hookmill_store::{EventFilter, EventRow};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use uuid::Uuid;

pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let statuses: Vec<&str> = EventStatus::ALL.iter().map(|status| status.as_str()).collect();
    let codes: Vec<&str> = FailureCode::ALL.iter().map(|code| code.as_str()).collect();
    let filter = EventFilter {
        source: parameters.all("source"),
        status: parameters.words("status", &statuses)?,
        code: parameters.words("code", &codes)?,
        incident: parameters.ids("incident")?,
        created_after: parameters.time("created_after")?,
    };
    let (limit, before) = parameters.page()?;
    parameters.end()?;
    let page = host.pipeline.store.events(filter, before, limit).await?;
    Ok(shown(page, event))
}

pub(super) async fn show(State(host): State<Arc<Host>>, Path(id): Path<String>) -> Result<Json<Value>, HttpError> {
    let row = find(&host, &id).await?;
    let mut event = event(&row);
    event["body"] = match std::str::from_utf8(&row.event.body) {
        Ok(text) => json!({"encoding": "utf-8", "data": text}),
        Err(_) => json!({"encoding": "base64", "data": STANDARD.encode(&row.event.body)}),
    };
    Ok(Json(event))
}

/// Whether to do it or to say what would come of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn replay(
    State(host): State<Arc<Host>>,
    Path(id): Path<String>,
    Query(Replay { dry_run }): Query<Replay>,
) -> Result<Json<Value>, HttpError> {
    let row = find(&host, &id).await?;
    if row.state.status == EventStatus::Discarded {
        return Err(HttpError::Conflict(format!("event `{id}` was discarded")));
    }
    if dry_run {
        let preview = host.pipeline.dry_run_remap(row).await.map_err(|error| refused(&id, error))?;
        let mut shown = state(&preview.state);
        shown["incidents"] = json!(preview.incidents);
        return Ok(Json(shown));
    }
    let recorded = host.pipeline.remap(row).await.map_err(|error| refused(&id, error))?;
    Ok(Json(state(&recorded.state)))
}

fn refused(id: &str, error: RemapError) -> HttpError {
    match error {
        RemapError::Store(error) => error.into(),
        other => HttpError::Conflict(format!("event `{id}` was not mapped again: {other}")),
    }
}

pub(super) async fn discard(State(host): State<Arc<Host>>, Path(id): Path<String>) -> Result<Json<Value>, HttpError> {
    let parsed = id.parse().map_err(|_| not_found(&id))?;
    match host.pipeline.store.discard(parsed).await? {
        None => Err(not_found(&id)),
        Some(false) => Err(HttpError::Conflict(format!("event `{id}` does not wait for anything"))),
        Some(true) => Ok(Json(state(&find(&host, &id).await?.state))),
    }
}

async fn find(host: &Host, id: &str) -> Result<EventRow, HttpError> {
    let parsed: Uuid = id.parse().map_err(|_| not_found(id))?;
    host.pipeline.store.event(parsed).await?.ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> HttpError {
    HttpError::NotFound(format!("event `{id}`"))
}

/// What became of an event.
fn state(state: &EventState) -> Value {
    let error = state.code.map(|code| json!({"code": code.as_str(), "message": state.message}));
    json!({
        "id": state.id,
        "status": state.status.as_str(),
        "message": state.message,
        "error": error,
        "incidents": state.incidents,
    })
}

/// An event without its body.
fn event(row: &EventRow) -> Value {
    let pairs = |pairs: &[(String, String)]| {
        let pairs = pairs.iter().map(|(name, value)| json!({"name": name, "value": value}));
        pairs.collect::<Vec<_>>()
    };
    let mut shown = Map::from_iter([
        ("source".to_owned(), json!(&*row.event.source)),
        ("received_at".to_owned(), json!(time(row.event.received_at))),
        ("content_type".to_owned(), json!(row.event.content_type)),
        ("headers".to_owned(), json!(pairs(&row.event.headers))),
        ("context".to_owned(), json!(pairs(&row.event.context))),
        ("sha256".to_owned(), json!(hex::encode(row.event.digest))),
        ("attempts".to_owned(), json!(row.attempts)),
        ("tried".to_owned(), json!(row.tried)),
    ]);
    if let Value::Object(state) = state(&row.state) {
        shown.extend(state);
    }
    Value::Object(shown)
}
