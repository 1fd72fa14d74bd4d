//! The routes of the API: for senders, and for the operators and programs that work with incidents.
//!
//! Handlers answer in [`shapes`], which the commands of `hookmill` read.

mod action_note;
mod authorize;
mod backups;
mod compression;
mod config;
mod credentials;
mod deliveries;
mod destinations;
mod document;
mod events;
mod host_state;
mod hosts;
mod incidents;
mod logs;
mod notifications;
mod operator_actions;
mod order;
mod overview;
mod page;
mod parameters;
mod plugin_samples;
mod plugin_version;
mod plugins;
mod quarantine;
mod refusals;
mod request_body;
mod session;
mod session_cookie;
pub mod shapes;
mod sources;
mod stats;
mod storage;
mod stream;
mod time;
mod tokens;
mod vendors;

pub use events::json as event_json;

use crate::host::Host;
use crate::receive;
use crate::routes::routes;
use axum::{Router, middleware};
use std::sync::Arc;

routes! { health, HEALTH;
    "/healthz" => get(host_state::healthz);
}

routes! { open, OPEN;
    "/readyz" => get(host_state::readyz);
    "/metrics" => get(host_state::metrics);
    "/openapi.json" => get(document::openapi);
}

routes! { own_session, OWN_SESSION;
    "/api/session" => get(session::show).post(session::begin).delete(session::end);
}

routes! { guarded, GUARDED;
    "/api/incidents" => get(incidents::list).patch(incidents::patch_several);
    "/api/incidents/count" => get(incidents::count);
    "/api/incidents/{id}" => get(incidents::show).patch(incidents::patch).delete(incidents::delete);
    "/api/incidents/{id}/audit" => get(incidents::audit);
    "/api/incidents/{id}/observables" => get(incidents::observables);
    "/api/incidents/{id}/related" => get(incidents::related);
    "/api/incidents/{id}/triage" => post(incidents::triage);
    "/api/events" => get(events::list);
    "/api/events/count" => get(events::count);
    "/api/events/stream" => get(stream::follow_events);
    "/api/events/{id}" => get(events::show);
    "/api/events/{id}/replay" => post(events::replay);
    "/api/events/{id}/discard" => post(events::discard);
    "/api/quarantine" => get(quarantine::list);
    "/api/quarantine/{group}/replay" => post(quarantine::replay);
    "/api/quarantine/{group}/discard" => post(quarantine::discard);
    "/api/webhooks" => post(sources::register);
    "/api/sources" => get(sources::list);
    "/api/sources/{name}" => get(sources::show).patch(sources::change).delete(sources::remove);
    "/api/sources/{name}/rotate" => post(sources::rotate);
    "/api/sources/{name}/test" => post(sources::dry_run::test);
    "/api/vendors" => get(vendors::list);
    "/api/refusals" => get(refusals::list);
    "/api/plugins" => get(plugins::list);
    "/api/plugins/{name}" => get(plugins::show);
    "/api/plugins/{name}/samples" => get(plugin_samples::list);
    "/api/plugins/{name}/samples/{sample}" => get(plugin_samples::show);
    "/api/plugins/{name}/run" => post(plugins::run);
    "/api/plugins/{name}/diff" => post(plugins::diff);
    "/api/plugins/{name}/promote" => post(plugins::promote);
    "/api/plugins/{name}/rollback" => post(plugins::rollback);
    "/api/plugins/{name}/remove" => post(plugins::remove);
    "/api/deliveries" => get(deliveries::list);
    "/api/deliveries/retry" => post(deliveries::retry_dead);
    "/api/deliveries/{id}" => get(deliveries::show);
    "/api/deliveries/{id}/retry" => post(deliveries::retry);
    "/api/dead-letters" => get(deliveries::dead_letters);
    "/api/destinations" => get(destinations::list);
    "/api/destinations/{name}/enable" => post(destinations::enable);
    "/api/notifications" => get(notifications::list);
    "/api/notifications/{name}/test" => post(notifications::test);
    "/api/operator-actions" => get(operator_actions::list);
    "/api/backups" => get(backups::show);
    "/api/overview" => get(overview::show);
    "/api/tokens" => get(tokens::list);
    "/api/tokens/{name}" => delete(tokens::revoke);
    "/api/sessions" => get(tokens::list_sessions);
    "/api/sessions/{id}" => delete(tokens::end_session);
    "/api/config" => get(config::list);
    "/api/reload" => post(config::reload);
    "/api/hosts" => get(hosts::list);
    "/api/stats" => get(stats::show);
    "/api/storage" => get(storage::show);
    "/api/stream" => get(stream::follow);
    "/api/logs" => get(logs::list);
}

/// Returns the routes for senders.
pub fn inbound_routes() -> Router<Arc<Host>> {
    receive::routes().merge(health())
}

/// Returns the routes for operators.
pub fn admin_routes(host: &Arc<Host>) -> Router<Arc<Host>> {
    let guarded = guarded().route_layer(middleware::from_fn_with_state(host.clone(), authorize::check));
    open().merge(own_session()).merge(guarded).layer(middleware::from_fn(compression::compress))
}

#[cfg(test)]
mod tests {
    use super::document::OPENAPI;
    use super::*;
    use serde_json::Value;
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
        let lists = [receive::ROUTES, HEALTH, OPEN, OWN_SESSION, GUARDED].into_iter().flatten();
        let routed: BTreeSet<(&str, &str)> =
            lists.flat_map(|(path, methods)| methods.iter().map(move |method| (*path, *method))).collect();
        assert_eq!(documented, routed);
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
