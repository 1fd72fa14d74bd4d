//! `/api/vendors`.

use super::shapes::{List, Vendor};
use crate::http_error::HttpError;
use crate::vendors::bundled;
use axum::Json;

pub(super) async fn list() -> Result<Json<List<Vendor>>, HttpError> {
    Ok(Json(List::complete(bundled().map_err(HttpError::Internal)?)))
}
