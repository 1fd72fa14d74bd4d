//! Authorization of requests: `GET` needs scope `read`, all other methods need `admin`.

use crate::host::Host;
use crate::http_error::HttpError;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use constant_time_eq::constant_time_eq;
use hookmill_signatures::Secret;
use hookmill_store::Scope;
use std::sync::Arc;

/// The name of the token from the environment.
const ENVIRONMENT_TOKEN: &str = "HOOKMILL_ADMIN_TOKEN";

/// The caller's name, for audit entries.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub String);

pub(super) async fn check(
    State(host): State<Arc<Host>>,
    mut request: Request,
    next: Next,
) -> Result<Response, HttpError> {
    let (name, scope) = caller(&host, request.headers()).await?;
    if scope == Scope::Read && !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(HttpError::Forbidden);
    }
    request.extensions_mut().insert(Caller(name));
    request.extensions_mut().insert(scope);
    Ok(next.run(request).await)
}

async fn caller(host: &Host, headers: &HeaderMap) -> Result<(String, Scope), HttpError> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let token = token.ok_or(HttpError::Unauthorized)?;
    let is_token = |admin: &Secret| constant_time_eq(admin.expose().as_bytes(), token.as_bytes());
    if host.edge.admin_token.as_ref().is_some_and(is_token) {
        return Ok((ENVIRONMENT_TOKEN.to_owned(), Scope::Admin));
    }
    let found = host.pipeline.store.token(token).await?.ok_or(HttpError::Unauthorized)?;
    Ok((found.name, found.scope))
}
