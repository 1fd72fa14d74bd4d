//! `/healthz`, `/readyz` and `/metrics`.

use super::shapes::HostState;
use crate::host::Host;
use anyhow::{Result, anyhow};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use hookmill_incident::EventStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tracing::warn;

/// The time for which counts of rows are shown again.
const COUNTED_FOR: Duration = Duration::from_secs(1);
/// The time that counting may take. Prometheus waits for 10 s unless it is told otherwise.
const COUNTED_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn healthz() -> Json<HostState> {
    state("ok")
}

pub(super) async fn readyz(State(host): State<Arc<Host>>) -> (StatusCode, Json<HostState>) {
    if !host.store.is_open() {
        return (StatusCode::SERVICE_UNAVAILABLE, state("the store is closed"));
    }
    if let Some(trouble) = host.store.trouble() {
        return (StatusCode::SERVICE_UNAVAILABLE, state(&format!("the store takes no writes: {trouble}")));
    }
    if let Some(shortage) = host.edge.disk.shortage() {
        return (StatusCode::SERVICE_UNAVAILABLE, state(&shortage));
    }
    match host.loaded.is_settled() {
        true => (StatusCode::OK, state("ready")),
        false => (StatusCode::SERVICE_UNAVAILABLE, state("loading plugins")),
    }
}

fn state(status: &str) -> Json<HostState> {
    Json(HostState { status: status.to_owned() })
}

pub(super) async fn metrics(State(host): State<Arc<Host>>) -> impl IntoResponse {
    let counted = timeout(COUNTED_WITHIN, count_rows(&host)).await;
    if let Err(error) = counted.unwrap_or_else(|_| Err(anyhow!("it takes longer than {COUNTED_WITHIN:?}")))
        && host.edge.logged_errors.check().is_ok()
    {
        warn!("/metrics shows older counts of rows, because the store does not count them: {error:#}");
    }
    host.metrics.set_stream_readers(host.reader_places.taken());
    host.metrics.set_leases(host.store.held_leases());
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], host.metrics.encode())
}

/// Sets the metrics that are counted in the store, at most once in a second however many clients ask.
async fn count_rows(host: &Host) -> Result<()> {
    let mut counted_at = host.edge.counted_at.lock().await;
    if counted_at.is_some_and(|at| at.elapsed() < COUNTED_FOR) {
        return Ok(());
    }
    let Host { store, metrics, .. } = host;
    metrics.set_quarantined(store.count_events(EventStatus::Quarantined).await?);
    metrics.set_triage_waiting(store.count_triage().await?);
    for counts in store.delivery_counts().await? {
        metrics.set_delivery_queue(&counts.destination, counts.pending);
    }
    metrics.set_storage(&host.storage().await?);
    metrics.set_counted_at(store.clock().now_ms() / 1_000);
    *counted_at = Some(Instant::now());
    Ok(())
}
