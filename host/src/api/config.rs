//! `/api/config` and `/api/reload`.

use super::authorize::check_admin;
use super::credentials::ENVIRONMENT_TOKEN;
use super::shapes::{List, ListedSetting};
use crate::config::{SettingOrigin, registered};
use crate::host::Host;
use crate::http_error::HttpError;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use hookmill_store::Scope;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::oneshot;

pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Extension(scope): Extension<Scope>,
) -> Result<Json<List<ListedSetting>>, HttpError> {
    check_admin(scope)?;
    let mut settings = Vec::clone(&host.listing.load());
    for row in host.store.registered_sources().await? {
        settings.extend(registered(&row.name, &Value::Object(row.declaration)));
    }
    if host.edge.admin_token.is_some() {
        let (key, origin) = (ENVIRONMENT_TOKEN.to_owned(), SettingOrigin::Environment);
        settings.push(ListedSetting { key, value: None, origin });
    }
    settings.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(Json(List::complete(settings)))
}

/// Applies the configuration file again, as SIGHUP does, and answers when that is done.
pub(super) async fn reload(State(host): State<Arc<Host>>) -> Result<StatusCode, HttpError> {
    let (sender, result) = oneshot::channel();
    let not_followed = || HttpError::Conflict("this host does not follow a configuration file".into());
    host.reload.send(sender).await.map_err(|_| not_followed())?;
    match result.await.map_err(|_| not_followed())? {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(reason) => Err(HttpError::Conflict(format!("the former configuration stays: {reason}"))),
    }
}
