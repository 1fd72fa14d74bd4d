//! `/api/refusals`.

use super::parameters::Parameters;
use super::shapes::{List, RefusedRequests};
use crate::extract::Query;
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Json;
use axum::extract::State;
use std::sync::Arc;

pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List<RefusedRequests>>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let (sources, limit) = (parameters.all("source"), parameters.limit()?);
    parameters.end()?;
    Ok(Json(List::complete(host.refusals.list(&sources, limit))))
}
