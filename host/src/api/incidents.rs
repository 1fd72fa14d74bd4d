//! `/api/incidents`.

use super::authorize::Caller;
use super::page::listed;
use super::parameters::Parameters;
use super::request_body::{body, optional_body};
use super::shapes::{List, ListedItem, ShownIncident, TriageOptions};
use crate::extract::{Bytes, Path, Query};
use crate::host::Host;
use crate::http_error::HttpError;
use crate::request_id::RequestId;
use crate::triage::shown_incident;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use hookmill_incident::json_size::text_bytes;
use hookmill_incident::{
    AuditEntry, DESCRIPTION_BYTES_MAX, NOTE_BYTES_MAX, Patch, Severity, Status, TAG_BYTES_MAX, TITLE_BYTES_MAX,
    WORDS_BYTES_MAX, check_length,
};
use hookmill_store::{IncidentFilter, IncidentKey, IncidentRow, Listed, PatchRefusal, Unreadable};
use std::sync::Arc;

pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List<ListedItem<ShownIncident>>>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let filter = IncidentFilter {
        status: parameters.words("status", Status::ALL)?,
        severity: parameters.words("severity", Severity::ALL)?,
        source: parameters.all("source"),
        source_ref: parameters.all("source_ref"),
        tag: parameters.all("tag"),
        observable: parameters.all("observable"),
        q: parameters.one("q")?,
        created_after: parameters.time("created_after")?,
        created_before: parameters.time("created_before")?,
        updated_after: parameters.time("updated_after")?,
    };
    let (limit, before) = parameters.page()?;
    parameters.end()?;
    let found = host.store.incidents(filter, before, limit).await?;
    Ok(listed(found, |row| explained(&host, row)))
}

pub(super) async fn show(
    State(host): State<Arc<Host>>,
    Path(which): Path<String>,
) -> Result<Json<ShownIncident>, HttpError> {
    let found = host.store.incident(incident_key(&which)?).await?;
    Ok(Json(explained(&host, readable(&which, found)?)))
}

/// Returns an incident with the reason why its triage waits. The reason is not stored: the playbook may be loaded later.
fn explained(host: &Host, row: IncidentRow) -> ShownIncident {
    let mut shown = shown_incident(row);
    shown.incident.triage.iter_mut().for_each(|triage| host.triager.explain_waiting(triage));
    shown
}

pub(super) async fn triage(
    State(host): State<Arc<Host>>,
    Path(which): Path<String>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Bytes(bytes): Bytes,
) -> Result<(StatusCode, Json<ShownIncident>), HttpError> {
    let options: TriageOptions = optional_body(&bytes)?;
    let key = incident_key(&which)?;
    let playbook = match options.playbook {
        Some(name) => name,
        None => {
            let row = readable(&which, host.store.incident(key).await?)?;
            let last = row.incident.triage.map(|triage| triage.playbook);
            row.incident.playbook.or(last).ok_or_else(|| {
                HttpError::Conflict("the incident's source has no playbook; name one in `playbook`".into())
            })?
        }
    };
    host.triager.playbook(&playbook).map_err(HttpError::Conflict)?;
    let found = host.store.request_triage(key, playbook, request_id.to_string()).await?;
    Ok((StatusCode::ACCEPTED, Json(shown_incident(readable(&which, found)?))))
}

pub(super) async fn audit(
    State(host): State<Arc<Host>>,
    Path(which): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List<ListedItem<AuditEntry>>>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let (limit, after) = parameters.page()?;
    parameters.end()?;
    let found = host.store.audit(incident_key(&which)?, after, limit).await?;
    Ok(listed(found.ok_or_else(|| not_found(&which))?, |entry| entry))
}

pub(super) async fn patch(
    State(host): State<Arc<Host>>,
    Path(which): Path<String>,
    Extension(Caller(by)): Extension<Caller>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Bytes(bytes): Bytes,
) -> Result<Json<ShownIncident>, HttpError> {
    let patch: Patch = body(&bytes)?;
    check(&patch)?;
    let patched = host.store.patch(incident_key(&which)?, patch, by, request_id.to_string()).await?;
    let row = patched.map_err(|refusal| refused(&which, refusal))?;
    Ok(Json(explained(&host, row)))
}

/// Returns the error of a change that was not applied.
fn refused(which: &str, refusal: PatchRefusal) -> HttpError {
    match refusal {
        PatchRefusal::NotFound => not_found(which),
        PatchRefusal::Unreadable(row) => unreadable(which, &row),
        PatchRefusal::Stale(revision) => HttpError::Conflict(format!(
            "the incident has changed and is at revision {revision}; read it again and repeat the change"
        )),
        PatchRefusal::NoRoomForNote => {
            HttpError::Conflict("the incident has as many notes as it can hold; nothing was changed".into())
        }
        PatchRefusal::Held => HttpError::Conflict(format!(
            "incident `{which}` has a hold and cannot be deleted; end the hold first, with `hold: false`"
        )),
    }
}

pub(super) async fn delete(
    State(host): State<Arc<Host>>,
    Path(which): Path<String>,
    Extension(Caller(by)): Extension<Caller>,
    Extension(RequestId(request_id)): Extension<RequestId>,
) -> Result<StatusCode, HttpError> {
    let deleted = host.store.delete(incident_key(&which)?, by, request_id.to_string()).await?;
    deleted.map(|()| StatusCode::NO_CONTENT).map_err(|refusal| refused(&which, refusal))
}

fn check(patch: &Patch) -> Result<(), HttpError> {
    let title = patch.title.iter().try_for_each(|title| check_length("`title`", title, TITLE_BYTES_MAX));
    let tags = || patch.tags.iter().flatten().try_for_each(|tag| check_length("a tag", tag, TAG_BYTES_MAX));
    title.and_then(|()| tags()).map_err(HttpError::InvalidRequest)?;
    let texts = [
        ("description", patch.description.as_ref().and_then(Option::as_ref), DESCRIPTION_BYTES_MAX),
        ("category", patch.category.as_ref().and_then(Option::as_ref), WORDS_BYTES_MAX),
        ("assignee", patch.assignee.as_ref().and_then(Option::as_ref), WORDS_BYTES_MAX),
        ("note", patch.note.as_ref(), NOTE_BYTES_MAX),
    ];
    match texts.into_iter().find(|(_, text, max)| text.is_some_and(|text| text_bytes(text) > *max)) {
        Some((name, _, max)) => Err(HttpError::InvalidRequest(format!("`{name}` takes more than {max} bytes in JSON"))),
        None => Ok(()),
    }
}

pub(super) fn incident_key(text: &str) -> Result<IncidentKey, HttpError> {
    let by_number = text.parse().map(IncidentKey::Number).ok();
    by_number.or_else(|| text.parse().map(IncidentKey::Id).ok()).ok_or_else(|| not_found(text))
}

/// Returns the incident that was found, or the error if there is none or it cannot be read.
fn readable(which: &str, found: Option<Listed<IncidentRow>>) -> Result<IncidentRow, HttpError> {
    found.ok_or_else(|| not_found(which))?.map_err(|row| unreadable(which, &row))
}

/// Returns the error of requests for an incident that cannot be read. A conflict and not a defect: the client can delete
/// the incident.
fn unreadable(which: &str, Unreadable { id, error }: &Unreadable) -> HttpError {
    HttpError::Conflict(format!(
        "incident `{which}` (id {id}) cannot be read, because it is damaged or another version wrote it: {error}; \
         it can be deleted"
    ))
}

fn not_found(which: &str) -> HttpError {
    HttpError::NotFound(format!("incident `{which}`"))
}
