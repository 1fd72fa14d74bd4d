//! `/api/quarantine`.

use super::action_note::{ActionNote, check_reason};
use super::page::page;
use super::parameters::{Parameters, cursor, invalid};
use super::request_body::optional_body;
use super::shapes::{DiscardRequest, DiscardedGroup, GroupReplayResult, List, ShownQuarantineGroup};
use crate::extract::{Bytes, Path, Query};
use crate::host::Host;
use crate::http_error::HttpError;
use crate::quarantine::{GroupReplay, replay_group};
use axum::extract::State;
use axum::{Extension, Json};
use hookmill_incident::EventStatus;
use hookmill_incident::id::row_key;
use std::ops::RangeInclusive;
use std::sync::Arc;
use uuid::Uuid;

/// The number of events that one request replays or discards.
const EVENTS_MAX: usize = 1000;
/// The results that a replay can record.
const RECORDED: [EventStatus; 3] = [EventStatus::Mapped, EventStatus::Partial, EventStatus::Ignored];

pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List<ShownQuarantineGroup>>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let (limit, before) = parameters.page()?;
    parameters.end()?;
    let found = host.store.quarantine_groups(before, limit).await?;
    Ok(page(found, ShownQuarantineGroup::from))
}

/// Maps the events of a group again, with the chosen version or with the live mappers.
pub(super) async fn replay(
    State(host): State<Arc<Host>>,
    Path(group): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<(Extension<ActionNote>, Json<GroupReplayResult>), HttpError> {
    let mut parameters = Parameters::new(pairs);
    let is_dry_run = parameters.word("dry_run", &[false, true])?.unwrap_or_default();
    let mut recorded = parameters.words("status", &RECORDED)?;
    let limit = parameters.count("limit", EVENTS_MAX, EVENTS_MAX)?;
    let after = parameters.cursor()?.unwrap_or_default();
    let until = parameters.one("until")?;
    let (version, plugin) = (parameters.one("version")?, parameters.one("plugin")?);
    parameters.end()?;
    let version = match (plugin, version) {
        (Some(name), Some(sha256)) => Some(super::plugin_version::mapper_version(&host, &name, &sha256).await?),
        (None, None) => None,
        _ => return Err(HttpError::InvalidRequest("`plugin` and `version` have to be given together".into())),
    };
    if is_dry_run {
        recorded.clear();
    } else if recorded.is_empty() {
        recorded.extend([EventStatus::Mapped, EventStatus::Partial]);
    }
    let with = version.as_ref().map_or_else(
        || "the live mappers".to_owned(),
        |plugin| format!("{} {} ({})", plugin.version.name, plugin.version.version, plugin.version.sha256),
    );
    let keys = keys(after, until.as_deref())?;
    let request = GroupReplay { group: group.clone(), keys, limit, version, recorded };
    let result = replay_group(&host.store, &host.pipeline, &request).await?;
    let events: usize = result.statuses.values().sum();
    let note = match is_dry_run {
        true => format!("dry run of {events} events with {with}"),
        false => format!("replayed {} of {events} events with {with}", result.recorded),
    };
    let next_cursor = result.next.map(cursor);
    Ok((Extension(ActionNote(note)), Json(GroupReplayResult::new(result, next_cursor))))
}

/// Discards the events of a group.
pub(super) async fn discard(
    State(host): State<Arc<Host>>,
    Path(group): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<(Extension<ActionNote>, Json<DiscardedGroup>), HttpError> {
    let DiscardRequest { reason, until } = optional_body(&bytes)?;
    let reason = check_reason(reason)?;
    let until = until.map(|id| id.to_string());
    let selected = host.store.quarantined(group, keys(0, until.as_deref())?, EVENTS_MAX).await?;
    let discarded = host.store.discard_quarantined(selected.rows, reason.clone()).await?;
    let note = format!("discarded {discarded} events: {}", reason.as_deref().unwrap_or("no reason given"));
    Ok((Extension(ActionNote(note)), Json(DiscardedGroup { discarded, has_more: selected.next.is_some() })))
}

/// Returns the keys after one, up to that of the event `until`.
fn keys(after: i64, until: Option<&str>) -> Result<RangeInclusive<i64>, HttpError> {
    let last = match until {
        None => i64::MAX,
        Some(id) => row_key(id.parse::<Uuid>().map_err(|_| invalid("until", id, "expected the id of an event"))?),
    };
    Ok(after.saturating_add(1)..=last)
}
