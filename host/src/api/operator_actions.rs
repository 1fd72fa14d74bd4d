//! `/api/operator-actions`.

use super::page::page;
use super::parameters::Parameters;
use super::shapes::{List, ShownOperatorAction};
use crate::extract::Query;
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Json;
use axum::extract::State;
use std::sync::Arc;

pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List<ShownOperatorAction>>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let ids = parameters.ids("id")?;
    let (limit, before) = parameters.page()?;
    parameters.end()?;
    let found = host.store.operator_actions(ids, before, limit).await?;
    Ok(page(found, ShownOperatorAction::from))
}
