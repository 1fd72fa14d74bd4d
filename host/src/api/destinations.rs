//! `/api/destinations`.

use super::shapes::{EnabledDestination, List, ShownDestination, ShownFailure};
use super::time::timestamp;
use crate::extract::Path;
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Json;
use axum::extract::State;
use hookmill_store::Attempt;
use std::sync::Arc;

pub(super) async fn list(State(host): State<Arc<Host>>) -> Result<Json<List<ShownDestination>>, HttpError> {
    let (counts, now) = (host.store.delivery_counts().await?, host.store.clock().now_ms());
    let mut shown = Vec::new();
    for (destination, activity) in host.deliverer.destinations().await {
        let state = host.store.destination(&destination.name);
        let (disabled, failing_since) = state.map(|state| (state.disabled, state.failing_since)).unwrap_or_default();
        let count = counts.iter().find(|count| count.destination == destination.name);
        shown.push(ShownDestination {
            name: destination.name.clone(),
            kind: destination.kind,
            gets_all_changes: destination.gets_all_changes,
            disabled,
            failing_since: failing_since.map(timestamp),
            failures: activity.failures,
            paused_until: activity.pause_ms().map(|pause| timestamp(now + pause)),
            last_failure: activity.last_failure.as_ref().map(failure),
            p50_ms: activity.duration_ms(0.5),
            p95_ms: activity.duration_ms(0.95),
            pending: count.map_or(0, |count| count.pending),
            oldest_pending_at: count.and_then(|count| count.oldest_pending).map(timestamp),
            dead: count.map_or(0, |count| count.dead),
        });
    }
    Ok(Json(List::complete(shown)))
}

fn failure(attempt: &Attempt) -> ShownFailure {
    ShownFailure { at: timestamp(attempt.at), http_status: attempt.http_status, error: attempt.error.clone() }
}

pub(super) async fn enable(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
) -> Result<Json<EnabledDestination>, HttpError> {
    let was_disabled = host.store.enable_destination(&name).await?;
    let was_disabled = was_disabled.ok_or_else(|| HttpError::NotFound(format!("destination `{name}`")))?;
    Ok(Json(EnabledDestination { name, was_disabled }))
}
