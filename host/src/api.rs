//! The API for people and programs that work with what was received.

mod authorize;
mod deliveries;
mod destinations;
mod events;
mod incidents;
mod logs;
mod notifications;
mod parameters;
mod plugins;
mod sources;
mod stream;

use crate::host::Host;
use crate::http_error::HttpError;
use crate::receive;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use hookmill_incident::EventStatus;
use hookmill_store::Page;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

const OPENAPI: &str = include_str!("api/openapi.json");

/// A function that makes a router, and for the tests the list of what is in it.
macro_rules! routes {
    ($name:ident, $list:ident; $($path:literal => $method:ident($handler:path)$(.$more:ident($more_handler:path))*;)*) => {
        fn $name() -> Router<Arc<Host>> {
            Router::new()$(.route($path, $method($handler)$(.$more($more_handler))*))*
        }

        #[cfg(test)]
        const $list: &[(&str, &[&str])] = &[$(($path, &[stringify!($method) $(, stringify!($more))*])),*];
    };
}

/// The routes of `receive`, for the test that compares them with the document.
#[cfg(test)]
const SENDERS: &[(&str, &[&str])] = &[
    ("/api/webhooks/{source}", &["post", "get"]),
    ("/api/webhooks/{source}/{token}", &["post"]),
    ("/healthz", &["get"]),
];

routes! { open, OPEN;
    "/readyz" => get(readyz);
    "/metrics" => get(metrics);
    "/openapi.json" => get(openapi);
}

routes! { guarded, GUARDED;
    "/api/incidents" => get(incidents::list);
    "/api/incidents/{id}" => get(incidents::show).patch(incidents::patch).delete(incidents::delete);
    "/api/incidents/{id}/audit" => get(incidents::audit);
    "/api/incidents/{id}/triage" => post(incidents::triage);
    "/api/events" => get(events::list);
    "/api/events/{id}" => get(events::show);
    "/api/events/{id}/replay" => post(events::replay);
    "/api/events/{id}/discard" => post(events::discard);
    "/api/webhooks" => post(sources::register);
    "/api/sources" => get(sources::list);
    "/api/sources/{name}" => get(sources::show).patch(sources::change).delete(sources::remove);
    "/api/sources/{name}/rotate" => post(sources::rotate);
    "/api/sources/{name}/test" => post(sources::dry_run::test);
    "/api/plugins" => get(plugins::list);
    "/api/plugins/{name}" => get(plugins::show);
    "/api/plugins/{name}/run" => post(plugins::run);
    "/api/plugins/{name}/diff" => post(plugins::diff);
    "/api/plugins/{name}/promote" => post(plugins::promote);
    "/api/plugins/{name}/rollback" => post(plugins::rollback);
    "/api/deliveries" => get(deliveries::list);
    "/api/deliveries/retry" => post(deliveries::retry_dead);
    "/api/deliveries/{id}/retry" => post(deliveries::retry);
    "/api/destinations" => get(destinations::list);
    "/api/destinations/{name}/enable" => post(destinations::enable);
    "/api/notifications" => get(notifications::list);
    "/api/notifications/{name}/test" => post(notifications::test);
    "/api/stream" => get(stream::follow);
    "/api/logs" => get(logs::list);
}

/// What senders reach.
pub fn inbound_routes() -> Router<Arc<Host>> {
    receive::routes().route("/healthz", get(healthz))
}

/// What operators reach.
pub fn admin_routes(host: &Arc<Host>) -> Router<Arc<Host>> {
    let guarded = guarded().route_layer(middleware::from_fn_with_state(host.clone(), authorize::check));
    open().merge(guarded)
}

/// What is not there, in the shape of every other refusal.
pub async fn fallback() -> HttpError {
    HttpError::NotFound("such path".into())
}

/// What is there for other methods.
pub async fn method_not_allowed() -> HttpError {
    HttpError::MethodNotAllowed
}

async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn readyz(State(host): State<Arc<Host>>) -> impl IntoResponse {
    if !host.pipeline.store.is_open() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "the store is closed"})));
    }
    match host.loaded.is_settled() {
        true => (StatusCode::OK, Json(json!({"status": "ready"}))),
        false => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "loading plugins"}))),
    }
}

/// The document that describes all of this for programs.
async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

async fn metrics(State(host): State<Arc<Host>>) -> Result<impl IntoResponse, HttpError> {
    host.pipeline.metrics.set_quarantined(host.pipeline.store.count_events(EventStatus::Quarantined).await?);
    host.pipeline.metrics.set_triage_waiting(host.pipeline.store.count_triage().await?);
    for (destination, pending, _) in host.pipeline.store.delivery_counts().await? {
        host.pipeline.metrics.set_delivery_queue(&destination, pending);
    }
    host.pipeline.metrics.set_stream_readers(host.stream.readers());
    Ok((
        [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")],
        host.pipeline.metrics.encode(),
    ))
}

#[derive(Serialize)]
struct List {
    data: Vec<Value>,
    next_cursor: Option<String>,
}

/// A page as the API shows it.
fn shown<T>(page: Page<T>, show: impl Fn(&T) -> Value) -> Json<List> {
    let next_cursor = page.next.map(parameters::cursor);
    Json(List { data: page.rows.iter().map(show).collect(), next_cursor })
}

/// Reads a body as JSON whatever its type says it is.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, HttpError> {
    // A list would be read as an object's members in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(HttpError::InvalidRequest("the body is no JSON object".into()));
    }
    serde_json::from_slice(bytes).map_err(|error| HttpError::InvalidRequest(format!("the body: {error}")))
}

/// The same, where all of it may be left out.
fn body_if_any<T: DeserializeOwned + Default>(bytes: &Bytes) -> Result<T, HttpError> {
    if bytes.is_empty() { Ok(T::default()) } else { body(bytes) }
}

/// A point in time as the API shows it.
fn time(unix_ms: i64) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(unix_ms).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_describes_exactly_these_routes() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let paths = document["paths"].as_object().unwrap().iter();
        let documented: BTreeSet<(&str, &str)> = paths
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(move |method| (path.as_str(), &**method))
            })
            .filter(|(_, method)| *method != "parameters")
            .collect();
        let lists = [SENDERS, OPEN, GUARDED].into_iter().flatten();
        let routed: BTreeSet<(&str, &str)> =
            lists.flat_map(|(path, methods)| methods.iter().map(move |method| (*path, *method))).collect();
        assert_eq!(documented, routed);
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
