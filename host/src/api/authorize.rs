//! Authorization of requests: `GET` needs scope `read`, all other methods need `admin`. Requests that are to change
//! something are recorded with the name of their token.

use crate::failed_tokens::{FAILURES_PER_MINUTE, FailureNote};
use crate::host::Host;
use crate::http_error::HttpError;
use crate::request_id::RequestId;
use axum::Extension;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use constant_time_eq::constant_time_eq;
use hookmill_signatures::Secret;
use hookmill_store::{OperatorAction, Scope};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tracing::{error, warn};

/// The name of the token from the environment.
const ENVIRONMENT_TOKEN: &str = "HOOKMILL_ADMIN_TOKEN";
/// Longer paths are truncated in the record; the longest names and ids are much shorter.
const PATH_CHARS_MAX: usize = 512;

/// The caller's name, for audit entries.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub String);

pub(super) async fn check(
    State(host): State<Arc<Host>>,
    Extension(RequestId(id)): Extension<RequestId>,
    connection: Option<Extension<ConnectInfo<SocketAddr>>>,
    mut request: Request,
    next: Next,
) -> Result<Response, HttpError> {
    let address = host.edge.trusted_proxies.sender(connection, request.headers());
    let (name, scope) = caller(&host, request.headers(), address).await?;
    request.extensions_mut().insert(scope);
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read {
        request.extensions_mut().insert(Caller(name));
        return Ok(next.run(request).await);
    }
    let action = OperatorAction {
        id,
        at: host.store.clock().now_ms(),
        token: name.clone(),
        address: address.map(|address| address.to_string()),
        method: request.method().to_string(),
        path: request.uri().path().chars().take(PATH_CHARS_MAX).collect(),
        status: None,
    };
    if scope == Scope::Read {
        record(&host, action, StatusCode::FORBIDDEN).await;
        return Err(HttpError::Forbidden);
    }
    request.extensions_mut().insert(Caller(name));
    // Completed even if the client disconnects: a change without a record must not exist.
    let recorded = tokio::spawn(async move {
        let response = next.run(request).await;
        record(&host, action, response.status()).await;
        response
    });
    recorded.await.map_err(|defect| HttpError::Internal(defect.into()))
}

/// Records what a request did. A failure to record is logged with the record.
async fn record(host: &Host, action: OperatorAction, status: StatusCode) {
    let action = OperatorAction { status: Some(status.as_u16()), ..action };
    if let Err(error) = host.store.record_operator_action(action.clone()).await {
        let OperatorAction { id, token, method, path, .. } = action;
        error!(request_id = %id, token, "cannot record {method} {path}, answered {status}: {error:#}");
    }
}

/// Returns the name and the scope of the caller's token.
async fn caller(host: &Host, headers: &HeaderMap, address: Option<IpAddr>) -> Result<(String, Scope), HttpError> {
    let failed = &host.edge.failed_tokens;
    let Some(token) = bearer(headers) else {
        host.metrics.unauthorized();
        return Err(HttpError::Unauthorized);
    };
    if let Err(limited) = failed.check(address, token) {
        host.metrics.unauthorized();
        return Err(limited.into());
    }
    let is_token = |admin: &Secret| constant_time_eq(admin.expose().as_bytes(), token.as_bytes());
    let found = if host.edge.admin_token.as_ref().is_some_and(is_token) {
        Some((ENVIRONMENT_TOKEN.to_owned(), Scope::Admin))
    } else {
        host.store.token(token).await?.map(|found| (found.name, found.scope))
    };
    match found {
        Some(caller) => {
            failed.succeeded(address, token);
            Ok(caller)
        }
        None => {
            host.metrics.unauthorized();
            note(host, failed.failed(address), address);
            Err(HttpError::Unauthorized)
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// Logs a failure, unless the address has many.
fn note(host: &Host, note: FailureNote, address: Option<IpAddr>) {
    let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    let text = match note {
        FailureNote::First => "a request to the API had a token that is not valid".to_owned(),
        FailureNote::Limited => {
            format!(
                "{FAILURES_PER_MINUTE} tokens in a minute were not valid; further ones are refused for the rest of it"
            )
        }
        FailureNote::Repeated => return,
    };
    // Attackers have many addresses.
    if host.edge.logged_refusals.check().is_ok() {
        warn!(address, "{text}");
    }
}
