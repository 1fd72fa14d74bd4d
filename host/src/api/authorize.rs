//! Authorization of requests: `GET` needs scope `read`, all other methods need `admin`. Requests that are to change
//! something are recorded with the name of their token.

use super::action_note::ActionNote;
use super::credentials::{Credentials, identify};
use super::session_cookie::check_change;
use crate::extract::Sender;
use crate::host::Host;
use crate::http_error::HttpError;
use crate::request_id::RequestId;
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hookmill_store::{OperatorAction, Scope};
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use tracing::error;
use uuid::Uuid;

/// Longer paths are truncated in the record; the longest names and ids are much shorter.
const PATH_CHARS_MAX: usize = 512;

/// The caller's name, for audit entries.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub String);

/// The digest of the caller's session; `None` for a request with a token.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallerSession(pub Option<[u8; 32]>);

pub(super) async fn check(
    State(host): State<Arc<Host>>,
    Extension(RequestId(id)): Extension<RequestId>,
    Sender(address): Sender,
    mut request: Request,
    next: Next,
) -> Result<Response, HttpError> {
    let Credentials { token, session } = identify(&host, request.headers(), address).await?;
    request.extensions_mut().insert(token.scope);
    request.extensions_mut().insert(Caller(token.name.clone()));
    request.extensions_mut().insert(CallerSession(session.as_ref().map(|session| session.digest)));
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(next.run(request).await);
    }
    let is_allowed = match (token.scope, session) {
        (Scope::Read, _) => Err(HttpError::Forbidden),
        (Scope::Admin, Some(_)) => check_change(request.headers()),
        (Scope::Admin, None) => Ok(()),
    };
    let action = action(&host, id, address, request.method(), request.uri(), token.name);
    recorded(host, action, async move {
        is_allowed?;
        Ok(next.run(request).await)
    })
    .await
}

/// Refuses a token of scope `read`. Handlers call this for `GET` requests that need scope `admin`.
pub(super) fn check_admin(scope: Scope) -> Result<(), HttpError> {
    match scope {
        Scope::Admin => Ok(()),
        Scope::Read => Err(HttpError::Forbidden),
    }
}

/// Returns the record of a request whose answer is not known yet.
pub(super) fn action(
    host: &Host,
    id: Uuid,
    address: Option<IpAddr>,
    method: &Method,
    uri: &Uri,
    token: String,
) -> OperatorAction {
    OperatorAction {
        id,
        at: host.store.clock().now_ms(),
        token,
        address: address.map(|address| address.to_string()),
        method: method.to_string(),
        path: uri.path().chars().take(PATH_CHARS_MAX).collect(),
        status: None,
        note: None,
    }
}

/// Makes a change and records it.
pub(super) async fn recorded<R: IntoResponse>(
    host: Arc<Host>,
    action: OperatorAction,
    change: impl Future<Output = Result<R, HttpError>> + Send + 'static,
) -> Result<Response, HttpError> {
    // Completed even if the client disconnects: a change without a record must not exist.
    let completed = tokio::spawn(async move {
        let response = change.await.into_response();
        let note = response.extensions().get().map(|ActionNote(note)| note.clone());
        record(&host, OperatorAction { note, ..action }, response.status()).await;
        response
    });
    completed.await.map_err(|defect| HttpError::Internal(defect.into()))
}

/// Records what a request did. A failure to record is logged with the record.
async fn record(host: &Host, action: OperatorAction, status: StatusCode) {
    let action = OperatorAction { status: Some(status.as_u16()), ..action };
    if let Err(error) = host.store.record_operator_action(action.clone()).await {
        let OperatorAction { id, token, method, path, .. } = action;
        error!(request_id = %id, token, "cannot record {method} {path}, answered {status}: {error:#}");
    }
}
