//! `/api/sources`, and `POST /api/webhooks`, which registers one.

use super::{body, time};
use crate::Host;
use crate::config::period;
use crate::event::Event;
use crate::extract::{Bytes, Path};
use crate::http_error::HttpError;
use crate::id::unix_ms;
use crate::incident::given;
use crate::registry::Issued;
use crate::request_id::RequestId;
use crate::source::{Origin, PluginChoice, SecretNote, Source};
use crate::store::EventFilter;
use crate::trial::{DryRun, Trial};
use crate::verify::Verified;
use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use hookmill_signatures::Signed;
use http_body_util::BodyExt;
use ipnet::IpNet;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;
use uuid::Uuid;

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
    #[serde(default, deserialize_with = "given")]
    secret: Option<String>,
    #[serde(flatten)]
    declaration: Map<String, Value>,
}

pub(super) async fn register(
    State(host): State<Arc<Host>>,
    Bytes(bytes): Bytes,
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
    Bytes(bytes): Bytes,
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
    #[serde(deserialize_with = "given")]
    secret: Option<String>,
    #[serde(deserialize_with = "given")]
    overlap: Option<String>,
}

pub(super) async fn rotate(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<Json<Value>, HttpError> {
    let Rotate { secret, overlap } = if bytes.is_empty() { Rotate::default() } else { body(&bytes)? };
    let overlap = overlap.map(|text| period(&text).map_err(HttpError::InvalidRequest)).transpose()?;
    let issued = host.sources.rotate(&name, secret, overlap.unwrap_or(OVERLAP)).await?;
    Ok(Json(with_secret(&issued)))
}

/// What to send; without either the newest payload that the source has sent, or else a sample.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Test {
    #[serde(deserialize_with = "given")]
    payload: Option<Value>,
    #[serde(deserialize_with = "given")]
    body: Option<String>,
}

pub(super) async fn test(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<Json<Trial>, HttpError> {
    let test = if bytes.is_empty() { Test::default() } else { body(&bytes)? };
    let source = host.sources.get(&name).ok_or_else(|| HttpError::NotFound(format!("source `{name}`")))?;
    let payload = match (test.payload, test.body) {
        (Some(payload), None) => payload.to_string().into(),
        (None, Some(text)) => text.into(),
        (None, None) => newest_payload(&host, &name).await?.unwrap_or_else(|| sample(&source)),
        _ => return Err(HttpError::InvalidRequest("give either `payload` or `body`".into())),
    };
    let id = host.store.new_id();
    let signed = match source.settings.scheme.sign(&payload, unix_ms(), &id.to_string()) {
        Ok(signed) => signed,
        Err(cannot) => {
            let mut trial = Trial::default();
            trial.failed("sign", format!("{cannot}; what follows is tried as if it were signed"));
            let event = Event::trial(id, source.name.clone(), Vec::new(), payload);
            let trial = host.try_mapping(Verified::again(event, source), trial).await?;
            return Ok(Json(trial));
        }
    };
    let names: Vec<&str> = signed.headers.keys().map(HeaderName::as_str).collect();
    let mut trial = Trial::default();
    trial.passed("sign", if names.is_empty() { "nothing to add".to_owned() } else { names.join(", ") });
    let request = posted(&source, signed, id).map_err(HttpError::Internal)?;
    let Ok(response) = super::inbound_routes().with_state(host.clone()).oneshot(request).await;
    let status = response.status();
    let bytes = response.into_body().collect().await.map_err(|error| HttpError::Internal(error.into()))?.to_bytes();
    match serde_json::from_slice(&bytes) {
        Ok(received) if status.is_success() => trial.go_on(received),
        _ => {
            let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            trial.failed("receive", answer["error"]["message"].as_str().unwrap_or(status.as_str()));
        }
    }
    Ok(Json(trial))
}

async fn newest_payload(host: &Host, source: &str) -> Result<Option<axum::body::Bytes>, HttpError> {
    let filter = EventFilter { source: vec![source.to_owned()], ..EventFilter::default() };
    let Some(newest) = host.store.events(filter, None, 1).await?.rows.pop() else { return Ok(None) };
    Ok(host.store.event(newest.state.id).await?.map(|row| row.event.body))
}

fn sample(source: &Source) -> axum::body::Bytes {
    let alert = json!({"alert_id": "hookmill-test", "severity": "low", "title": format!("Test of {}", source.name)});
    let sample = match source.settings.scheme.name() {
        "microsoft-graph" => json!({"value": [alert]}),
        _ => json!({"event_type": "test", "source": &*source.name, "data": alert}),
    };
    sample.to_string().into()
}

/// What its vendor would post, from an address that it may post from.
fn posted(source: &Source, signed: Signed, id: Uuid) -> anyhow::Result<Request> {
    let mut url = Url::parse("http://localhost/api/webhooks")?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.push(&source.name).extend(signed.token);
    }
    let mut request = Request::post(url.path()).body(Body::from(signed.body))?;
    *request.headers_mut() = signed.headers;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let address = source.settings.allow_ips.first().map_or(IpAddr::from([127, 0, 0, 1]), IpNet::addr);
    let extensions = request.extensions_mut();
    extensions.insert(ConnectInfo(SocketAddr::new(address, 0)));
    extensions.insert(RequestId(id));
    extensions.insert(DryRun);
    Ok(request)
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
