//! A version of a plugin that a request names.

use crate::host::Host;
use crate::http_error::HttpError;
use hookmill_sandbox::{Kind, Plugin};
use std::sync::Arc;

/// Returns a version of a mapper that is live, kept, or in the plugins folder.
pub(super) async fn mapper_version(host: &Host, name: &str, sha256: &str) -> Result<Arc<Plugin>, HttpError> {
    let plugin = plugin_version(host, name, sha256).await?;
    match plugin.kind() {
        Kind::Mapper => Ok(plugin),
        kind => Err(HttpError::InvalidRequest(format!("plugin `{name}` is a {kind} and not a mapper"))),
    }
}

/// Returns a version of a plugin that is live, kept, or in the plugins folder.
pub(super) async fn plugin_version(host: &Host, name: &str, sha256: &str) -> Result<Arc<Plugin>, HttpError> {
    if !host.loaded.states().contains_key(name) {
        return Err(not_found(name));
    }
    host.releases.version(name, sha256).await.map_err(|error| HttpError::Conflict(format!("{error:#}")))
}

pub(super) fn not_found(name: &str) -> HttpError {
    HttpError::NotFound(format!("plugin `{name}`"))
}
