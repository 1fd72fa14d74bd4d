//! `/api/hosts`.

use super::shapes::{List, ShownHost};
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Json;
use axum::extract::State;
use hookmill_store::HostRow;
use std::sync::Arc;

/// The id of a host that has the database alone.
const ONLY_HOST: &str = "local";

pub(super) async fn list(State(host): State<Arc<Host>>) -> Result<Json<List<ShownHost>>, HttpError> {
    let own = host.store.host_id().unwrap_or(ONLY_HOST);
    let mut rows = host.store.hosts().await?;
    if rows.is_empty() {
        // The embedded database has one host, which does all work.
        rows.push(HostRow {
            id: own.to_owned(),
            name: own.to_owned(),
            slot: 0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: host.started_at,
            seen_at: host.store.clock().now(),
            is_live: true,
            leases: Vec::new(),
            plugins: host.loaded.plugins().values().map(|plugin| (*plugin.version).clone()).collect(),
        });
    }
    Ok(Json(List::complete(rows.into_iter().map(|row| shown(row, own)))))
}

fn shown(row: HostRow, own: &str) -> ShownHost {
    ShownHost {
        is_this: row.id == own,
        id: row.id,
        name: row.name,
        slot: row.slot,
        version: row.version,
        started_at: row.started_at,
        seen_at: row.seen_at,
        is_live: row.is_live,
        leases: row.leases,
        plugins: row.plugins,
    }
}
