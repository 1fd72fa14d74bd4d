//! `/api/logs`.

use super::parameters::Parameters;
use crate::http_error::HttpError;
use crate::recent_log;
use axum::Json;
use axum::extract::Query;
use serde_json::{Value, json};

const TAIL: usize = 100;

pub(super) async fn list(Query(pairs): Query<Vec<(String, String)>>) -> Result<Json<Value>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let filter = parameters.one("filter")?.unwrap_or_default();
    let tail = parameters.count("tail", TAIL, recent_log::LINES_MAX)?;
    parameters.end()?;
    Ok(Json(json!({"data": recent_log::lines(&filter, tail), "next_cursor": null})))
}
