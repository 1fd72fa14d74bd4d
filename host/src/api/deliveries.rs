//! `/api/deliveries` and `/api/dead-letters`.

use super::page::page;
use super::parameters::Parameters;
use super::request_body::optional_body;
use super::shapes::{
    DeliveryWithMessage, List, RetriedDeliveries, RetriedDelivery, RetryFilter, ShownDeadLetters, ShownDelivery,
};
use crate::extract::{Bytes, Path, Query};
use crate::host::Host;
use crate::http_error::HttpError;
use axum::extract::State;
use axum::{Extension, Json};
use hookmill_store::{DeliveryFilter, DeliveryStatus, Scope, StoredDelivery};
use std::sync::Arc;

pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List<ShownDelivery>>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let filter = DeliveryFilter {
        destination: parameters.all("destination"),
        notification: parameters.all("notification"),
        status: parameters.words("status", DeliveryStatus::ALL)?,
        incident: parameters.ids("incident")?,
        event: parameters.ids("event")?,
        error: parameters.all("error"),
        created_after: parameters.time("created_after")?,
    };
    let (limit, before) = parameters.page()?;
    parameters.end()?;
    let found = host.store.deliveries(filter, before, limit).await?;
    Ok(page(found, ShownDelivery::from))
}

/// One delivery. The message may hold what the configuration does not show to everyone, so it needs scope `admin`.
pub(super) async fn show(
    State(host): State<Arc<Host>>,
    Extension(scope): Extension<Scope>,
    Path(id): Path<String>,
) -> Result<Json<DeliveryWithMessage>, HttpError> {
    let not_found = || HttpError::NotFound(format!("delivery `{id}`"));
    let parsed = id.parse().map_err(|_| not_found())?;
    let StoredDelivery { row, due } = host.store.delivery(parsed).await?.ok_or_else(not_found)?;
    let message = match scope {
        Scope::Admin => Some(host.deliverer.dry_run_delivery(&row.destination, &due).await),
        Scope::Read => None,
    };
    Ok(Json(DeliveryWithMessage { delivery: ShownDelivery::from(row), message }))
}

/// The dead letters by destination and error, the largest groups first.
pub(super) async fn dead_letters(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List<ShownDeadLetters>>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let (destinations, limit) = (parameters.all("destination"), parameters.limit()?);
    parameters.end()?;
    let groups = host.store.dead_letters(destinations, limit).await?;
    Ok(Json(List::complete(groups.into_iter().map(ShownDeadLetters::from))))
}

pub(super) async fn retry(
    State(host): State<Arc<Host>>,
    Path(id): Path<String>,
) -> Result<Json<RetriedDelivery>, HttpError> {
    let not_found = || HttpError::NotFound(format!("delivery `{id}`"));
    let parsed = id.parse().map_err(|_| not_found())?;
    let retried = host.store.retry_delivery(parsed).await?.ok_or_else(not_found)?;
    let destination =
        retried.map_err(|reason| HttpError::Conflict(format!("delivery `{id}` is not tried again: {reason}")))?;
    Ok(Json(RetriedDelivery { id: parsed, destination, status: DeliveryStatus::Pending }))
}

pub(super) async fn retry_dead(
    State(host): State<Arc<Host>>,
    Bytes(bytes): Bytes,
) -> Result<Json<RetriedDeliveries>, HttpError> {
    let which: RetryFilter = optional_body(&bytes)?;
    let filter = DeliveryFilter {
        destination: which.destination.into_iter().collect(),
        notification: which.notification.into_iter().collect(),
        status: Vec::new(),
        incident: which.incident.into_iter().collect(),
        event: which.event.into_iter().collect(),
        error: which.error.into_iter().collect(),
        created_after: which.created_after,
    };
    let retried = host.store.retry_dead(filter).await?;
    Ok(Json(RetriedDeliveries { retried }))
}
