//! `/api/tokens` and `/api/sessions`: who may use the API. Both need scope `admin`, also to look.

use super::authorize::{CallerSession, check_admin};
use super::credentials::ENVIRONMENT_TOKEN;
use super::shapes::{List, ShownOwnedSession, ShownToken};
use super::time::timestamp;
use crate::extract::Path;
use crate::host::Host;
use crate::http_error::HttpError;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use hookmill_store::{OwnedSession, Scope, TokenRow};
use std::sync::Arc;

pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Extension(scope): Extension<Scope>,
) -> Result<Json<List<ShownToken>>, HttpError> {
    check_admin(scope)?;
    Ok(Json(List::complete(host.store.tokens().await?.into_iter().map(shown_token))))
}

pub(super) async fn revoke(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<StatusCode, HttpError> {
    match host.store.revoke_token(&name).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(HttpError::NotFound(format!("token `{name}`"))),
    }
}

/// The sessions that go on, the newest first.
pub(super) async fn list_sessions(
    State(host): State<Arc<Host>>,
    Extension(scope): Extension<Scope>,
    Extension(CallerSession(own)): Extension<CallerSession>,
) -> Result<Json<List<ShownOwnedSession>>, HttpError> {
    check_admin(scope)?;
    let of_environment = host.edge.admin_token;
    let shown = |OwnedSession { session, token_name }: OwnedSession| {
        let of_environment = || (of_environment == Some(session.token)).then(|| ENVIRONMENT_TOKEN.to_owned());
        // A session without its token has ended.
        Some(ShownOwnedSession {
            id: hex::encode(session.digest),
            is_own: own == Some(session.digest),
            token: token_name.or_else(of_environment)?,
            created_at: timestamp(session.created_at),
            used_at: timestamp(session.used_at),
            expires_at: timestamp(session.expires_at()),
        })
    };
    Ok(Json(List::complete(host.store.sessions().await?.into_iter().filter_map(shown))))
}

pub(super) async fn end_session(
    State(host): State<Arc<Host>>,
    Path(id): Path<String>,
) -> Result<StatusCode, HttpError> {
    let mut digest = [0; 32];
    let is_ended = hex::decode_to_slice(&id, &mut digest).is_ok() && host.store.end_session(digest).await?;
    match is_ended {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(HttpError::NotFound(format!("session `{id}`"))),
    }
}

fn shown_token(row: TokenRow) -> ShownToken {
    let TokenRow { name, scope, created_at, expires_at } = row;
    ShownToken { name, scope, created_at: timestamp(created_at), expires_at: expires_at.map(timestamp) }
}
