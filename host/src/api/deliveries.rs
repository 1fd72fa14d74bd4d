//! `/api/deliveries`.

use super::parameters::Parameters;
use super::{List, shown, time};
use crate::Host;
use crate::extract::{Path, Query};
use crate::http_error::HttpError;
use crate::store::DeliveryFilter;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let filter = DeliveryFilter {
        destination: parameters.all("destination"),
        status: parameters.words("status", &["pending", "delivered", "dead"])?,
        incident: parameters.ids("incident")?,
    };
    let (limit, before) = parameters.page()?;
    parameters.end()?;
    let page = host.store.deliveries(filter, before, limit).await?;
    Ok(shown(page, |row| {
        let mut delivery = json!(row);
        if row.status == "pending" {
            delivery["next_attempt_at"] = json!(time(row.next_at));
        }
        delivery
    }))
}

pub(super) async fn retry(State(host): State<Arc<Host>>, Path(id): Path<String>) -> Result<Json<Value>, HttpError> {
    let not_found = || HttpError::NotFound(format!("delivery `{id}`"));
    let parsed = id.parse().map_err(|_| not_found())?;
    let retried = host.store.retry_delivery(parsed).await?.ok_or_else(not_found)?;
    let destination =
        retried.map_err(|reason| HttpError::Conflict(format!("delivery `{id}` is not tried again: {reason}")))?;
    host.deliverer.wake();
    Ok(Json(json!({"id": parsed, "destination": destination, "status": "pending"})))
}
