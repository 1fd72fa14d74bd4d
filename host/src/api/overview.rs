//! `/api/overview`.

use super::shapes::{Overview, ShownOpenIncidents, SilentSource, WaitingEvents};
use super::time::timestamp;
use crate::config::SettingOrigin;
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
        public_url: given_public_url(&host),
        silent_sources: host.sources.all().keys().filter_map(silent).collect(),
    }))
}

/// Returns `public_url` if it is configured. The store has an address of this host in its place otherwise.
fn given_public_url(host: &Host) -> Option<String> {
    let listing = host.listing.load();
    let is_given =
        listing.iter().any(|setting| setting.key == "public_url" && setting.origin != SettingOrigin::Default);
    is_given.then(|| host.store.outbound().public_url.clone())
}
