//! `/api/events`.

use super::action_note::{ActionNote, check_reason};
use super::page::{COUNTED_MAX, item, listed};
use super::parameters::{Parameters, invalid};
use super::plugin_version::mapper_version;
use super::request_body::optional_body;
use super::shapes::{
    BodyEncoding, DiscardReason, EventBody, EventDryRun, EventError, EventResult, List, ListedItem, NamedText,
    RemovedBody, SecretState, ShownCount, ShownEvent, ShownJourney, ShownLogLine, ShownRun, ShownSecretUse,
    ShownVerification, StoredEvent,
};
use super::time::timestamp;
use crate::extract::{Bytes, Path, Query};
use crate::host::Host;
use crate::http_error::HttpError;
use crate::pipeline::RemapError;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookmill_incident::{
    EventState, EventStatus, FailureCode, Journey, KeptLine, NamedValue, PluginVersion, UsedSecret,
};
use hookmill_sandbox::Plugin;
use hookmill_store::{EventFilter, EventRow, Listed, Unreadable};
use serde::Deserialize;
use std::sync::Arc;
use uuid::Uuid;

/// Why an event has no body.
const REMOVED: &str = "it was older than `retention.payloads`";

pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List<ListedItem<ShownEvent>>>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let filter = filter(&mut parameters)?;
    let (limit, before) = parameters.page()?;
    parameters.end()?;
    let found = host.store.events(filter, before, limit).await?;
    Ok(listed(found, shown_event))
}

/// Counts the events of a list, up to a bound.
pub(super) async fn count(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<ShownCount>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let filter = filter(&mut parameters)?;
    parameters.end()?;
    Ok(Json(host.store.count_found_events(filter, COUNTED_MAX).await?.into()))
}

fn filter(parameters: &mut Parameters) -> Result<EventFilter, HttpError> {
    Ok(EventFilter {
        id: parameters.ids("id")?,
        source: parameters.all("source"),
        status: parameters.words("status", EventStatus::ALL)?,
        code: parameters.words("code", FailureCode::ALL)?,
        incident: parameters.ids("incident")?,
        created_after: parameters.time("created_after")?,
    })
}

pub(super) async fn show(
    State(host): State<Arc<Host>>,
    Path(id): Path<String>,
) -> Result<Json<StoredEvent>, HttpError> {
    let mut row = find(&host, &id).await?;
    let journey = shown_journey(&row);
    let discard_reason = row.discard_reason.take();
    let body_removed = row.body_removed_at.map(|at| RemovedBody { at: timestamp(at), reason: REMOVED.to_owned() });
    let body = body_removed.is_none().then(|| shown_body(&row.event.body));
    Ok(Json(StoredEvent { event: shown_event(row), journey, body, body_removed, discard_reason }))
}

pub(super) fn shown_body(bytes: &[u8]) -> EventBody {
    match std::str::from_utf8(bytes) {
        Ok(text) => EventBody { encoding: BodyEncoding::Utf8, data: text.to_owned() },
        Err(_) => EventBody { encoding: BodyEncoding::Base64, data: STANDARD.encode(bytes) },
    }
}

/// The query of a replay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayQuery {
    /// Returns the changes without making them, if true.
    #[serde(default)]
    dry_run: bool,
    /// The version of a mapper, as `NAME@SHA256`; those of the source if it is absent.
    version: Option<String>,
}

pub(super) async fn replay(
    State(host): State<Arc<Host>>,
    Path(id): Path<String>,
    Query(ReplayQuery { dry_run, version }): Query<ReplayQuery>,
) -> Result<Response, HttpError> {
    let row = find(&host, &id).await?;
    if row.state.status == EventStatus::Discarded {
        return Err(HttpError::Conflict(format!("event `{id}` was discarded")));
    }
    let mapper = match version {
        Some(version) => Some(named_version(&host, &version).await?),
        None => None,
    };
    if dry_run {
        let dry_run = host.pipeline.dry_run_remap(row, mapper).await.map_err(|error| refused(&id, error))?;
        let EventResult { id, status, message, error, .. } = result(dry_run.state);
        let shown = EventDryRun { id, status, message, error, incidents: dry_run.incidents };
        return Ok(Json(shown).into_response());
    }
    let recorded = host.pipeline.remap(row, mapper).await.map_err(|error| refused(&id, error))?;
    Ok(Json(result(recorded.state)).into_response())
}

async fn named_version(host: &Host, version: &str) -> Result<Arc<Plugin>, HttpError> {
    let help = "expected a plugin with the digest of one of its versions, as NAME@SHA256";
    let (name, sha256) = version.split_once('@').ok_or_else(|| invalid("version", version, help))?;
    mapper_version(host, name, sha256).await
}

fn refused(id: &str, error: RemapError) -> HttpError {
    match error {
        RemapError::Store(error) => error.into(),
        other => HttpError::Conflict(format!("event `{id}` was not mapped again: {other}")),
    }
}

pub(super) async fn discard(
    State(host): State<Arc<Host>>,
    Path(id): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<(Option<Extension<ActionNote>>, Json<EventResult>), HttpError> {
    let parsed = id.parse().map_err(|_| not_found(&id))?;
    let DiscardReason { reason } = optional_body(&bytes)?;
    let reason = check_reason(reason)?;
    match host.store.discard(parsed, reason.clone()).await? {
        None => Err(not_found(&id)),
        Some(false) => Err(HttpError::Conflict(format!("event `{id}` cannot be discarded: its status is final"))),
        Some(true) => {
            let row = host.store.event(parsed).await?.ok_or_else(|| not_found(&id))?;
            // An event that cannot be read can be discarded too.
            let unread = |Unreadable { id, .. }| {
                let (code, message, incidents) = (None, None, Vec::new());
                EventState { id, status: EventStatus::Discarded, code, message, incidents }
            };
            let note = reason.map(|reason| Extension(ActionNote(reason)));
            Ok((note, Json(result(row.map_or_else(unread, |row| row.state)))))
        }
    }
}

/// Returns an event, or the error if there is none or it cannot be read. The latter is a conflict and not a defect: the client
/// can discard the event.
pub(super) async fn find(host: &Host, id: &str) -> Result<EventRow, HttpError> {
    let parsed: Uuid = id.parse().map_err(|_| not_found(id))?;
    let found = host.store.event(parsed).await?.ok_or_else(|| not_found(id))?;
    found.map_err(|Unreadable { error, .. }| {
        HttpError::Conflict(format!(
            "event `{id}` cannot be read, because it is damaged or another version wrote it: {error}; it can be discarded \
             while it waits"
        ))
    })
}

fn not_found(id: &str) -> HttpError {
    HttpError::NotFound(format!("event `{id}`"))
}

fn result(state: EventState) -> EventResult {
    let error = state.code.map(|code| EventError { code, message: state.message.clone() });
    EventResult { id: state.id, status: state.status, message: state.message, error, incidents: state.incidents }
}

fn shown_event(row: EventRow) -> ShownEvent {
    let EventRow { state, event, attempts, tried, stored_at, .. } = row;
    // A clock that was set back meanwhile does not make the time negative.
    let stored_after = |at: i64| u64::try_from(at - event.received_at).unwrap_or(0);
    ShownEvent {
        result: result(state),
        source: event.source.to_string(),
        received_at: timestamp(event.received_at),
        stored_after_ms: stored_at.map(stored_after),
        content_type: event.content_type,
        headers: named_texts(event.headers),
        context: named_texts(event.context),
        sha256: hex::encode(event.digest),
        attempts,
        tried,
    }
}

fn shown_journey(row: &EventRow) -> ShownJourney {
    let EventRow { tried, stored_at, journey, .. } = row;
    let Journey { receive_us, verify_us, verification, mapped_again_at, runs, log } = journey;
    let runs = tried.iter().zip(runs).enumerate().map(|(index, (version, run))| {
        let (plugin, sha256) = version.split_once('@').unwrap_or((version, ""));
        let lines = log.lines.iter().filter(|KeptLine(of, ..)| *of == index);
        let line =
            |KeptLine(_, level, message): &KeptLine| ShownLogLine { level: level.clone(), message: message.clone() };
        ShownRun {
            plugin: PluginVersion { name: plugin.to_owned(), version: run.version.clone(), sha256: sha256.to_owned() },
            duration_us: run.us,
            memory_bytes: run.memory as u64,
            code: run.code.clone(),
            log: lines.map(line).collect(),
        }
    });
    let secret = |used: UsedSecret| ShownSecretUse {
        index: used.index,
        state: if used.is_replaced { SecretState::Previous } else { SecretState::Current },
    };
    ShownJourney {
        receive_us: *receive_us,
        verify_us: *verify_us,
        verification: verification
            .as_ref()
            .map(|of| ShownVerification { scheme: of.scheme.clone().into_owned(), secret: of.secret.map(secret) }),
        mapped_again_at: mapped_again_at.map(timestamp),
        runs: runs.collect(),
        log_lines_dropped: log.dropped,
        stored_at: stored_at.map(timestamp),
    }
}

/// Returns an event, or why it is unreadable, as JSON.
pub fn json(row: Listed<EventRow>) -> String {
    // These values always have a JSON form.
    serde_json::to_string(&item(row, shown_event)).unwrap_or_default()
}

pub(super) fn named_texts(pairs: Vec<NamedValue>) -> Vec<NamedText> {
    pairs.into_iter().map(|(name, value)| NamedText { name, value }).collect()
}
