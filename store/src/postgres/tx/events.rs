//! The tables `events` and `repeats`.

use crate::columns::events::StateColumns;
use crate::columns::repeats::KnownColumns;
use crate::columns::{Columns, json};
use crate::ledger::{EncodedEvent, KnownEvent, RepeatKeyRow};
use crate::postgres::columns::{stored_option, stored_text};
use crate::postgres::session::Session;
use crate::rows::QuarantineCause;
use anyhow::Result;
use hookmill_incident::id::row_key;
use hookmill_incident::{EventState, EventStatus, FailureCode, Mapped};
use uuid::Uuid;

pub(super) fn find_repeat(session: &Session, key: &RepeatKeyRow) -> Result<Option<KnownEvent>> {
    let sql = format!("SELECT {} FROM repeats WHERE at = $1 AND source = $2 AND digest = $3", KnownColumns::LIST);
    let row = session.row(&sql, &[&key.at, &stored_text(key.source), &key.digest.as_slice()])?;
    row.map(|row| KnownColumns::read(&row).map(KnownEvent::from)).transpose()
}

pub(super) fn remove_repeats(session: &Session, before: i64, limit: usize) -> Result<usize> {
    let sql = "DELETE FROM repeats WHERE (at, source, digest) IN \
               (SELECT at, source, digest FROM repeats WHERE at < $1 LIMIT $2)";
    session.execute(sql, &[&before, &(limit as i64)])
}

pub(super) fn state(session: &Session, event: i64) -> Result<Option<EventState>> {
    let row = session.row(&format!("SELECT {} FROM events WHERE key = $1", StateColumns::LIST), &[&event])?;
    row.map(|row| StateColumns::read(&row).map(EventState::from)).transpose()
}

pub(super) fn status(session: &Session, id: Uuid) -> Result<Option<EventStatus>> {
    let sql = "SELECT status FROM events WHERE key = $1 AND id = $2";
    let word: Option<String> = session.value(sql, &[&row_key(id), &id.as_bytes().as_slice()])?;
    Ok(word.and_then(|word| word.parse().ok()))
}

pub(super) fn update(session: &Session, state: &EventState, attempts: u32, mapped: &Mapped) -> Result<()> {
    let sql = "UPDATE events SET status = $1, attempts = $2, code = $3, message = $4, tried = $5, incidents = $6, \
               journey = $7, log = $8, failure_group = $9 WHERE key = $10";
    let EncodedEvent { tried, journey, log, .. } = EncodedEvent::of(mapped);
    session.execute(
        sql,
        &[
            &state.status.as_str(),
            &i64::from(attempts),
            &state.code.map(FailureCode::as_str),
            &stored_option(state.message.as_deref()),
            &stored_text(&tried),
            &stored_text(&json(&state.incidents)),
            &stored_option(journey.as_deref()),
            &stored_option(log.as_deref()),
            &QuarantineCause::group_of(state, &mapped.tried),
            &row_key(state.id),
        ],
    )?;
    Ok(())
}

pub(super) fn discard(session: &Session, id: Uuid, reason: Option<&str>) -> Result<()> {
    let sql = "UPDATE events SET status = $1, discard_reason = $2, failure_group = NULL WHERE key = $3";
    session.execute(sql, &[&EventStatus::Discarded.as_str(), &stored_option(reason), &row_key(id)])?;
    Ok(())
}
