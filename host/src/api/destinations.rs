//! `/api/destinations`.

use super::shapes::{EnabledDestination, List, ShownDestination};
use super::time::timestamp;
use crate::extract::Path;
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Json;
use axum::extract::State;
use std::sync::Arc;

pub(super) async fn list(State(host): State<Arc<Host>>) -> Result<Json<List<ShownDestination>>, HttpError> {
    let counts = host.store.delivery_counts().await?;
    let mut shown = Vec::new();
    for destination in host.deliverer.destinations().await {
        let state = host.store.destination(&destination.name);
        let (disabled, failing_since) = state.map(|state| (state.disabled, state.failing_since)).unwrap_or_default();
        let count = counts.iter().find(|(name, ..)| *name == destination.name);
        let (pending, dead) = count.map_or((0, 0), |(_, pending, dead)| (*pending, *dead));
        shown.push(ShownDestination {
            name: destination.name.clone(),
            kind: destination.kind,
            gets_all_changes: destination.gets_all_changes,
            disabled,
            failing_since: failing_since.map(timestamp),
            pending,
            dead,
        });
    }
    Ok(Json(List::complete(shown)))
}

pub(super) async fn enable(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
) -> Result<Json<EnabledDestination>, HttpError> {
    let was_disabled = host.store.enable_destination(&name).await?;
    let was_disabled = was_disabled.ok_or_else(|| HttpError::NotFound(format!("destination `{name}`")))?;
    Ok(Json(EnabledDestination { name, was_disabled }))
}
