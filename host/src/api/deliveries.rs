//! `/api/deliveries`.

use super::parameters::Parameters;
use super::{List, body_if_any, shown, time};
use crate::extract::{Bytes, Path, Query};
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Json;
use axum::extract::State;
use hookmill_store::DeliveryFilter;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let filter = DeliveryFilter {
        destination: parameters.all("destination"),
        notification: parameters.all("notification"),
        status: parameters.words("status", &["pending", "delivered", "dead"])?,
        incident: parameters.ids("incident")?,
        event: parameters.ids("event")?,
    };
    let (limit, before) = parameters.page()?;
    parameters.end()?;
    let page = host.pipeline.store.deliveries(filter, before, limit).await?;
    Ok(shown(page, |row| {
        let mut delivery = json!(row);
        if row.status == "pending" {
            delivery["next_attempt_at"] = json!(row.next_at.and_then(time));
        }
        delivery
    }))
}

pub(super) async fn retry(State(host): State<Arc<Host>>, Path(id): Path<String>) -> Result<Json<Value>, HttpError> {
    let not_found = || HttpError::NotFound(format!("delivery `{id}`"));
    let parsed = id.parse().map_err(|_| not_found())?;
    let retried = host.pipeline.store.retry_delivery(parsed).await?.ok_or_else(not_found)?;
    let destination =
        retried.map_err(|reason| HttpError::Conflict(format!("delivery `{id}` is not tried again: {reason}")))?;
    host.deliverer.retry_now();
    Ok(Json(json!({"id": parsed, "destination": destination, "status": "pending"})))
}

/// Which dead deliveries are to be due again; nothing means all of them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Which {
    destination: Option<String>,
    notification: Option<String>,
    incident: Option<Uuid>,
    event: Option<Uuid>,
}

pub(super) async fn retry_dead(State(host): State<Arc<Host>>, Bytes(bytes): Bytes) -> Result<Json<Value>, HttpError> {
    let which: Which = body_if_any(&bytes)?;
    let filter = DeliveryFilter {
        destination: which.destination.into_iter().collect(),
        notification: which.notification.into_iter().collect(),
        status: Vec::new(),
        incident: which.incident.into_iter().collect(),
        event: which.event.into_iter().collect(),
    };
    let retried = host.pipeline.store.retry_dead(filter).await?;
    host.deliverer.retry_now();
    Ok(Json(json!({"retried": retried})))
}
