//! The API for people and programs that work with what was received.

mod authorize;
mod deliveries;
mod events;
mod incidents;
mod parameters;
mod plugins;

use crate::Host;
use crate::event::EventStatus;
use crate::http_error::HttpError;
use crate::receive;
use crate::store::Page;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

/// The largest body of a call.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What senders reach.
pub fn inbound_routes() -> Router<Arc<Host>> {
    Router::new()
        .route("/api/webhooks/{source}", post(receive::webhook).get(receive::challenge))
        .route("/api/webhooks/{source}/{token}", post(receive::webhook))
        .route("/healthz", get(healthz))
}

/// What operators reach.
pub fn admin_routes(host: &Arc<Host>) -> Router<Arc<Host>> {
    let guarded = Router::new()
        .route("/api/incidents", get(incidents::list))
        .route("/api/incidents/{id}", get(incidents::show).patch(incidents::patch).delete(incidents::delete))
        .route("/api/incidents/{id}/audit", get(incidents::audit))
        .route("/api/events", get(events::list))
        .route("/api/events/{id}", get(events::show))
        .route("/api/events/{id}/replay", post(events::replay))
        .route("/api/events/{id}/discard", post(events::discard))
        .route("/api/plugins", get(plugins::list))
        .route("/api/plugins/{name}/run", post(plugins::run))
        .route("/api/deliveries", get(deliveries::list))
        .route("/api/deliveries/{id}/retry", post(deliveries::retry))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route_layer(middleware::from_fn_with_state(host.clone(), authorize::check));
    Router::new().route("/readyz", get(readyz)).route("/metrics", get(metrics)).merge(guarded)
}

/// What is not there, in the shape of every other refusal.
pub async fn fallback() -> HttpError {
    HttpError::NotFound("such path".into())
}

async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn readyz(State(host): State<Arc<Host>>) -> impl IntoResponse {
    if !host.store.is_open() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "the store is closed"})));
    }
    match host.loaded.is_settled() {
        true => (StatusCode::OK, Json(json!({"status": "ready"}))),
        false => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "loading plugins"}))),
    }
}

async fn metrics(State(host): State<Arc<Host>>) -> Result<impl IntoResponse, HttpError> {
    host.metrics.set_quarantined(host.store.count_events(EventStatus::Quarantined).await?);
    for (destination, pending) in host.store.pending_deliveries().await? {
        host.metrics.set_delivery_queue(&destination, pending);
    }
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], host.metrics.encode()))
}

#[derive(Serialize)]
struct List {
    data: Vec<Value>,
    next_cursor: Option<String>,
}

/// A page as the API shows it.
fn shown<T>(page: Page<T>, show: impl Fn(&T) -> Value) -> Json<List> {
    let next_cursor = page.next.map(parameters::cursor);
    Json(List { data: page.rows.iter().map(show).collect(), next_cursor })
}

/// Reads a body as JSON whatever its type says it is.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, HttpError> {
    serde_json::from_slice(bytes).map_err(|error| HttpError::InvalidRequest(format!("the body: {error}")))
}

/// A point in time as the API shows it.
fn time(unix_ms: i64) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(unix_ms).ok()
}
