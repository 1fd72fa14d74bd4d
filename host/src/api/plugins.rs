//! `/api/plugins`.

use super::{body, time};
use crate::extract::{Bytes, Path, PluginFile};
use crate::host::Host;
use crate::http_error::HttpError;
use crate::loaded::PluginState;
use crate::map;
use crate::map::mapped;
use crate::plugin_dry_run;
use crate::release::command::VersionCommand;
use crate::source::Source;
use axum::Json;
use axum::extract::State;
use hookmill_incident::name::check_name;
use hookmill_incident::{Event, Reading, Verdict, given};
use hookmill_sandbox::Plugin;
use hookmill_store::Report;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) async fn list(State(host): State<Arc<Host>>) -> Json<Value> {
    let (plugins, states) = (host.loaded.plugins(), host.loaded.states());
    let shown = states.iter().map(|(name, state)| plugin(name, plugins.get(name), state));
    Json(json!({"data": shown.collect::<Vec<_>>(), "next_cursor": null}))
}

/// One plugin with its versions, each with its proof.
pub(super) async fn show(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<Json<Value>, HttpError> {
    let states = host.loaded.states();
    let state = states.get(&name).ok_or_else(|| not_found(&name))?;
    let mut shown = plugin(&name, host.loaded.plugins().get(&name), state);
    let versions = host.pipeline.store.plugin_versions(name).await?.into_iter().map(|row| {
        json!({
            "version": row.plugin.version,
            "sha256": row.plugin.sha256,
            "seen_at": time(row.seen_at),
            "live_since": row.live_since.and_then(time),
            "state": row.state,
            "report": row.report,
        })
    });
    shown["versions"] = versions.collect();
    Ok(Json(shown))
}

fn plugin(name: &str, live: Option<&Arc<Plugin>>, state: &PluginState) -> Value {
    json!({
        "name": name,
        "kind": live.map(|plugin| plugin.kind()),
        "api_version": live.map(|plugin| &plugin.api_version),
        "version": live.map(|plugin| &plugin.version.version),
        "summary": live.map(|plugin| &plugin.description.summary),
        "scheme": live.and_then(|plugin| plugin.description.scheme.as_ref()),
        "sha256": live.map(|plugin| &plugin.version.sha256),
        "state": if live.is_some() { "loaded" } else { "refused" },
        "loaded_at": state.loaded_at,
        "error": state.error,
    })
}

fn not_found(name: &str) -> HttpError {
    HttpError::NotFound(format!("plugin `{name}`"))
}

/// What a file would change if it were put into the plugins folder.
pub(super) async fn diff(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    PluginFile(bytes): PluginFile,
) -> Result<Json<Report>, HttpError> {
    check_name(&name).map_err(HttpError::InvalidRequest)?;
    let report = host.releases.diff(&name, bytes.into()).await;
    Ok(Json(report.map_err(|error| HttpError::InvalidRequest(format!("the file is refused: {error:#}")))?))
}

pub(super) async fn promote(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<Json<Value>, HttpError> {
    carry_out(&host, name, VersionCommand::Promote).await
}

pub(super) async fn rollback(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, HttpError> {
    carry_out(&host, name, VersionCommand::Rollback).await
}

async fn carry_out(host: &Host, name: String, command: VersionCommand) -> Result<Json<Value>, HttpError> {
    if !host.loaded.states().contains_key(&name) {
        return Err(not_found(&name));
    }
    let live = host.releases.carry_out(name, command).await;
    let live = live.map_err(|error| HttpError::Conflict(error.to_string()))?;
    Ok(Json(json!(live)))
}

/// What to map on trial.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    /// The payload as JSON…
    #[serde(default, deserialize_with = "given")]
    payload: Option<Value>,
    /// … or as text, byte for byte.
    #[serde(default, deserialize_with = "given")]
    body: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Whose settings to use.
    #[serde(default, deserialize_with = "given")]
    source: Option<String>,
}

pub(super) async fn run(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<Json<Value>, HttpError> {
    let run: Run = body(&bytes)?;
    let plugin = host.loaded.plugins().get(&name).cloned();
    let plugin = plugin.ok_or_else(|| HttpError::NotFound(format!("loaded plugin `{name}`")))?;
    let payload = match (run.payload, run.body) {
        (Some(payload), None) => payload.to_string(),
        (None, Some(text)) => text,
        _ => return Err(HttpError::InvalidRequest("give either `payload` or `body`".into())),
    };
    let shown = plugin_dry_run::dry_run(&plugin, &payload).await;
    if let Some(shown) = shown.map_err(|error| HttpError::InvalidRequest(format!("`payload`: {error:#}")))? {
        return Ok(Json(shown));
    }
    let source = match run.source {
        Some(name) => host.pipeline.sources.get(&name).ok_or(HttpError::UnknownSource(name))?,
        None => Arc::new(Source::unregistered(name)),
    };
    let headers = run.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    let event = Event::dry_run(host.pipeline.store.new_id(), source.name.clone(), headers, payload.into());
    let (verdict, trace) = map::run(&plugin, &event, &source).await;
    let outcome = outcome(&verdict);
    let preview = host.pipeline.store.dry_run(mapped(event, &source, verdict, Vec::new())).await?;
    Ok(Json(json!({
        "plugin": *plugin.version,
        "outcome": outcome,
        "incidents": preview.incidents,
        "deliveries": preview.deliveries,
        "log": trace.log,
        "duration_us": trace.duration.as_micros() as u64,
        "memory_bytes": trace.memory_bytes,
    })))
}

fn outcome(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Read { reading: Reading { observations, skipped, problems }, .. } => {
            json!({"incidents": observations.len(), "skipped": skipped, "problems": problems})
        }
        Verdict::Failed(failure) => json!({"error": {"code": failure.code.as_str(), "message": failure.message}}),
        Verdict::Wait(reason) => json!({"error": {"code": "queued", "message": reason}}),
        Verdict::NotMapped => json!(null),
    }
}
