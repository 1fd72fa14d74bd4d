//! `/api/incidents`.

use super::authorize::Caller;
use super::order::{cursor, order, position};
use super::page::{COUNTED_MAX, item, listed};
use super::parameters::{Parameters, invalid};
use super::request_body::{body, optional_body};
use super::shapes::{
    IncidentChangeResult, IncidentsChange, List, ListedItem, SharedObservable, ShownCount, ShownIncident,
    ShownRelatedIncident, TriageOptions,
};
use crate::extract::{Bytes, Path, Query};
use crate::host::Host;
use crate::http_error::HttpError;
use crate::request_id::RequestId;
use crate::triage::shown_incident;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use futures_util::future::join_all;
use hookmill_incident::json_size::text_bytes;
use hookmill_incident::{
    AuditEntry, DESCRIPTION_BYTES_MAX, NOTE_BYTES_MAX, Patch, Severity, Status, TAG_BYTES_MAX, TITLE_BYTES_MAX,
    WORDS_BYTES_MAX, check_length,
};
use hookmill_store::{
    IncidentFilter, IncidentKey, IncidentRow, Listed, OBSERVABLE_PREFIX_BYTES_MAX, PatchRefusal, RelatedIncident,
    SearchWords, Unreadable,
};
use std::collections::HashSet;
use std::sync::Arc;
use tracing::error;

/// The incidents that one request changes.
const CHANGED_MAX: usize = 1_000;

pub(super) async fn list(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List<ListedItem<ShownIncident>>>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let filter = filter(&mut parameters)?;
    let order = order(&mut parameters)?;
    let (after, limit) = (position(&mut parameters, &order)?, parameters.limit()?);
    parameters.end()?;
    let found = host.store.incidents(filter, order.clone(), after, limit).await?;
    let next_cursor = found.next.map(|next| cursor(&order, &next));
    let data = found.rows.into_iter().map(|row| item(row, |row| explained(&host, row))).collect();
    Ok(Json(List { data, next_cursor }))
}

/// Counts the incidents of a list, up to a bound.
pub(super) async fn count(
    State(host): State<Arc<Host>>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<ShownCount>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let filter = filter(&mut parameters)?;
    parameters.end()?;
    Ok(Json(host.store.count_incidents(filter, COUNTED_MAX).await?.into()))
}

fn filter(parameters: &mut Parameters) -> Result<IncidentFilter, HttpError> {
    let filter = IncidentFilter {
        status: parameters.words("status", Status::ALL)?,
        severity: parameters.words("severity", Severity::ALL)?,
        source: parameters.all("source"),
        source_ref: parameters.all("source_ref"),
        tag: parameters.all("tag"),
        assignee: parameters.all("assignee"),
        observable: parameters.all("observable"),
        observable_prefix: parameters.all("observable_prefix"),
        technique: parameters.all("technique"),
        q: search_words(parameters)?,
        created_after: parameters.time("created_after")?,
        created_before: parameters.time("created_before")?,
        updated_after: parameters.time("updated_after")?,
    };
    if let Some(long) = filter.observable_prefix.iter().find(|prefix| prefix.len() > OBSERVABLE_PREFIX_BYTES_MAX) {
        let help = format!("expected at most {OBSERVABLE_PREFIX_BYTES_MAX} bytes");
        return Err(invalid("observable_prefix", long, &help));
    }
    Ok(filter)
}

/// Takes `q`. An empty one is as none.
fn search_words(parameters: &mut Parameters) -> Result<Option<SearchWords>, HttpError> {
    let text = parameters.one("q")?.filter(|text| !text.trim().is_empty());
    text.map(|text| SearchWords::parse(&text).map_err(|error| invalid("q", &text, &error))).transpose()
}

pub(super) async fn related(
    State(host): State<Arc<Host>>,
    Path(which): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List<ListedItem<ShownRelatedIncident>>>, HttpError> {
    let mut parameters = Parameters::new(pairs);
    let limit = parameters.limit()?;
    parameters.end()?;
    let found = host.store.related_incidents(incident_key(&which)?, limit).await?;
    let items = readable(&which, found)?.into_iter().map(|RelatedIncident { incident, shared }| {
        item(incident, |row| ShownRelatedIncident { incident: explained(&host, row), shared_observables: shared })
    });
    Ok(Json(List::complete(items)))
}

/// Lists the observables, each with the number of incidents that have its value.
pub(super) async fn observables(
    State(host): State<Arc<Host>>,
    Path(which): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<List<SharedObservable>>, HttpError> {
    Parameters::new(pairs).end()?;
    let found = host.store.counted_observables(incident_key(&which)?).await?;
    Ok(Json(List::complete(readable(&which, found)?)))
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
    let (limit, cursor) = parameters.page()?;
    let is_newest_first = parameters.word("newest_first", &[true, false])?.unwrap_or_default();
    let caused_by = parameters.one("caused_by")?;
    parameters.end()?;
    let key = incident_key(&which)?;
    let found = match caused_by {
        Some(_) if !is_newest_first => {
            return Err(HttpError::InvalidRequest("`caused_by` needs `newest_first=true`".into()));
        }
        Some(request_id) => host.store.audit_of_request(key, request_id, cursor, limit).await?,
        None if is_newest_first => host.store.audit_backwards(key, cursor, limit).await?,
        None => host.store.audit(key, cursor, limit).await?,
    };
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
    let row = apply(&host, &which, patch, by, request_id.to_string()).await?;
    Ok(Json(explained(&host, row)))
}

/// Changes several incidents. One that fails does not keep the others from being changed.
pub(super) async fn patch_several(
    State(host): State<Arc<Host>>,
    Extension(Caller(by)): Extension<Caller>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Bytes(bytes): Bytes,
) -> Result<Json<List<IncidentChangeResult>>, HttpError> {
    let IncidentsChange { ids, numbers, change } = body(&bytes)?;
    check(&change)?;
    let mut seen = HashSet::new();
    let which: Vec<String> = ids.into_iter().chain(numbers).filter(|which| seen.insert(which.clone())).collect();
    if !(1..=CHANGED_MAX).contains(&which.len()) {
        let count = which.len();
        let text = format!("`ids` and `numbers` name {count} incidents; expected 1 to {CHANGED_MAX}");
        return Err(HttpError::InvalidRequest(text));
    }
    // All at once, so that they share commits.
    let results = which.into_iter().map(async |incident| {
        match apply(&host, &incident, change.clone(), by.clone(), request_id.to_string()).await {
            Ok(row) => IncidentChangeResult { incident, revision: Some(row.incident.revision), error: None },
            Err(error) => {
                if let HttpError::Internal(cause) = &error {
                    error!(%incident, "cannot change the incident: {cause:#}");
                }
                IncidentChangeResult { incident, revision: None, error: Some(error.detail()) }
            }
        }
    });
    Ok(Json(List::complete(join_all(results).await)))
}

/// Applies a change that was checked.
async fn apply(
    host: &Host,
    which: &str,
    patch: Patch,
    by: String,
    request_id: String,
) -> Result<IncidentRow, HttpError> {
    let patched = host.store.patch(incident_key(which)?, patch, by, request_id).await?;
    patched.map_err(|refusal| refused(which, refusal))
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

/// Returns what was found, or the error if the incident does not exist or cannot be read.
fn readable<T>(which: &str, found: Option<Listed<T>>) -> Result<T, HttpError> {
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
