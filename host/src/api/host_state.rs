//! `/healthz`, `/readyz` and `/metrics`.

use super::shapes::HostState;
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use hookmill_incident::EventStatus;
use std::sync::Arc;

pub(super) async fn healthz() -> Json<HostState> {
    state("ok")
}

pub(super) async fn readyz(State(host): State<Arc<Host>>) -> (StatusCode, Json<HostState>) {
    if !host.pipeline.store.is_open() {
        return (StatusCode::SERVICE_UNAVAILABLE, state("the store is closed"));
    }
    match host.loaded.is_settled() {
        true => (StatusCode::OK, state("ready")),
        false => (StatusCode::SERVICE_UNAVAILABLE, state("loading plugins")),
    }
}

fn state(status: &str) -> Json<HostState> {
    Json(HostState { status: status.to_owned() })
}

pub(super) async fn metrics(State(host): State<Arc<Host>>) -> Result<impl IntoResponse, HttpError> {
    host.pipeline.metrics.set_quarantined(host.pipeline.store.count_events(EventStatus::Quarantined).await?);
    host.pipeline.metrics.set_triage_waiting(host.pipeline.store.count_triage().await?);
    for (destination, pending, _) in host.pipeline.store.delivery_counts().await? {
        host.pipeline.metrics.set_delivery_queue(&destination, pending);
    }
    host.pipeline.metrics.set_stream_readers(host.stream.readers());
    Ok((
        [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")],
        host.pipeline.metrics.encode(),
    ))
}
