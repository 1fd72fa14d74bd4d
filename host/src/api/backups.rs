//! `/api/backups`.

use super::shapes::{ShownBackups, ShownSchedule};
use crate::backup::BackupState;
use crate::host::Host;
use axum::Json;
use axum::extract::State;
use std::sync::Arc;

pub(super) async fn show(State(host): State<Arc<Host>>) -> Json<ShownBackups> {
    let schedule = host.backup.as_ref().map(|backup| {
        let schedule = backup.schedule();
        let to = schedule.to.display().to_string();
        ShownSchedule { every: schedule.every.as_secs(), keep: schedule.keep, to }
    });
    let BackupState { next_at, last_success, last_failure } =
        host.backup.as_ref().map(|backup| backup.state()).unwrap_or_default();
    Json(ShownBackups { schedule, next_at, last_success, last_failure })
}
