//! `/api/destinations`.

use super::time;
use crate::extract::Path;
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn list(State(host): State<Arc<Host>>) -> Result<Json<Value>, HttpError> {
    let counts = host.pipeline.store.delivery_counts().await?;
    let mut shown = Vec::new();
    for destination in host.deliverer.destinations().await {
        let state = host.pipeline.store.destination(&destination.name);
        let (disabled, failing_since) = state.map(|state| (state.disabled, state.failing_since)).unwrap_or_default();
        let count = counts.iter().find(|(name, ..)| *name == destination.name);
        let (pending, dead) = count.map_or((0, 0), |(_, pending, dead)| (*pending, *dead));
        shown.push(json!({
            "name": destination.name,
            "type": destination.kind,
            "told_all": destination.gets_all_changes,
            "disabled": disabled,
            "failing_since": failing_since.and_then(time),
            "pending": pending,
            "dead": dead,
        }));
    }
    Ok(Json(json!({"data": shown, "next_cursor": null})))
}

pub(super) async fn enable(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<Json<Value>, HttpError> {
    let was_disabled = host.pipeline.store.enable_destination(&name).await?;
    let was_disabled = was_disabled.ok_or_else(|| HttpError::NotFound(format!("destination `{name}`")))?;
    host.deliverer.retry_now();
    Ok(Json(json!({"name": name, "was_disabled": was_disabled})))
}
