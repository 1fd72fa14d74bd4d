//! `/api/sources`, and `POST /api/webhooks`, which registers one.

pub(super) mod dry_run;

use super::{body, body_if_any, time};
use crate::config::period;
use crate::extract::{Bytes, Path};
use crate::host::Host;
use crate::http_error::HttpError;
use crate::registry::{Issued, RegisterError};
use crate::source::{PluginChoice, SecretNote, Source, SourceOrigin};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hookmill_incident::given;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a secret is valid beside its successor, unless said otherwise.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
const OVERLAP_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(super) async fn list(State(host): State<Arc<Host>>) -> Result<Json<Value>, HttpError> {
    let (sources, unusable) = (host.pipeline.sources.all(), host.pipeline.sources.unusable());
    let positions = host.pipeline.store.cursors().await?;
    let shown = sources.values().map(|source| shown_read(&host, source, &positions));
    let data: Vec<Value> = shown.chain(unusable.iter().map(|(name, why)| shown_unusable(name, why))).collect();
    Ok(Json(json!({"data": data, "next_cursor": null})))
}

pub(super) async fn show(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<Json<Value>, HttpError> {
    match host.pipeline.sources.unusable().get(&name) {
        Some(why) => Ok(Json(shown_unusable(&name, why))),
        None => Ok(Json(shown_read(&host, &*found(&host, &name)?, &host.pipeline.store.cursors().await?))),
    }
}

fn found(host: &Host, name: &str) -> Result<Arc<Source>, HttpError> {
    host.pipeline.sources.get(name).ok_or_else(|| HttpError::NotFound(format!("source `{name}`")))
}

/// What is registered: beside these, the keys of a source in the configuration file.
#[derive(Deserialize)]
struct Register {
    source: String,
    #[serde(default)]
    secret: GivenSecret,
    #[serde(flatten)]
    declaration: Map<String, Value>,
}

pub(super) async fn register(
    State(host): State<Arc<Host>>,
    Bytes(bytes): Bytes,
) -> Result<(StatusCode, Json<Value>), HttpError> {
    let Register { source, secret, declaration } = body(&bytes)?;
    let says_scheme = declaration.contains_key("scheme");
    let registering = host.clone();
    let issued = complete(async move { registering.registry.register(source, declaration, secret.0).await }).await?;
    let mut answer = with_secret(&host, &issued);
    if !says_scheme && let Some(scheme) = vendors_scheme(&host, &issued.source) {
        answer["suggested_scheme"] = scheme.into();
    }
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Keys of a source in the configuration file; a secret only with another scheme.
#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    secret: GivenSecret,
    #[serde(flatten)]
    changes: Map<String, Value>,
}

pub(super) async fn change(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<Json<Value>, HttpError> {
    let Change { secret, changes } = body(&bytes)?;
    if let Some(key) = ["source", "name"].into_iter().find(|key| changes.contains_key(*key)) {
        return Err(HttpError::InvalidRequest(format!("`{key}` cannot be changed; remove the source and add another")));
    }
    let changing = host.clone();
    let source = complete(async move { changing.registry.change(&name, changes, secret.0).await }).await?;
    Ok(Json(shown(&host, &source)))
}

pub(super) async fn remove(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<StatusCode, HttpError> {
    complete(async move { host.registry.remove(&name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rotate {
    secret: GivenSecret,
    #[serde(deserialize_with = "given")]
    overlap: Option<String>,
}

pub(super) async fn rotate(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<Json<Value>, HttpError> {
    let Rotate { secret, overlap } = body_if_any(&bytes)?;
    let overlap = overlap.map(|text| period(&text).map_err(HttpError::InvalidRequest)).transpose()?;
    let overlap = overlap.unwrap_or(OVERLAP);
    if overlap > OVERLAP_MAX {
        return Err(HttpError::InvalidRequest("`overlap` is at most 365d".into()));
    }
    let own = host.clone();
    let issued = complete(async move { own.registry.rotate(&name, secret.0, overlap).await }).await?;
    Ok(Json(with_secret(&host, &issued)))
}

/// Completes a change even if the client hangs up meanwhile: half of a change would be in the database alone.
async fn complete<T: Send + 'static>(
    change: impl Future<Output = Result<T, RegisterError>> + Send + 'static,
) -> Result<T, HttpError> {
    Ok(tokio::spawn(change).await.map_err(|error| HttpError::Internal(error.into()))??)
}

/// A secret that may be given. What is given instead of one is not quoted: it may be one.
#[derive(Default)]
struct GivenSecret(Option<String>);

impl<'de> Deserialize<'de> for GivenSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(Some(text))),
            _ => Err(D::Error::custom("`secret` is text")),
        }
    }
}

/// A source, with its secret when that was made just now.
fn with_secret(host: &Host, issued: &Issued) -> Value {
    let mut answer = shown(host, &issued.source);
    if let Some(secret) = &issued.secret {
        answer["secret"] = secret.expose().into();
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

fn shown(host: &Host, source: &Source) -> Value {
    let (settings, tally) = (&source.settings, source.tally.now());
    let (origin, created_at, secrets) = match &source.origin {
        SourceOrigin::Configured => ("config", None, &[][..]),
        SourceOrigin::Registered { created_at, secrets } => ("registered", time(*created_at), &secrets[..]),
    };
    json!({
        "name": &*source.name,
        "kind": settings.kind,
        "origin": origin,
        "created_at": created_at,
        "scheme": (!settings.is_pulled()).then(|| settings.scheme.name()),
        "secrets": secrets.iter().map(secret_note).collect::<Vec<_>>(),
        "plugin": plugin(&settings.plugin),
        "auto_triage": settings.auto_triage,
        "playbook": settings.playbook,
        "playbook_error": host.triager.missing_playbook(source),
        "severity_mapping": settings.severity_mapping,
        "settings": settings.settings.iter().cloned().collect::<BTreeMap<_, _>>(),
        "on_unmappable": settings.on_unmappable,
        "silent_after_s": settings.silent_after.map(|time| time.as_secs()),
        "allow_ips": settings.allow_ips,
        "requests_per_second": settings.rate_limit.requests_per_second(),
        "payload_mib": settings.payload_bytes_max / (1024 * 1024),
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

/// A source, with how far it was read.
fn shown_read(host: &Host, source: &Source, positions: &BTreeMap<String, String>) -> Value {
    let mut shown = shown(host, source);
    if source.settings.is_pulled() {
        shown["position"] = json!(positions.get(&*source.name));
    }
    shown
}

/// A registered source that cannot be used.
fn shown_unusable(name: &str, why: &str) -> Value {
    json!({"name": name, "origin": "registered", "last_error": {"at": null, "code": "unusable", "message": why}})
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
