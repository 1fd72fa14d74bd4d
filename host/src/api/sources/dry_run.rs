//! `POST /api/sources/{name}/test`: signs a payload as the source's vendor would and receives it as a dry run.

use super::find::find;
use crate::api::request_body::optional_body;
use crate::api::shapes::SourceDryRunRequest;
use crate::extract::{Bytes, Path};
use crate::host::Host;
use crate::http_error::HttpError;
use crate::pipeline::DryRun;
use crate::receive::{self, Arrived};
use crate::source::Source;
use crate::traces::Trace;
use crate::verify::Verified;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use hookmill_incident::{Event, NamedValue};
use hookmill_signatures::SignError;
use hookmill_store::EventFilter;
use ipnet::IpNet;
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;

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
    let (id, now) = (host.store.new_id(), host.store.clock().now_ms());
    if source.settings.is_pulled() {
        let event = Event::dry_run(id, now, source.name.clone(), headers, payload);
        return Ok(Json(host.pipeline.dry_run_verified(Verified::trusted(event, source), DryRun::default()).await?));
    }
    let signed = match source.settings.scheme.sign(&payload, now, &id.to_string()) {
        Ok(signed) => signed,
        Err(SignError::NoKey) => {
            let mut dry_run = DryRun::default();
            dry_run.passed("sign", format!("{}: the next stages assume a valid signature", SignError::NoKey));
            let event = Event::dry_run(id, now, source.name.clone(), headers, payload);
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
    let arrived = Arrived {
        id,
        peer: Some(source.settings.allow_ips.first().map_or(IpAddr::from([127, 0, 0, 1]), IpNet::addr)),
        token: signed.token,
        query: None,
        headers: posted_headers(&headers, signed.headers).map_err(HttpError::Internal)?,
        body: Body::from(signed.body),
        source: &source,
        trace: Trace::default(),
    };
    match receive::dry_run(&host, arrived).await {
        Ok(received) => dry_run.continue_with(received),
        Err(error) => dry_run.failed("receive", error.to_string()),
    }
    Ok(Json(dry_run))
}

/// Headers and body of the newest event of a source.
async fn newest_payload(host: &Host, source: &str) -> Result<Option<(Vec<NamedValue>, axum::body::Bytes)>, HttpError> {
    let filter = EventFilter { source: vec![source.to_owned()], ..EventFilter::default() };
    let newest = host.store.events(filter, None, 1).await?.rows.pop();
    let Some(newest) = newest.and_then(Result::ok) else { return Ok(None) };
    let row = host.store.event(newest.state.id).await?.and_then(Result::ok);
    let row = row.filter(|row| row.body_removed_at.is_none());
    Ok(row.map(|row| (row.event.headers, row.event.body)))
}

fn sample(source: &Source) -> axum::body::Bytes {
    let alert = json!({"alert_id": "hookmill-test", "severity": "low", "title": format!("Test of {}", source.name)});
    let sample = match source.settings.scheme.name() {
        "microsoft-graph" => json!({"value": [alert]}),
        _ => json!({"event_type": "test", "source": &*source.name, "data": alert}),
    };
    sample.to_string().into()
}

/// Returns the headers of a stored payload with those of a new signature in the place of the old.
fn posted_headers(stored: &[NamedValue], signature: HeaderMap) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in stored.iter().filter(|(name, _)| CONTENT_LENGTH != name.as_str()) {
        headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    // These replace stored headers of the same name, whose signature would be too old.
    headers.extend(signature);
    Ok(headers)
}
