//! Events in the store: each change of an event, with all that follows from it, is one write.

use super::deliveries::{Told, enqueue_steps};
use super::incidents::{IncidentKey, apply, find};
use super::sql::{Conditions, from_json, json, uuid};
use super::writer::Tx;
use super::{Page, Store, StoreError};
use anyhow::{Context, Result};
use hookmill_incident::Origin;
use hookmill_incident::id::{key, key_ms, unix_ms};
use hookmill_incident::{
    DELIVERY_ID, Event, EventState, EventStatus, Failure, FailureCode, Mapped, NamedValue, Reading, RepeatKey, Verdict,
};
use hookmill_notify::{Rule, Trigger, about_event};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Rows of the table of repeats that one purge removes.
const PURGE_ROWS: i64 = 1000;

/// What came of recording an event.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The event; of a repeat the one that it repeats.
    pub state: EventState,
    /// Whether it was known already, so that nothing changed.
    pub duplicate: bool,
}

/// What recording an event would make.
#[derive(Clone, Debug)]
pub struct Preview {
    /// What would become of the event.
    pub state: EventState,
    /// The incidents as they would be.
    pub incidents: Vec<serde_json::Value>,
    /// The same incidents as they are; `null` where there is none yet.
    pub present: Vec<serde_json::Value>,
    /// The destinations that would be told.
    pub deliveries: Vec<String>,
}

/// An event as it is shown.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// What became of it.
    pub state: EventState,
    /// The event itself; in lists without its body.
    pub event: Event,
    /// How often mapping was tried.
    pub attempts: u32,
    /// The plugin versions that were tried, as `NAME@SHA256`.
    pub tried: Vec<String>,
}

/// Which events to list.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are those of the API's query parameters")]
pub struct EventFilter {
    pub source: Vec<String>,
    pub status: Vec<String>,
    pub code: Vec<String>,
    pub incident: Vec<Uuid>,
    pub created_after: Option<Timestamp>,
}

impl Store {
    /// Records a new event with all that follows from it, unless it is a repeat.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when too much waits.
    pub async fn record(&self, mapped: Mapped) -> Result<Recorded, StoreError> {
        let row = Columns::of(&mapped);
        self.writer.try_write(move |tx| record(tx, &mapped, &row)).await
    }

    /// Records what mapping a stored event again came to, if it still is as it was when it was read.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn record_again(
        &self,
        mapped: Mapped,
        was: EventStatus,
        attempt: u32,
    ) -> Result<Option<Recorded>, StoreError> {
        self.writer
            .write(move |tx| {
                if status_of(tx, mapped.event.id)? != Some(was) {
                    return Ok(None);
                }
                let settled = settle(tx, &mapped, Some(was))?;
                update_event(tx, mapped.event.id, &settled.state, attempt, &mapped.tried)?;
                tx.changed.queued |= settled.state.status == EventStatus::Queued;
                Ok(Some(settled))
            })
            .await
    }

    /// What recording an event would make, without making it.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub async fn preview(&self, mapped: Mapped) -> Result<Preview, StoreError> {
        self.writer
            .write(move |tx| {
                let (number, changed, first) = (tx.last_number(), tx.changed, key(tx.ids.next()));
                tx.connection.execute_batch("SAVEPOINT preview")?;
                let settled = settle(tx, &mapped, None)?;
                let views = |tx: &Tx| -> Result<Vec<serde_json::Value>> {
                    let incidents = settled.state.incidents.iter();
                    let found = incidents.map(|incident| find(tx.connection, IncidentKey::Id(incident.id)));
                    found
                        .map(|row| {
                            Ok(row?.map(|row| serde_json::to_value(row.view())).transpose()?.unwrap_or_default())
                        })
                        .collect()
                };
                let incidents = views(tx)?;
                let sql = "SELECT DISTINCT destination FROM deliveries WHERE key > ? ORDER BY destination";
                let mut query = tx.connection.prepare_cached(sql)?;
                let deliveries = query.query_map([first], |row| row.get(0))?.collect::<Result<_, _>>()?;
                drop(query);
                tx.connection.execute_batch("ROLLBACK TO preview; RELEASE preview")?;
                let present = views(tx)?;
                tx.set_last_number(number);
                tx.changed = changed;
                Ok(Preview { state: settled.state, incidents, present, deliveries })
            })
            .await
    }

    /// Whether an event would be a repeat.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub async fn knows(&self, event: Event) -> Result<bool, StoreError> {
        self.writer
            .write(move |tx| {
                tx.connection.execute_batch("SAVEPOINT known")?;
                let known = remember(tx, &event)?;
                tx.connection.execute_batch("ROLLBACK TO known; RELEASE known")?;
                Ok(known.is_some())
            })
            .await
    }

    /// Decides that an event will not be mapped. `None` when there is no such event, `Some(false)` when it is in a
    /// state that needs no decision.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn discard(&self, id: Uuid) -> Result<Option<bool>, StoreError> {
        self.writer
            .write(move |tx| {
                let Some(status) = status_of(tx, id)? else { return Ok(None) };
                if !matches!(status, EventStatus::Queued | EventStatus::Quarantined | EventStatus::Partial) {
                    return Ok(Some(false));
                }
                tx.connection
                    .prepare_cached("UPDATE events SET status = 'discarded' WHERE key = ?")?
                    .execute([key(id)])?;
                Ok(Some(true))
            })
            .await
    }

    /// An event with its body.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn event(&self, id: Uuid) -> Result<Option<EventRow>> {
        self.read(move |connection| {
            let mut query = connection.prepare_cached(&format!("{SELECT} WHERE key = ? AND id = ?"))?;
            query.query_row(params![key(id), id.as_bytes()], event_row).optional().map_err(Into::into)
        })
        .await
    }

    /// Events, the newest first, without their bodies.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn events(&self, filter: EventFilter, before: Option<i64>, limit: usize) -> Result<Page<EventRow>> {
        self.read(move |connection| list(connection, &filter, before, limit)).await
    }

    /// Events in one status, the oldest first, without their bodies.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn events_in(&self, status: EventStatus, after: i64, limit: usize) -> Result<Vec<EventRow>> {
        self.read(move |connection| {
            let sql = format!("{SELECT_WITHOUT_BODY} WHERE status = '{status}' AND key > ? ORDER BY key LIMIT ?");
            let mut query = connection.prepare_cached(&sql)?;
            let rows = query.query_map(params![after, limit as u64], event_row)?;
            rows.collect::<Result<_, _>>().map_err(Into::into)
        })
        .await
    }

    /// How many events are in one status that is not an end.
    ///
    /// # Errors
    /// When they cannot be counted.
    pub async fn count_events(&self, status: EventStatus) -> Result<i64> {
        self.read(move |connection| {
            let sql = format!("SELECT count(*) FROM events WHERE status = '{status}'");
            Ok(connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))?)
        })
        .await
    }

    /// Forgets repeats that are too old to be told. Returns whether there is more to forget.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn purge_repeats(&self) -> Result<bool, StoreError> {
        self.writer
            .write(|tx| {
                let oldest = unix_ms() - tx.policy.dedup.retention.max(tx.policy.dedup.window).as_millis() as i64;
                let sql = "DELETE FROM repeats WHERE (at, source, digest) IN \
                           (SELECT at, source, digest FROM repeats WHERE at < ? LIMIT ?)";
                Ok(tx.connection.prepare_cached(sql)?.execute([oldest, PURGE_ROWS])? as i64 == PURGE_ROWS)
            })
            .await
    }
}

/// What of an event's row does not depend on the transaction.
pub(super) struct Columns {
    tried: String,
    headers: String,
    context: String,
}

impl Columns {
    pub fn of(mapped: &Mapped) -> Self {
        Self { tried: json(&mapped.tried), headers: json(&mapped.event.headers), context: json(&mapped.event.context) }
    }
}

pub(super) fn record(tx: &mut Tx, mapped: &Mapped, columns: &Columns) -> Result<Recorded> {
    if let Some(known) = remember(tx, &mapped.event)? {
        let state = state_of(tx.connection, known)?.context("a remembered event is not in the store")?;
        return Ok(Recorded { state, duplicate: true });
    }
    let recorded = settle(tx, mapped, None)?;
    // An event that no plugin was tried on waits for a plugin, not for another try.
    tx.changed.queued |= recorded.state.status == EventStatus::Queued && !mapped.tried.is_empty();
    let (event, state) = (&mapped.event, &recorded.state);
    let sql = "INSERT INTO events (key, id, source, status, received_at, attempts, code, message, tried, incidents, \
               content_type, headers, context, signed_at, digest, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let signed_at = match event.repeat_key {
        RepeatKey::SignedAt(ms) => Some(ms),
        RepeatKey::DeliveryId(_) | RepeatKey::Body => None,
    };
    tx.connection.prepare_cached(sql)?.execute(params![
        key(event.id),
        event.id.as_bytes(),
        &*event.source,
        state.status.as_str(),
        event.received_at,
        // Waiting for a plugin is no attempt.
        i64::from(!mapped.tried.is_empty()),
        state.code.map(FailureCode::as_str),
        state.message,
        columns.tried,
        json(&state.incidents),
        event.content_type,
        columns.headers,
        columns.context,
        signed_at,
        event.digest,
        &*event.body,
    ])?;
    Ok(recorded)
}

/// Remembers an event for its repeats; returns the event that it repeats, if it does.
fn remember(tx: &Tx, event: &Event) -> Result<Option<i64>> {
    let dedup = tx.policy.dedup;
    match &event.repeat_key {
        RepeatKey::SignedAt(at) => {
            let sql = "INSERT OR IGNORE INTO repeats (at, source, digest, event) VALUES (?, ?, ?, ?)";
            let row = params![at, &*event.source, event.digest, key(event.id)];
            match tx.connection.prepare_cached(sql)?.execute(row)? {
                0 => known(tx, event, *at, &event.digest),
                _ => Ok(None),
            }
        }
        RepeatKey::DeliveryId(id) => {
            let digest: [u8; 32] = Sha256::new_with_prefix(event.digest).chain_update(id).finalize().into();
            // What its sender repeats for ever is known for ever.
            remember_for(tx, event, dedup.retention, &digest, true)
        }
        RepeatKey::Body => remember_for(tx, event, dedup.window, &event.digest, false),
    }
}

/// Remembers an event by the time at which it came. What is renewed is known until it stays away for the whole window.
fn remember_for(tx: &Tx, event: &Event, window: Duration, digest: &[u8; 32], is_renewed: bool) -> Result<Option<i64>> {
    let window_ms = (window.as_millis() as i64).max(1);
    // The end of the window that it falls into, so that it is not forgotten before the last event of that window.
    let at = event.received_at - event.received_at.rem_euclid(window_ms) + window_ms;
    let near = |known: &i64| (event.received_at - key_ms(*known)).abs() < window_ms;
    // Writes do not come in the order of arrival: the other one may lie in the window after.
    for known_at in [at - window_ms, at, at + window_ms] {
        let known = known(tx, event, known_at, digest)?.filter(|known| is_renewed || near(known));
        if let Some(known) = known {
            if is_renewed && known_at < at {
                add_known(tx, event, at, digest, known)?;
            }
            return Ok(Some(known));
        }
    }
    add_known(tx, event, at, digest, key(event.id))?;
    Ok(None)
}

fn known(tx: &Tx, event: &Event, at: i64, digest: &[u8; 32]) -> Result<Option<i64>> {
    let sql = "SELECT event FROM repeats WHERE at = ? AND source = ? AND digest = ?";
    let mut query = tx.connection.prepare_cached(sql)?;
    Ok(query.query_row(params![at, &*event.source, digest], |row| row.get(0)).optional()?)
}

/// What stands there already is too old to count.
fn add_known(tx: &Tx, event: &Event, at: i64, digest: &[u8; 32], known: i64) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO repeats (at, source, digest, event) VALUES (?, ?, ?, ?)";
    tx.connection.prepare_cached(sql)?.execute(params![at, &*event.source, digest, known])?;
    Ok(())
}

/// Applies a verdict: makes and changes incidents, with their audit entries and deliveries.
/// Whoever wants to know of an event that is new, or of one that `was` something else than quarantined, is told.
fn settle(tx: &mut Tx, mapped: &Mapped, was: Option<EventStatus>) -> Result<Recorded> {
    let mut state = EventState {
        id: mapped.event.id,
        status: EventStatus::Ignored,
        code: None,
        message: None,
        incidents: Vec::new(),
    };
    match &mapped.verdict {
        Verdict::NotMapped => state.message = Some("the source has `plugin: none`".into()),
        Verdict::Wait(reason) => {
            state.status = EventStatus::Queued;
            state.message = Some(reason.clone());
        }
        Verdict::Failed(Failure { code, message }) => {
            state.status = EventStatus::Quarantined;
            state.code = Some(*code);
            state.message = Some(message.clone());
        }
        Verdict::Read { plugin, reading: Reading { observations, skipped, problems } } => {
            let origin = Origin {
                event_id: mapped.event.id,
                source: mapped.event.source.to_string(),
                received_at: Timestamp::from_millisecond(mapped.event.received_at)?,
                plugin: plugin.clone(),
                playbook: mapped.playbook.clone(),
                auto_triage: mapped.auto_triage,
            };
            for observation in observations {
                state.incidents.push(apply(tx, observation, &origin)?);
            }
            let notes = if problems.is_empty() { skipped } else { problems };
            state.message = (!notes.is_empty()).then(|| notes.join("; "));
            state.status = match (problems.is_empty(), observations.is_empty()) {
                (false, _) => EventStatus::Partial,
                (true, false) => EventStatus::Mapped,
                (true, true) => EventStatus::Ignored,
            };
        }
    }
    if was.is_none() {
        tell(tx, Trigger::EventReceived, &mapped.event, &state)?;
    }
    if state.status == EventStatus::Quarantined && was != Some(EventStatus::Quarantined) {
        tell(tx, Trigger::EventQuarantined, &mapped.event, &state)?;
    }
    Ok(Recorded { state, duplicate: false })
}

/// Tells whoever wants to know what an event came to.
fn tell(tx: &mut Tx, trigger: Trigger, event: &Event, state: &EventState) -> Result<()> {
    let outbound = tx.outbound.clone();
    let rules: Vec<&Rule> = outbound.rules_for(trigger).collect();
    if rules.is_empty() {
        return Ok(());
    }
    let needs_body = rules.iter().any(|rule| rule.filter.looks_at_body());
    let message = about_event(trigger, event, state, &outbound.public_url, needs_body);
    for rule in rules.into_iter().filter(|rule| rule.filter.matches(&message)) {
        enqueue_steps(tx, rule, &Told::Event(key(event.id)))?;
    }
    Ok(())
}

/// An event that something in the database points to.
pub(super) fn event_of(connection: &Connection, event: i64) -> Result<EventRow> {
    let mut query = connection.prepare_cached(&format!("{SELECT} WHERE key = ?"))?;
    Ok(query.query_row([event], event_row)?)
}

fn update_event(tx: &Tx, id: Uuid, state: &EventState, attempt: u32, tried: &[String]) -> Result<()> {
    let sql =
        "UPDATE events SET status = ?, attempts = ?, code = ?, message = ?, tried = ?, incidents = ? WHERE key = ?";
    tx.connection.prepare_cached(sql)?.execute(params![
        state.status.as_str(),
        attempt,
        state.code.map(FailureCode::as_str),
        state.message,
        json(tried),
        json(&state.incidents),
        key(id),
    ])?;
    Ok(())
}

fn status_of(tx: &Tx, id: Uuid) -> Result<Option<EventStatus>> {
    let mut query = tx.connection.prepare_cached("SELECT status FROM events WHERE key = ? AND id = ?")?;
    let word: Option<String> = query.query_row(params![key(id), id.as_bytes()], |row| row.get(0)).optional()?;
    Ok(word.and_then(|word| word.parse().ok()))
}

fn state_of(connection: &Connection, key: i64) -> Result<Option<EventState>> {
    let sql = "SELECT id, status, code, message, incidents FROM events WHERE key = ?";
    Ok(connection.prepare_cached(sql)?.query_row([key], event_state).optional()?)
}

const SELECT: &str = "SELECT id, status, code, message, incidents, source, received_at, attempts, tried, content_type, \
                      headers, context, signed_at, digest, body FROM events";
const SELECT_WITHOUT_BODY: &str = "SELECT id, status, code, message, incidents, source, received_at, attempts, tried, \
                                   content_type, headers, context, signed_at, digest, x'' FROM events";

fn event_state(row: &Row) -> rusqlite::Result<EventState> {
    let (status, code): (String, Option<String>) = (row.get(1)?, row.get(2)?);
    Ok(EventState {
        id: uuid(row, 0)?,
        status: status.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
        code: code.and_then(|word| word.parse().ok()),
        message: row.get(3)?,
        incidents: from_json(row, 4)?,
    })
}

fn event_row(row: &Row) -> rusqlite::Result<EventRow> {
    let state = event_state(row)?;
    let (source, body): (String, Vec<u8>) = (row.get(5)?, row.get(14)?);
    let headers: Vec<NamedValue> = from_json(row, 10)?;
    let signed_at: Option<i64> = row.get(12)?;
    let context: Vec<NamedValue> = from_json(row, 11)?;
    let delivery = context.iter().find(|(name, _)| name == DELIVERY_ID).map(|(_, id)| id.clone());
    let repeat_key = match (delivery, signed_at) {
        (Some(id), _) => RepeatKey::DeliveryId(id),
        (None, Some(at)) => RepeatKey::SignedAt(at),
        (None, None) => RepeatKey::Body,
    };
    let event = Event {
        id: state.id,
        source: Arc::from(source),
        received_at: row.get(6)?,
        content_type: row.get(9)?,
        headers,
        context,
        digest: row.get(13)?,
        body: body.into(),
        repeat_key,
    };
    Ok(EventRow { state, event, attempts: row.get(7)?, tried: from_json(row, 8)? })
}

fn list(connection: &Connection, filter: &EventFilter, before: Option<i64>, limit: usize) -> Result<Page<EventRow>> {
    let mut conditions = Conditions::default();
    conditions.one_of("source", &filter.source);
    conditions.one_of("status", &filter.status);
    conditions.one_of("code", &filter.code);
    if !filter.incident.is_empty() {
        let ids = filter.incident.iter().map(|id| Value::Text(id.to_string()));
        let any = vec!["instr(incidents, ?) > 0"; filter.incident.len()].join(" OR ");
        conditions.add(&format!("({any})"), ids);
    }
    if let Some(time) = filter.created_after {
        conditions.add("received_at > ?", [Value::Integer(time.as_millisecond())]);
    }
    if let Some(before) = before {
        conditions.add("key < ?", [Value::Integer(before)]);
    }
    let sql = format!("{SELECT_WITHOUT_BODY} {} ORDER BY key DESC LIMIT {}", conditions.sql(), limit + 1);
    let mut query = connection.prepare(&sql)?;
    let rows = query.query_map(params_from_iter(conditions.values), event_row)?.collect::<Result<Vec<_>, _>>()?;
    Ok(Page::new(rows, limit, |row| key(row.state.id)))
}
