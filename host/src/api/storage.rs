//! `/api/storage`.

use super::shapes::{DueRows, ShownStorage, StoredRows};
use super::time::timestamp;
use crate::host::Host;
use crate::http_error::HttpError;
use crate::storage::Storage;
use axum::Json;
use axum::extract::State;
use hookmill_store::{KindUse, Retention, RowCount, StoredKind};
use std::sync::Arc;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub(super) async fn show(State(host): State<Arc<Host>>) -> Result<Json<ShownStorage>, HttpError> {
    let storage = host.storage().await?;
    let stored = storage.store.kinds.iter().map(|(kind, found)| stored_rows(*kind, found)).collect();
    let retention = Retention::KINDS.into_iter().map(|kind| due_rows(&host.edge.retention, &storage, kind)).collect();
    Ok(Json(ShownStorage {
        database_bytes: storage.store.database_bytes,
        free_bytes: storage.store.free_bytes,
        gives_back: storage.store.gives_back,
        wal_bytes: storage.store.wal_bytes,
        disk_free_bytes: storage.disk_free_bytes,
        disk_free_bytes_min: storage.disk_free_bytes_min,
        growth_bytes_per_day: storage.growth_bytes_per_day().map(|growth| growth as i64),
        days_until_low: storage.days_until_low(),
        stored,
        retention,
    }))
}

fn stored_rows(kind: StoredKind, found: &KindUse) -> StoredRows {
    let RowCount { rows, bytes } = found.total();
    StoredRows { kind, rows, bytes, oldest_day: found.days.keys().next().map(|day| timestamp(day * DAY_MS)) }
}

fn due_rows(retention: &Retention, storage: &Storage, kind: StoredKind) -> DueRows {
    let RowCount { rows, bytes } = storage.due_in_a_day(retention, kind).unwrap_or_default();
    DueRows { kind, age_seconds: retention.age(kind).map(|age| age.as_secs()), due_rows: rows, due_bytes: bytes }
}
