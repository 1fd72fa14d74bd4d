//! `/api/deliveries`.

use super::page::page;
use super::parameters::Parameters;
use super::request_body::optional_body;
use super::shapes::{List, RetriedDeliveries, RetriedDelivery, RetryFilter, ShownDelivery};
use crate::extract::{Bytes, Path, Query};
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Json;
use axum::extract::State;
use hookmill_store::{DeliveryFilter, DeliveryStatus};
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
    };
    let (limit, before) = parameters.page()?;
    parameters.end()?;
    let found = host.store.deliveries(filter, before, limit).await?;
    Ok(page(found, ShownDelivery::from))
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
    };
    let retried = host.store.retry_dead(filter).await?;
    Ok(Json(RetriedDeliveries { retried }))
}
