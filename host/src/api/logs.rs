//! `/api/logs`.

use super::parameters::Parameters;
use super::shapes::List;
use crate::http_error::HttpError;
use crate::recent_log;
use axum::Json;
use axum::extract::Query;

/// The number of lines by default.
const TAIL: usize = 100;

pub(super) async fn list(Query(pairs): Query<Vec<(String, String)>>) -> Result<Json<List<String>>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let filter = parameters.one("filter")?.unwrap_or_default();
    let tail = parameters.count("tail", TAIL, recent_log::LINES_MAX)?;
    parameters.end()?;
    Ok(Json(List::complete(recent_log::lines(&filter, tail))))
}
