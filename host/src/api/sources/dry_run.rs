//! `POST /api/sources/{name}/test`: signs a payload as the source's vendor would and posts it as a dry run.

use super::find::find;
use crate::api::request_body::optional_body;
use crate::api::shapes::{ErrorAnswer, SourceDryRunRequest};
use crate::dry_run::DryRun;
use crate::extract::{Bytes, Path};
use crate::host::Host;
use crate::http_error::HttpError;
use crate::receive::{self, DryRunMarker};
use crate::request_id::RequestId;
use crate::source::Source;
use crate::verify::Verified;
use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use hookmill_incident::timestamp::unix_ms;
use hookmill_incident::{Event, NamedValue};
use hookmill_signatures::{SignError, Signed};
use hookmill_store::EventFilter;
use http_body_util::BodyExt;
use ipnet::IpNet;
use reqwest::Url;
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tower::ServiceExt;
use uuid::Uuid;

pub(in crate::api) async fn test(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<Json<DryRun>, HttpError> {
    let request: SourceDryRunRequest = optional_body(&bytes)?;
    let source = find(&host, &name)?;
    let json = vec![(CONTENT_TYPE.to_string(), "application/json".to_owned())];
    let (headers, payload) = match (request.payload, request.body) {
        (Some(payload), None) => (json, payload.to_string().into()),
        (None, Some(text)) => (json, text.into()),
        (None, None) if let Some(pull) = host.puller.pull_of(&name) => {
            return Ok(Json(host.puller.dry_run(&source, &pull).await?));
        }
        (None, None) => newest_payload(&host, &name).await?.unwrap_or_else(|| (json, sample(&source))),
        _ => return Err(HttpError::InvalidRequest("give either `payload` or `body`".into())),
    };
    let id = host.pipeline.store.new_id();
    if source.settings.is_pulled() {
        let event = Event::dry_run(id, source.name.clone(), headers, payload);
        return Ok(Json(host.pipeline.dry_run_verified(Verified::trusted(event, source), DryRun::default()).await?));
    }
    let signed = match source.settings.scheme.sign(&payload, unix_ms(), &id.to_string()) {
        Ok(signed) => signed,
        Err(SignError::NoKey) => {
            let mut dry_run = DryRun::default();
            dry_run.passed("sign", format!("{}: the next stages assume a valid signature", SignError::NoKey));
            let event = Event::dry_run(id, source.name.clone(), headers, payload);
            return Ok(Json(host.pipeline.dry_run_verified(Verified::trusted(event, source), dry_run).await?));
        }
        Err(cannot) => {
            let mut dry_run = DryRun::default();
            dry_run.failed("sign", cannot.to_string());
            return Ok(Json(dry_run));
        }
    };
    let names: Vec<&str> = signed.headers.keys().map(HeaderName::as_str).collect();
    let mut dry_run = DryRun::default();
    dry_run.passed("sign", if names.is_empty() { "nothing to add".to_owned() } else { names.join(", ") });
    let request = posted(&source, &headers, signed, id).map_err(HttpError::Internal)?;
    let Ok(response) = receive::routes().with_state(host.clone()).oneshot(request).await;
    let status = response.status();
    let bytes = response.into_body().collect().await.map_err(|error| HttpError::Internal(error.into()))?.to_bytes();
    match serde_json::from_slice(&bytes) {
        Ok(received) if status.is_success() => dry_run.continue_with(received),
        _ => {
            let refusal: Option<ErrorAnswer> = serde_json::from_slice(&bytes).ok();
            dry_run.failed("receive", refusal.map_or_else(|| status.to_string(), |refusal| refusal.error.message));
        }
    }
    Ok(Json(dry_run))
}

/// Headers and body of the newest event of a source.
async fn newest_payload(host: &Host, source: &str) -> Result<Option<(Vec<NamedValue>, axum::body::Bytes)>, HttpError> {
    let filter = EventFilter { source: vec![source.to_owned()], ..EventFilter::default() };
    let Some(newest) = host.pipeline.store.events(filter, None, 1).await?.rows.pop() else { return Ok(None) };
    Ok(host.pipeline.store.event(newest.state.id).await?.map(|row| (row.event.headers, row.event.body)))
}

fn sample(source: &Source) -> axum::body::Bytes {
    let alert = json!({"alert_id": "hookmill-test", "severity": "low", "title": format!("Test of {}", source.name)});
    let sample = match source.settings.scheme.name() {
        "microsoft-graph" => json!({"value": [alert]}),
        _ => json!({"event_type": "test", "source": &*source.name, "data": alert}),
    };
    sample.to_string().into()
}

/// Returns the request that the vendor would send, from an address that the source allows.
fn posted(source: &Source, headers: &[NamedValue], signed: Signed, id: Uuid) -> anyhow::Result<Request> {
    let mut url = Url::parse("http://localhost/api/webhooks")?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.push(&source.name).extend(signed.token);
    }
    let mut request = Request::post(url.path()).body(Body::from(signed.body))?;
    for (name, value) in headers.iter().filter(|(name, _)| CONTENT_LENGTH != name.as_str()) {
        request.headers_mut().append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    // These replace stored headers of the same name, whose signature would be too old.
    request.headers_mut().extend(signed.headers);
    let address = source.settings.allow_ips.first().map_or(IpAddr::from([127, 0, 0, 1]), IpNet::addr);
    let extensions = request.extensions_mut();
    extensions.insert(ConnectInfo(SocketAddr::new(address, 0)));
    extensions.insert(RequestId(id));
    extensions.insert(DryRunMarker);
    Ok(request)
}
