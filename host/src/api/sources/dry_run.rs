//! `POST /api/sources/{name}/test`: signs a payload as the source's vendor would and posts it as a dry run.

use super::found;
use crate::Host;
use crate::api::{body_if_any, inbound_routes};
use hookmill_incident::{Event, NamedValue, given};
use crate::api::extract::{Bytes, Path};
use crate::api::http_error::HttpError;
use hookmill_incident::id::unix_ms;
use crate::api::request_id::RequestId;
use crate::source::Source;
use hookmill_store::EventFilter;
use crate::dry_run::{DryRun, Trial};
use crate::verify::Verified;
use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use hookmill_signatures::{SignError, Signed};
use http_body_util::BodyExt;
use ipnet::IpNet;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tower::ServiceExt;
use uuid::Uuid;

/// What to send; without either the newest payload that the source has sent, or else a sample.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Test {
    #[serde(deserialize_with = "given")]
    payload: Option<Value>,
    #[serde(deserialize_with = "given")]
    body: Option<String>,
}

pub(in crate::api) async fn test(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<Json<Trial>, HttpError> {
    let test: Test = body_if_any(&bytes)?;
    let source = found(&host, &name)?;
    let json = vec![(CONTENT_TYPE.to_string(), "application/json".to_owned())];
    let (headers, payload) = match (test.payload, test.body) {
        (Some(payload), None) => (json, payload.to_string().into()),
        (None, Some(text)) => (json, text.into()),
        (None, None) if let Some(pull) = &source.settings.pull => return Ok(Json(host.try_pull(&source, pull).await?)),
        (None, None) => newest_payload(&host, &name).await?.unwrap_or_else(|| (json, sample(&source))),
        _ => return Err(HttpError::InvalidRequest("give either `payload` or `body`".into())),
    };
    let id = host.store.new_id();
    if source.settings.pull.is_some() {
        let event = Event::dry_run(id, source.name.clone(), headers, payload);
        return Ok(Json(host.try_mapping(Verified::again(event, source), Trial::default()).await?));
    }
    let signed = match source.settings.scheme.sign(&payload, unix_ms(), &id.to_string()) {
        Ok(signed) => signed,
        Err(SignError::NoKey) => {
            let mut trial = Trial::default();
            trial.passed("sign", format!("{}: what follows is tried as if it were signed", SignError::NoKey));
            let event = Event::dry_run(id, source.name.clone(), headers, payload);
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
    let Ok(response) = inbound_routes().with_state(host.clone()).oneshot(request).await;
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
