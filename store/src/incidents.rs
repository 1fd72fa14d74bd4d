//! Incidents in the store, each change with its audit entry and deliveries.

use super::audit::{Change, append};
use super::sql::{Conditions, from_json, json, nanoseconds, uuid};
use super::triage::{self, Wish};
use super::writer::Tx;
use super::{Page, Store, StoreError};
use anyhow::Result;
use hookmill_incident::id::key;
use hookmill_incident::timestamp;
use hookmill_incident::{
    Details, EVENT_IDS_MAX, Guard, Incident, IncidentRef, IncidentView, Number, Observation, Operation, Origin, Patch,
};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use uuid::Uuid;

/// An incident by its id or its number.
#[derive(Clone, Copy, Debug)]
pub enum IncidentKey {
    /// By id.
    Id(Uuid),
    /// By number.
    Number(Number),
}

/// An incident as it is stored.
#[derive(Clone, Debug)]
pub struct IncidentRow {
    /// Its id.
    pub id: Uuid,
    /// Its number.
    pub number: Number,
    /// The record.
    pub incident: Incident,
    /// How many events spoke of it.
    pub occurrences: u64,
    /// The newest of them, the newest last.
    pub event_ids: Vec<Uuid>,
    pub(super) guard: Guard,
    pub(super) newest_audit: i64,
}

impl IncidentRow {
    /// The incident as it is shown.
    pub fn view(&self) -> IncidentView<'_> {
        IncidentView {
            id: self.id,
            number: self.number.to_string(),
            incident: &self.incident,
            occurrences: self.occurrences,
            event_ids: &self.event_ids,
        }
    }
}

/// Which incidents to list.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are those of the API's query parameters")]
pub struct IncidentFilter {
    pub status: Vec<String>,
    pub severity: Vec<String>,
    pub source: Vec<String>,
    pub source_ref: Vec<String>,
    pub tag: Vec<String>,
    pub observable: Vec<String>,
    /// Text in the title, the description or the source-ref, without case.
    pub q: Option<String>,
    pub created_after: Option<Timestamp>,
    pub created_before: Option<Timestamp>,
    pub updated_after: Option<Timestamp>,
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchRefusal {
    /// There is no such incident.
    NotFound,
    /// It has changed since: the revision it has now.
    Stale(u64),
}

impl Store {
    /// One incident.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn incident(&self, which: IncidentKey) -> Result<Option<IncidentRow>> {
        self.read(move |connection| find(connection, which)).await
    }

    /// Incidents, the newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn incidents(
        &self,
        filter: IncidentFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<IncidentRow>> {
        self.read(move |connection| list(connection, &filter, before, limit)).await
    }

    /// Applies an analyst's change.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn patch(
        &self,
        which: IncidentKey,
        patch: Patch,
        by: String,
        request_id: String,
    ) -> Result<Result<IncidentRow, PatchRefusal>, StoreError> {
        self.writer
            .write(move |tx| {
                let Some(mut row) = find(tx.connection, which)? else { return Ok(Err(PatchRefusal::NotFound)) };
                if patch.revision.is_some_and(|revision| revision != row.incident.revision) {
                    return Ok(Err(PatchRefusal::Stale(row.incident.revision)));
                }
                let before = row.clone();
                let details = row.incident.patch(&mut row.guard, patch.clone(), &by, Timestamp::now());
                save(tx, &before, &mut row, details, &request_id)?;
                Ok(Ok(row))
            })
            .await
    }

    /// Removes an incident. Its audit entries stay.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn delete(&self, which: IncidentKey, request_id: String) -> Result<bool, StoreError> {
        self.writer
            .write(move |tx| {
                let Some(row) = find(tx.connection, which)? else { return Ok(false) };
                let (details, request_id) = (Some(&Details::new()), request_id.as_str());
                let change = Change { operation: Operation::Delete, before: Some(&row), details, request_id };
                let audit = append(tx, &row, &change)?;
                keep_object(tx, &row)?;
                let sql = "UPDATE incidents SET deleted = 1, newest_audit = ? WHERE key = ?";
                tx.connection.prepare_cached(sql)?.execute(params![audit, key(row.id)])?;
                triage::forget(tx, row.id)?;
                Ok(true)
            })
            .await
    }
}

/// Applies what one payload says of one incident: makes it, changes it or only counts it.
pub(super) fn apply(tx: &mut Tx, observation: &Observation, origin: &Origin) -> Result<IncidentRef> {
    let now = Timestamp::now();
    let Some(mut row) = open_row(tx, observation, origin)? else {
        return create(tx, observation, origin, now);
    };
    let before = row.clone();
    if !row.event_ids.contains(&origin.event_id) {
        row.occurrences += 1;
        if row.event_ids.len() == EVENT_IDS_MAX {
            row.event_ids.remove(0);
        }
        row.event_ids.push(origin.event_id);
    }
    let details = row.incident.apply(&mut row.guard, observation.clone(), origin, now);
    save(tx, &before, &mut row, details, &origin.event_id.to_string())?;
    if row.incident.triage != before.incident.triage {
        triage::wish(tx, &row, Wish::OfSource, &origin.event_id.to_string())?;
    }
    Ok(IncidentRef::new(row.id, row.number, false))
}

/// The incident that an observation speaks of, unless it makes a new one.
fn open_row(tx: &Tx, observation: &Observation, origin: &Origin) -> Result<Option<IncidentRow>> {
    let sql = format!("{SELECT} WHERE source = ? AND source_ref = ? AND deleted = 0 ORDER BY key DESC LIMIT 1");
    let mut query = tx.connection.prepare_cached(&sql)?;
    let row = query.query_row(params![origin.source, observation.source_ref], incident_row).optional()?;
    let within_ms = tx.policy.reopen_within.as_millis() as i64;
    Ok(row.filter(|row| !row.incident.is_past_reopening(&row.guard, observation, origin, within_ms)))
}

fn create(tx: &mut Tx, observation: &Observation, origin: &Origin, now: Timestamp) -> Result<IncidentRef> {
    let (incident, guard) = Incident::create(observation.clone(), origin, now);
    let mut row = IncidentRow {
        id: tx.ids.next(),
        number: tx.next_number(timestamp::year(now))?,
        incident,
        occurrences: 1,
        event_ids: vec![origin.event_id],
        guard,
        newest_audit: 0,
    };
    let request_id = &origin.event_id.to_string();
    let change = Change { operation: Operation::Creation, before: None, details: None, request_id };
    row.newest_audit = append(tx, &row, &change)?;
    let sql = "INSERT INTO incidents (key, id, number, source, source_ref, status, severity, created_at, updated_at, \
               changed_at, pinned, occurrences, event_ids, newest_audit, deleted, record) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)";
    tx.connection.prepare_cached(sql)?.execute(params![
        key(row.id),
        row.id.as_bytes(),
        row.number.to_key(),
        row.incident.source,
        row.incident.source_ref,
        row.incident.status.as_str(),
        row.incident.severity.as_str(),
        nanoseconds(row.incident.created_at),
        nanoseconds(row.incident.updated_at),
        row.guard.changed_at.as_microsecond(),
        json(&row.guard.pinned),
        row.occurrences,
        event_id_bytes(&row.event_ids),
        row.newest_audit,
        json(&row.incident),
    ])?;
    if row.incident.triage.is_some() {
        triage::wish(tx, &row, Wish::OfSource, &origin.event_id.to_string())?;
    }
    Ok(IncidentRef::new(row.id, row.number, true))
}

/// Writes a changed row, with an audit entry when `details` says that something changed.
pub(super) fn save(
    tx: &mut Tx,
    before: &IncidentRow,
    row: &mut IncidentRow,
    details: Details,
    request_id: &str,
) -> Result<()> {
    keep_object(tx, before)?;
    if !details.is_empty() {
        let (before, details) = (Some(before), Some(&details));
        let change = Change { operation: Operation::Update, before, details, request_id };
        row.newest_audit = append(tx, row, &change)?;
    }
    let sql = "UPDATE incidents SET status = ?, severity = ?, updated_at = ?, changed_at = ?, pinned = ?, \
               occurrences = ?, event_ids = ?, newest_audit = ?, record = ? WHERE key = ?";
    tx.connection.prepare_cached(sql)?.execute(params![
        row.incident.status.as_str(),
        row.incident.severity.as_str(),
        nanoseconds(row.incident.updated_at),
        row.guard.changed_at.as_microsecond(),
        json(&row.guard.pinned),
        row.occurrences,
        event_id_bytes(&row.event_ids),
        row.newest_audit,
        json(&row.incident),
        key(row.id),
    ])?;
    Ok(())
}

/// Gives the newest audit entry its own copy of the object, unless it has one, before the incident moves on from it.
fn keep_object(tx: &Tx, row: &IncidentRow) -> Result<()> {
    let sql = "UPDATE audit SET object = ? WHERE key = ? AND object IS NULL";
    tx.connection.prepare_cached(sql)?.execute(params![json(&row.view()), row.newest_audit])?;
    Ok(())
}

pub(super) const SELECT: &str =
    "SELECT id, number, record, occurrences, event_ids, changed_at, pinned, newest_audit FROM incidents";

pub(super) fn find(connection: &Connection, which: IncidentKey) -> Result<Option<IncidentRow>> {
    let row = match which {
        IncidentKey::Id(id) => connection
            .prepare_cached(&format!("{SELECT} WHERE key = ? AND id = ? AND deleted = 0"))?
            .query_row(params![key(id), id.as_bytes()], incident_row),
        IncidentKey::Number(number) => connection
            .prepare_cached(&format!("{SELECT} WHERE number = ? AND deleted = 0"))?
            .query_row([number.to_key()], incident_row),
    };
    Ok(row.optional()?)
}

/// An incident as [`IncidentView`] shows it, in JSON, from its columns id, number, record, occurrences and event_ids: the
/// record is JSON already and is not read.
pub(super) fn shown(row: &Row, first: usize) -> rusqlite::Result<String> {
    let (id, number) = (uuid(row, first)?, Number::from_key(row.get(first + 1)?));
    let record = row.get_ref(first + 2)?.as_str()?;
    let attributes = record.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    let (occurrences, event_ids): (u64, _) = (row.get(first + 3)?, event_ids(row, first + 4)?);
    let before = format!(r#"{{"id":"{id}","number":"{number}","#);
    let after = format!(r#","occurrences":{occurrences},"event_ids":{}}}"#, json(&event_ids));
    Ok([&before, attributes, &after].concat())
}

pub(super) fn incident_row(row: &Row) -> rusqlite::Result<IncidentRow> {
    Ok(IncidentRow {
        id: uuid(row, 0)?,
        number: Number::from_key(row.get(1)?),
        incident: from_json(row, 2)?,
        occurrences: row.get(3)?,
        event_ids: event_ids(row, 4)?,
        guard: Guard {
            changed_at: Timestamp::from_microsecond(row.get(5)?).unwrap_or(Timestamp::UNIX_EPOCH),
            pinned: from_json(row, 6)?,
        },
        newest_audit: row.get(7)?,
    })
}

fn list(
    connection: &Connection,
    filter: &IncidentFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<IncidentRow>> {
    let mut conditions = Conditions::default();
    conditions.add("deleted = 0", []);
    conditions.one_of("status", &filter.status);
    conditions.one_of("severity", &filter.severity);
    conditions.one_of("source", &filter.source);
    conditions.one_of("source_ref", &filter.source_ref);
    let marks = |count: usize| vec!["?"; count].join(", ");
    if !filter.tag.is_empty() {
        let sql =
            format!("EXISTS (SELECT 1 FROM json_each(record, '$.tags') WHERE value IN ({}))", marks(filter.tag.len()));
        conditions.add(&sql, filter.tag.iter().cloned().map(Value::Text));
    }
    if !filter.observable.is_empty() {
        let sql = format!(
            "EXISTS (SELECT 1 FROM json_each(record, '$.observables') WHERE value ->> 'value' IN ({}))",
            marks(filter.observable.len())
        );
        conditions.add(&sql, filter.observable.iter().cloned().map(Value::Text));
    }
    if let Some(text) = &filter.q {
        let sql = "(instr(lower(record ->> 'title'), ?) OR instr(lower(record ->> 'description'), ?) \
                   OR instr(lower(source_ref), ?))";
        // SQLite's `lower` knows ASCII only.
        conditions.add(sql, vec![Value::Text(text.to_ascii_lowercase()); 3]);
    }
    let times = [
        ("created_at > ?", filter.created_after),
        ("created_at < ?", filter.created_before),
        ("updated_at > ?", filter.updated_after),
    ];
    for (sql, time) in times {
        if let Some(time) = time {
            conditions.add(sql, [Value::Integer(nanoseconds(time))]);
        }
    }
    if let Some(before) = before {
        conditions.add("key < ?", [Value::Integer(before)]);
    }
    let sql = format!("{SELECT} {} ORDER BY key DESC LIMIT {}", conditions.sql(), limit + 1);
    let mut query = connection.prepare(&sql)?;
    let rows = query.query_map(params_from_iter(conditions.values), incident_row)?.collect::<Result<Vec<_>, _>>()?;
    Ok(Page::new(rows, limit, |row| key(row.id)))
}

fn event_ids(row: &Row, column: usize) -> rusqlite::Result<Vec<Uuid>> {
    let bytes = row.get_ref(column)?.as_blob()?;
    Ok(bytes.chunks_exact(16).filter_map(|bytes| Uuid::from_slice(bytes).ok()).collect())
}

fn event_id_bytes(ids: &[Uuid]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.into_bytes()).collect()
}
