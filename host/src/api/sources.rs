//! `/api/sources`, and `POST /api/webhooks`, which registers one.

use super::{body, time};
use crate::Host;
use crate::config::period;
use crate::http_error::HttpError;
use crate::registry::Issued;
use crate::source::{Origin, PluginChoice, SecretNote, Source};
use axum::Json;
use crate::extract::{Bytes, Path};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long a secret is valid beside its successor, unless said otherwise.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn list(State(host): State<Arc<Host>>) -> Json<Value> {
    let sources = host.sources.all();
    Json(json!({"data": sources.values().map(|source| shown(source)).collect::<Vec<_>>(), "next_cursor": null}))
}

pub(super) async fn show(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<Json<Value>, HttpError> {
    let source = host.sources.get(&name).ok_or_else(|| HttpError::NotFound(format!("source `{name}`")))?;
    Ok(Json(shown(&source)))
}

/// What is registered: beside these, the keys of a source in the configuration file.
#[derive(Deserialize)]
struct Register {
    source: String,
    secret: Option<String>,
    #[serde(flatten)]
    declaration: Map<String, Value>,
}

pub(super) async fn register(
    State(host): State<Arc<Host>>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Value>), HttpError> {
    let Register { source, secret, declaration } = body(&bytes)?;
    let says_scheme = declaration.contains_key("scheme");
    let issued = host.sources.register(source, declaration, secret).await?;
    host.waiting.notify_one();
    let mut answer = with_secret(&issued);
    if !says_scheme && let Some(scheme) = vendors_scheme(&host, &issued.source) {
        answer["suggested_scheme"] = scheme.into();
    }
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(super) async fn change(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Json<Value>, HttpError> {
    let changes: Map<String, Value> = body(&bytes)?;
    if let Some(key) = ["source", "name"].into_iter().find(|key| changes.contains_key(*key)) {
        return Err(HttpError::InvalidRequest(format!("`{key}` cannot be changed; remove the source and add another")));
    }
    let source = host.sources.change(&name, changes).await?;
    host.waiting.notify_one();
    Ok(Json(shown(&source)))
}

pub(super) async fn remove(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<StatusCode, HttpError> {
    host.sources.remove(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rotate {
    secret: Option<String>,
    overlap: Option<String>,
}

pub(super) async fn rotate(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Json<Value>, HttpError> {
    let Rotate { secret, overlap } = if bytes.is_empty() { Rotate::default() } else { body(&bytes)? };
    let overlap = overlap.map(|text| period(&text).map_err(HttpError::InvalidRequest)).transpose()?;
    let issued = host.sources.rotate(&name, secret, overlap.unwrap_or(OVERLAP)).await?;
    Ok(Json(with_secret(&issued)))
}

/// A source, with its secret when that was made just now.
fn with_secret(issued: &Issued) -> Value {
    let mut answer = shown(&issued.source);
    if let Some(secret) = &issued.secret {
        answer["secret"] = secret.as_str().into();
    }
    answer
}

/// The scheme that the source's own mapper says its vendor signs with, if it is another than the source's.
fn vendors_scheme(host: &Host, source: &Source) -> Option<String> {
    let plugin = match &source.settings.plugin {
        PluginChoice::Auto => &*source.name,
        PluginChoice::Named(names) => names.first()?,
        PluginChoice::None => return None,
    };
    let scheme = host.loaded.plugins().get(plugin)?.description.scheme.clone()?;
    (scheme != source.settings.scheme.name()).then_some(scheme)
}

fn shown(source: &Source) -> Value {
    let (settings, tally) = (&source.settings, source.tally.now());
    let (origin, created_at, secrets) = match &source.origin {
        Origin::Configured => ("config", None, &[][..]),
        Origin::Registered { created_at, secrets } => ("registered", time(*created_at), &secrets[..]),
    };
    json!({
        "name": &*source.name,
        "origin": origin,
        "created_at": created_at,
        "scheme": settings.scheme.name(),
        "secrets": secrets.iter().map(secret_note).collect::<Vec<_>>(),
        "plugin": plugin(&settings.plugin),
        "auto_triage": settings.auto_triage,
        "playbook": settings.playbook,
        "severity_mapping": settings.severity_mapping,
        "settings": settings.settings.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "on_unmappable": settings.on_unmappable,
        "received": tally.received,
        "accepted": tally.accepted,
        "duplicates": tally.duplicates,
        "refused": tally.refused,
        "last_success": tally.last_success.and_then(time),
        "last_error": tally.last_error.map(|error| {
            json!({"at": time(error.at), "code": error.code, "message": error.message})
        }),
    })
}

fn secret_note(secret: &SecretNote) -> Value {
    json!({"id": secret.id, "created_at": time(secret.created_at), "not_after": secret.not_after.and_then(time)})
}

fn plugin(choice: &PluginChoice) -> Value {
    match choice {
        PluginChoice::Auto => "auto".into(),
        PluginChoice::None => "none".into(),
        PluginChoice::Named(names) if names.len() == 1 => names[0].as_str().into(),
        PluginChoice::Named(names) => json!(names),
    }
}
