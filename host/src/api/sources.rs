//! `/api/sources`, and `POST /api/webhooks`, which registers one.

use super::{body, time};
use crate::Host;
use crate::config::period;
use crate::event::{Event, NamedValue};
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
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use hookmill_signatures::{CannotSign, Signed};
use http_body_util::BodyExt;
use ipnet::IpNet;
use reqwest::Url;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;
use uuid::Uuid;

/// How long a secret is valid beside its successor, unless said otherwise.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
const OVERLAP_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(super) async fn list(State(host): State<Arc<Host>>) -> Json<Value> {
    let sources = host.sources.all();
    Json(json!({"data": sources.values().map(|source| shown(&host, source)).collect::<Vec<_>>(), "next_cursor": null}))
}

pub(super) async fn show(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<Json<Value>, HttpError> {
    let source = host.sources.get(&name).ok_or_else(|| HttpError::NotFound(format!("source `{name}`")))?;
    Ok(Json(shown(&host, &source)))
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
    let issued = to_its_end(async move { registering.sources.register(source, declaration, secret.0).await }).await?;
    host.waiting.notify_one();
    let mut answer = with_secret(&host, &issued);
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
    let changing = host.clone();
    let source = to_its_end(async move { changing.sources.change(&name, changes).await }).await?;
    host.waiting.notify_one();
    Ok(Json(shown(&host, &source)))
}

pub(super) async fn remove(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<StatusCode, HttpError> {
    to_its_end(async move { host.sources.remove(&name).await }).await?;
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
    let Rotate { secret, overlap } = if bytes.is_empty() { Rotate::default() } else { body(&bytes)? };
    let overlap = overlap.map(|text| period(&text).map_err(HttpError::InvalidRequest)).transpose()?;
    let overlap = overlap.unwrap_or(OVERLAP);
    if overlap > OVERLAP_MAX {
        return Err(HttpError::InvalidRequest("`overlap` is at most 365d".into()));
    }
    let own = host.clone();
    let issued = to_its_end(async move { own.sources.rotate(&name, secret.0, overlap).await }).await?;
    Ok(Json(with_secret(&host, &issued)))
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
    let json = vec![(CONTENT_TYPE.to_string(), "application/json".to_owned())];
    let (headers, payload) = match (test.payload, test.body) {
        (Some(payload), None) => (json, payload.to_string().into()),
        (None, Some(text)) => (json, text.into()),
        (None, None) => newest_payload(&host, &name).await?.unwrap_or_else(|| (json, sample(&source))),
        _ => return Err(HttpError::InvalidRequest("give either `payload` or `body`".into())),
    };
    let id = host.store.new_id();
    let signed = match source.settings.scheme.sign(&payload, unix_ms(), &id.to_string()) {
        Ok(signed) => signed,
        Err(CannotSign::NoKey) => {
            let mut trial = Trial::default();
            trial.passed("sign", format!("{}: what follows is tried as if it were signed", CannotSign::NoKey));
            let event = Event::trial(id, source.name.clone(), headers, payload);
            return Ok(Json(host.try_mapping(Verified::again(event, source), trial).await?));
        }
        Err(cannot) => {
            let mut trial = Trial::default();
            trial.failed("sign", cannot.to_string());
            return Ok(Json(trial));
        }
    };
    let names: Vec<&str> = signed.headers.keys().map(HeaderName::as_str).collect();
    let mut trial = Trial::default();
    trial.passed("sign", if names.is_empty() { "nothing to add".to_owned() } else { names.join(", ") });
    let request = posted(&source, &headers, signed, id).map_err(HttpError::Internal)?;
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

/// Headers and body of the newest event of a source.
async fn newest_payload(host: &Host, source: &str) -> Result<Option<(Vec<NamedValue>, axum::body::Bytes)>, HttpError> {
    let filter = EventFilter { source: vec![source.to_owned()], ..EventFilter::default() };
    let Some(newest) = host.store.events(filter, None, 1).await?.rows.pop() else { return Ok(None) };
    Ok(host.store.event(newest.state.id).await?.map(|row| (row.event.headers, row.event.body)))
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
fn posted(source: &Source, headers: &[NamedValue], signed: Signed, id: Uuid) -> anyhow::Result<Request> {
    let mut url = Url::parse("http://localhost/api/webhooks")?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.push(&source.name).extend(signed.token);
    }
    let mut request = Request::post(url.path()).body(Body::from(signed.body))?;
    for (name, value) in headers.iter().filter(|(name, _)| CONTENT_LENGTH != name.as_str()) {
        request.headers_mut().append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    // Of these there is one each, and they are of now.
    request.headers_mut().extend(signed.headers);
    let address = source.settings.allow_ips.first().map_or(IpAddr::from([127, 0, 0, 1]), IpNet::addr);
    let extensions = request.extensions_mut();
    extensions.insert(ConnectInfo(SocketAddr::new(address, 0)));
    extensions.insert(RequestId(id));
    extensions.insert(DryRun);
    Ok(request)
}

/// Makes a change also when who asked for it hangs up meanwhile: half of one would be in the database alone.
async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, HttpError>> + Send + 'static,
) -> Result<T, HttpError> {
    tokio::spawn(change).await.map_err(|error| HttpError::Internal(error.into()))?
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
        "playbook_error": host.missing_playbook(source),
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
