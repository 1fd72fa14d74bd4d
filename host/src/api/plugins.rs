//! `/api/plugins`.

use super::request_body::body;
use super::shapes::{
    FileState, List, MapperDryRun, PluginDryRun, PluginDryRunRequest, PluginWithVersions, ShownPlugin,
    ShownPluginVersion,
};
use super::time::timestamp;
use crate::extract::{Bytes, Path, PluginFileBody, Query};
use crate::host::Host;
use crate::http_error::HttpError;
use crate::loaded::PluginState;
use crate::map::{self, mapped};
use crate::plugin_dry_run;
use crate::release::command::VersionCommand;
use crate::release::report::hide_samples;
use crate::source::Source;
use axum::extract::State;
use axum::{Extension, Json};
use hookmill_incident::name::check_name;
use hookmill_incident::{Event, PluginVersion};
use hookmill_sandbox::Plugin;
use hookmill_store::{ProofReport, Scope, VersionRow};
use serde::Deserialize;
use std::sync::Arc;

pub(super) async fn list(State(host): State<Arc<Host>>) -> Json<List<ShownPlugin>> {
    let (plugins, states) = (host.loaded.plugins(), host.loaded.states());
    Json(List::complete(states.iter().map(|(name, state)| shown(name, plugins.get(name), state))))
}

/// One plugin with its versions, each with its proof. The reasons and fields of samples need scope `admin`.
pub(super) async fn show(
    State(host): State<Arc<Host>>,
    Extension(scope): Extension<Scope>,
    Path(name): Path<String>,
) -> Result<Json<PluginWithVersions>, HttpError> {
    let states = host.loaded.states();
    let state = states.get(&name).ok_or_else(|| not_found(&name))?;
    let plugin = shown(&name, host.loaded.plugins().get(&name), state);
    let mut versions = host.store.plugin_versions(name).await?;
    if scope == Scope::Read {
        versions.iter_mut().filter_map(|row| row.report.as_mut()).for_each(hide_samples);
    }
    Ok(Json(PluginWithVersions { plugin, versions: versions.into_iter().map(shown_version).collect() }))
}

fn shown(name: &str, live: Option<&Arc<Plugin>>, state: &PluginState) -> ShownPlugin {
    ShownPlugin {
        name: name.to_owned(),
        kind: live.map(|plugin| plugin.kind()),
        api_version: live.map(|plugin| plugin.api_version.clone()),
        version: live.map(|plugin| plugin.version.version.clone()),
        summary: live.map(|plugin| plugin.description.summary.clone()),
        scheme: live.and_then(|plugin| plugin.description.scheme.clone()),
        sha256: live.map(|plugin| plugin.version.sha256.clone()),
        state: if live.is_some() { FileState::Loaded } else { FileState::Refused },
        loaded_at: state.loaded_at,
        error: state.error.clone(),
    }
}

fn shown_version(row: VersionRow) -> ShownPluginVersion {
    ShownPluginVersion {
        version: row.plugin.version,
        sha256: row.plugin.sha256,
        seen_at: timestamp(row.seen_at),
        live_since: row.live_since.map(timestamp),
        state: row.state,
        report: row.report,
    }
}

fn not_found(name: &str) -> HttpError {
    HttpError::NotFound(format!("plugin `{name}`"))
}

/// The parameters of a comparison.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffQuery {
    /// The content of the signature file beside the file.
    signature: Option<String>,
}

/// Returns the changes that a file would make if it were in the plugins folder.
pub(super) async fn diff(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Query(DiffQuery { signature }): Query<DiffQuery>,
    PluginFileBody(mut file): PluginFileBody,
) -> Result<Json<ProofReport>, HttpError> {
    check_name(&name).map_err(HttpError::InvalidRequest)?;
    let bytes = std::mem::take(&mut file.bytes).into();
    let report = host.releases.diff(&name, bytes, signature.as_deref()).await;
    Ok(Json(report.map_err(|error| HttpError::InvalidRequest(format!("the file is refused: {error:#}")))?))
}

pub(super) async fn promote(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
) -> Result<Json<PluginVersion>, HttpError> {
    carry_out(&host, name, VersionCommand::Promote).await
}

pub(super) async fn rollback(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
) -> Result<Json<PluginVersion>, HttpError> {
    carry_out(&host, name, VersionCommand::Rollback).await
}

async fn carry_out(host: &Host, name: String, command: VersionCommand) -> Result<Json<PluginVersion>, HttpError> {
    if !host.loaded.states().contains_key(&name) {
        return Err(not_found(&name));
    }
    let live = host.releases.carry_out(name, command).await;
    let live = live.map_err(|error| HttpError::Conflict(error.to_string()))?;
    Ok(Json(live))
}

pub(super) async fn run(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<Json<PluginDryRun<serde_json::Value>>, HttpError> {
    let request: PluginDryRunRequest = body(&bytes)?;
    let plugin = host.loaded.plugins().get(&name).cloned();
    let plugin = plugin.ok_or_else(|| HttpError::NotFound(format!("loaded plugin `{name}`")))?;
    let payload = match (request.payload, request.body) {
        (Some(payload), None) => payload.to_string(),
        (None, Some(text)) => text,
        _ => return Err(HttpError::InvalidRequest("give either `payload` or `body`".into())),
    };
    let shown = plugin_dry_run::dry_run(&plugin, &payload).await;
    if let Some(shown) = shown.map_err(|error| HttpError::InvalidRequest(format!("`payload`: {error:#}")))? {
        return Ok(Json(shown));
    }
    let source = match request.source {
        Some(name) => host.sources.get(&name).ok_or(HttpError::UnknownSource(name))?,
        None => Arc::new(Source::unregistered(name)),
    };
    let headers = request.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    let (id, now) = (host.store.new_id(), host.store.clock().now_ms());
    let event = Event::dry_run(id, now, source.name.clone(), headers, payload.into());
    let call = map::run(&plugin, &event, &source).await;
    let recorded = host.store.dry_run(mapped(event, &source, call.result.clone(), Vec::new())).await?;
    let result = MapperDryRun::new(&plugin, call, recorded.incidents, Some(recorded.deliveries));
    Ok(Json(PluginDryRun::Mapper(result)))
}
