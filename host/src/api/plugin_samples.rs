//! `/api/plugins/{name}/samples`. They are payloads of others, so they need scope `admin`, as payloads that quote them do.

use super::authorize::check_admin;
use super::events::{named_texts, shown_body};
use super::plugin_version::not_found;
use super::shapes::{List, PluginSample};
use crate::extract::Path;
use crate::host::Host;
use crate::http_error::HttpError;
use crate::payload_file::PayloadFile;
use crate::release::samples::Sample;
use axum::extract::State;
use axum::{Extension, Json};
use hookmill_store::Scope;
use std::sync::Arc;

pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Extension(scope): Extension<Scope>,
    Path(name): Path<String>,
) -> Result<Json<List<String>>, HttpError> {
    let found = samples(&host, scope, &name).await?;
    Ok(Json(List::complete(found.into_iter().map(|sample| sample.file))))
}

pub(super) async fn show(
    State(host): State<Arc<Host>>,
    Extension(scope): Extension<Scope>,
    Path((name, file)): Path<(String, String)>,
) -> Result<Json<PluginSample>, HttpError> {
    let found = samples(&host, scope, &name).await?.into_iter().find(|sample| sample.file == file);
    let sample = found.ok_or_else(|| HttpError::NotFound(format!("sample `{file}` of plugin `{name}`")))?;
    let read = host.releases.read_sample(sample).await;
    let unusable = |error| HttpError::Conflict(format!("sample `{file}` of plugin `{name}` is not used: {error:#}"));
    let PayloadFile { body, headers, context } = read.map_err(unusable)?;
    Ok(Json(PluginSample { headers: named_texts(headers), context: named_texts(context), body: shown_body(&body) }))
}

async fn samples(host: &Host, scope: Scope, name: &str) -> Result<Vec<Sample>, HttpError> {
    check_admin(scope)?;
    if !host.loaded.states().contains_key(name) {
        return Err(not_found(name));
    }
    Ok(host.releases.samples(name).await?)
}
