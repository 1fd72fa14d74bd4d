//! `/api/plugins`.

use super::events;
use super::parameters::Parameters;
use super::plugin_version::{mapper_version, not_found, plugin_version};
use super::request_body::body;
use super::shapes::{
    ComparedCall, FileState, List, MapperDryRun, PluginDryRun, PluginDryRunRequest, PluginWithVersions, ShownPlugin,
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
use crate::release::proof::KnownPayloads;
use crate::release::report::hide_samples;
use crate::source::Source;
use axum::extract::State;
use axum::{Extension, Json};
use hookmill_incident::name::check_name;
use hookmill_incident::{Event, PluginVersion};
use hookmill_sandbox::{Kind, Plugin};
use hookmill_store::{ProofReport, Scope, VersionRow};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The number of stored payloads that a comparison maps.
const EVENTS_COMPARED_MAX: usize = 1000;

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
    let shown = |row| shown_version(&host, row);
    Ok(Json(PluginWithVersions { plugin, versions: versions.into_iter().map(shown).collect() }))
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

fn shown_version(host: &Host, row: VersionRow) -> ShownPluginVersion {
    ShownPluginVersion {
        available: host.releases.is_available(&row),
        version: row.plugin.version,
        sha256: row.plugin.sha256,
        seen_at: timestamp(row.seen_at),
        live_since: row.live_since.map(timestamp),
        state: row.state,
        report: row.report,
    }
}

/// Returns the changes that a file would make if it were in the plugins folder, or those that a known version makes.
pub(super) async fn diff(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
    PluginFileBody(mut file): PluginFileBody,
) -> Result<Json<ProofReport>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let (version, against) = (parameters.one("version")?, parameters.one("against")?);
    let signature = parameters.one("signature")?;
    let source = parameters.one("source")?;
    let stored = Some(parameters.count("events", 0, EVENTS_COMPARED_MAX)?).filter(|count| *count > 0);
    parameters.end()?;
    check_name(&name).map_err(HttpError::InvalidRequest)?;
    let bytes: Vec<u8> = std::mem::take(&mut file.bytes).into();
    let new = match version {
        Some(_) if !bytes.is_empty() => {
            return Err(HttpError::InvalidRequest("give either a plugin file as body or `version`".into()));
        }
        Some(sha256) => mapper_version(&host, &name, &sha256).await?,
        None => host.releases.load_file(&name, bytes, signature).await.map_err(|error| refused(&error))?,
    };
    let before = match against {
        Some(sha256) => Some(mapper_version(&host, &name, &sha256).await?),
        None => host.loaded.plugins().get(&name).cloned(),
    };
    let report = host.releases.diff(before.as_ref(), &new, KnownPayloads { source, stored }).await;
    Ok(Json(report.map_err(|error| refused(&error))?))
}

fn refused(error: &anyhow::Error) -> HttpError {
    HttpError::InvalidRequest(format!("the file is refused: {error:#}"))
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

pub(super) async fn remove(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
) -> Result<Json<PluginVersion>, HttpError> {
    carry_out(&host, name, VersionCommand::Remove).await
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
    let plugin = match &request.version {
        Some(sha256) => plugin_version(&host, &name, sha256).await?,
        None => {
            let plugin = host.loaded.plugins().get(&name).cloned();
            plugin.ok_or_else(|| HttpError::NotFound(format!("loaded plugin `{name}`")))?
        }
    };
    let against = match &request.against {
        Some(sha256) => Some(mapper_version(&host, &name, sha256).await?),
        None => None,
    };
    let named = NamedValues { headers: request.headers, context: request.context };
    let (event, source) = match (request.event, request.payload, request.body) {
        (Some(id), None, None) => stored_event(&host, &plugin, id).await?,
        (None, Some(payload), None) => dry_run_event(&host, name, request.source, named, payload.to_string())?,
        (None, None, Some(text)) => dry_run_event(&host, name, request.source, named, text)?,
        _ => return Err(HttpError::InvalidRequest("give one of `payload`, `body` and `event`".into())),
    };
    let shown = plugin_dry_run::dry_run(&plugin, &String::from_utf8_lossy(&event.body)).await;
    if let Some(shown) = shown.map_err(|error| HttpError::InvalidRequest(format!("`payload`: {error:#}")))? {
        return Ok(Json(shown));
    }
    let call = map::run(&plugin, &event, &source).await;
    let compared = match against {
        Some(against) => Some(ComparedCall::of(&against, &event, &source, &call.result).await),
        None => None,
    };
    let recorded = host.store.dry_run(mapped(event, &source, call.result.clone(), Vec::new())).await?;
    let mut result = MapperDryRun::new(&plugin, call, recorded.incidents, Some(recorded.deliveries));
    result.against = compared;
    Ok(Json(PluginDryRun::Mapper(result)))
}

/// Returns a stored event and its source.
async fn stored_event(host: &Host, plugin: &Plugin, id: Uuid) -> Result<(Event, Arc<Source>), HttpError> {
    if plugin.kind() != Kind::Mapper {
        return Err(HttpError::InvalidRequest("only a mapper can be called with an `event`".into()));
    }
    let row = events::find(host, &id.to_string()).await?;
    if row.body_removed_at.is_some() {
        return Err(HttpError::Conflict(format!("the payload of event `{id}` was removed by retention")));
    }
    let unregistered = || Arc::new(Source::unregistered(row.event.source.to_string()));
    let source = host.sources.get(&row.event.source).unwrap_or_else(unregistered);
    Ok((row.event, source))
}

/// The headers and the context that a request gives to its payload.
struct NamedValues {
    headers: BTreeMap<String, String>,
    context: BTreeMap<String, String>,
}

/// Returns an event with the payload of a request, and its source.
fn dry_run_event(
    host: &Host,
    plugin: String,
    source: Option<String>,
    NamedValues { headers, context }: NamedValues,
    payload: String,
) -> Result<(Event, Arc<Source>), HttpError> {
    let source = match source {
        Some(name) => host.sources.get(&name).ok_or(HttpError::UnknownSource(name))?,
        None => Arc::new(Source::unregistered(plugin)),
    };
    let headers = headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    let (id, now) = (host.store.new_id(), host.store.clock().now_ms());
    let event = Event::dry_run(id, now, source.name.clone(), headers, payload.into());
    Ok((Event { context: context.into_iter().collect(), ..event }, source))
}
