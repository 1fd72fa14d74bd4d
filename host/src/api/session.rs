//! `/api/session`: a browser's session, which stands for the token that began it.

use super::authorize::{action, recorded};
use super::credentials::{Credentials, by_code, by_token, identify};
use super::request_body::body;
use super::session_cookie::{Transport, check_begin, check_change, removal};
use super::shapes::{ShownSession, SignIn};
use super::time::timestamp;
use crate::bodies::BodyOrigin;
use crate::extract::Sender;
use crate::host::Host;
use crate::http_error::HttpError;
use crate::peer::network;
use crate::request_id::RequestId;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, Response};
use axum::{Extension, Json};
use std::sync::Arc;

/// The largest body of a request to begin a session, which anyone can send.
const BODY_BYTES_MAX: usize = 1024;

pub(super) async fn show(
    State(host): State<Arc<Host>>,
    Sender(address): Sender,
    headers: HeaderMap,
) -> Result<Json<ShownSession>, HttpError> {
    Ok(Json(shown(&identify(&host, &headers, address).await?)))
}

pub(super) async fn begin(
    State(host): State<Arc<Host>>,
    Extension(RequestId(id)): Extension<RequestId>,
    Sender(address): Sender,
    request: Request,
) -> Result<Response, HttpError> {
    check_begin(request.headers())?;
    let transport = Transport::of(&host.edge, request.headers(), address)?;
    let (parts, stream) = request.into_parts();
    let origin = BodyOrigin { network: address.map(network), source: None };
    let read = host.edge.api_bodies.read(origin, &parts.headers, stream, BODY_BYTES_MAX).await?;
    let token = match body(&read)? {
        SignIn { token: Some(token), code: None } => {
            by_token(&host, &token, address).await?.ok_or(HttpError::InvalidToken)?
        }
        SignIn { token: None, code: Some(code) } => {
            by_code(&host, &code, address).await?.ok_or(HttpError::InvalidCode)?
        }
        _ => return Err(HttpError::InvalidRequest("give either `token` or `code`".into())),
    };
    let action = action(&host, id, address, &parts.method, &parts.uri, token.name.clone());
    recorded(host.clone(), action, async move {
        let (id, session) = host.store.begin_session(token.digest).await?;
        host.edge.failed_sessions.succeeded(address, &id);
        let answer = Json(shown(&Credentials { token, session: Some(session) }));
        Ok((StatusCode::CREATED, transport.cookie(&id).map(|cookie| [(header::SET_COOKIE, cookie)]), answer))
    })
    .await
}

/// Ends the session. A session of scope `read` may end itself.
pub(super) async fn end(
    State(host): State<Arc<Host>>,
    Extension(RequestId(id)): Extension<RequestId>,
    Sender(address): Sender,
    request: Request,
) -> Result<Response, HttpError> {
    let Credentials { token, session } = identify(&host, request.headers(), address).await?;
    let session = session.ok_or_else(|| HttpError::NotFound("session: the request has a token".into()))?;
    let is_allowed = check_change(request.headers());
    let action = action(&host, id, address, request.method(), request.uri(), token.name);
    recorded(host.clone(), action, async move {
        is_allowed?;
        host.store.end_session(&session).await?;
        Ok((StatusCode::NO_CONTENT, AppendHeaders(removal())))
    })
    .await
}

fn shown(credentials: &Credentials) -> ShownSession {
    let Credentials { token, .. } = credentials;
    ShownSession { token: token.name.clone(), scope: token.scope, expires_at: credentials.expires_at().map(timestamp) }
}
