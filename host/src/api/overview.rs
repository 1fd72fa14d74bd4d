//! `/api/overview`.

use super::shapes::{Overview, ShownOpenIncidents, SilentSource, WaitingEvents};
use super::time::timestamp;
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Json;
use axum::extract::State;
use hookmill_incident::EventStatus;
use std::sync::Arc;

pub(super) async fn show(State(host): State<Arc<Host>>) -> Result<Json<Overview>, HttpError> {
    let store = &host.store;
    let (queued, quarantined) =
        (store.count_events(EventStatus::Queued).await?, store.count_events(EventStatus::Quarantined).await?);
    let silent = |name: &Arc<str>| {
        let since = timestamp(store.silent_since(name)?);
        Some(SilentSource { name: name.to_string(), since })
    };
    Ok(Json(Overview {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        open_incidents: store.open_incidents().await?.into_iter().map(ShownOpenIncidents::from).collect(),
        events: WaitingEvents { queued, quarantined },
        silent_sources: host.sources.all().keys().filter_map(silent).collect(),
    }))
}
