//! The events in quarantine by the causes of their failures. One index has the group of each event, so that groups are
//! counted without the rows, and the events of a group are one range of it.

use crate::columns::failures::{self, Counted};
use crate::columns::{Id, value};
use crate::pages::cut_to_page;
use crate::rows::{Page, QuarantineCause, QuarantineGroup};
use anyhow::Result;
use rusqlite::{Connection, Row, params};
use std::ops::RangeInclusive;
use uuid::Uuid;

/// The events whose group is found together by the migration.
const TOGETHER: usize = 1000;

/// The events of all groups. The status is part of the text, so that the partial index is used.
const GROUPED: &str = "events INDEXED BY events_failure_group WHERE status = 'quarantined' AND failure_group";

/// Returns the groups whose newest event has a key below `before`, the one with the newest event first.
pub(super) fn groups(connection: &Connection, before: Option<i64>, limit: usize) -> Result<Page<QuarantineGroup>> {
    let sql = format!(
        "SELECT failure_group, count(*), min(key), max(key), json_group_array(DISTINCT source) FROM {GROUPED} NOTNULL \
         GROUP BY failure_group HAVING max(key) < ? ORDER BY max(key) DESC LIMIT ?"
    );
    let mut query = connection.prepare_cached(&sql)?;
    let mut read = query.query(params![before.unwrap_or(i64::MAX), limit.saturating_add(1) as u64])?;
    let mut counted = Vec::new();
    while let Some(row) = read.next()? {
        let sources = serde_json::from_str(row.get_ref(4)?.as_str()?)?;
        counted.push(Counted { id: row.get(0)?, count: row.get(1)?, keys: row.get(2)?..=row.get(3)?, sources });
    }
    let next = cut_to_page(&mut counted, limit, |group| *group.keys.end());
    let mut rows = Vec::with_capacity(counted.len());
    for group in counted {
        // A group of damaged events only has no cause. The list of events shows these.
        if let Some(cause) = cause_of_group(connection, &group.id)? {
            let (oldest, newest) = (event(connection, *group.keys.start())?, event(connection, *group.keys.end())?);
            rows.push(group.with(cause, oldest, newest));
        }
    }
    Ok(Page { rows, next })
}

/// Returns the ids of the events of a group with keys in a range, the oldest first.
pub(super) fn members(
    connection: &Connection,
    group: &str,
    keys: &RangeInclusive<i64>,
    limit: usize,
) -> Result<Page<Uuid>> {
    let sql = format!("SELECT key FROM {GROUPED} = ? AND key BETWEEN ? AND ? ORDER BY key LIMIT ?");
    let mut query = connection.prepare_cached(&sql)?;
    let range = params![group, keys.start(), keys.end(), limit.saturating_add(1) as u64];
    let mut found = query.query_map(range, |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    let next = cut_to_page(&mut found, limit, |key| *key);
    let rows = found.into_iter().map(|key| event(connection, key).map(|(id, _)| id));
    Ok(Page { rows: rows.collect::<Result<_>>()?, next })
}

/// Stores the group of each event in quarantine, inside the transaction of the migration.
pub(super) fn add_groups(connection: &Connection) -> Result<()> {
    let sql = format!(
        "SELECT code, tried, message, key FROM events INDEXED BY events_quarantined \
         WHERE status = 'quarantined' AND key > ? ORDER BY key LIMIT {TOGETHER}"
    );
    let mut select = connection.prepare(&sql)?;
    let mut update = connection.prepare("UPDATE events SET failure_group = ? WHERE key = ?")?;
    let mut after = 0;
    loop {
        let read = |row: &Row| Ok((row.get(3)?, cause(row)?));
        let events: Vec<(i64, Option<QuarantineCause>)> = select.query_map([after], read)?.collect::<Result<_, _>>()?;
        let Some((last, _)) = events.last() else { return Ok(()) };
        after = *last;
        for (key, cause) in events {
            update.execute((cause.map(|cause| cause.group_id()), key))?;
        }
    }
}

/// Returns the cause of the newest event of a group that is readable.
fn cause_of_group(connection: &Connection, group: &str) -> Result<Option<QuarantineCause>> {
    let sql = format!("SELECT code, tried, message FROM {GROUPED} = ? ORDER BY key DESC");
    let mut query = connection.prepare_cached(&sql)?;
    let mut causes = query.query_map([group], cause)?;
    Ok(causes.find_map(Result::transpose).transpose()?)
}

/// Returns the cause of the failure in the first three columns. A text that is no text counts as none.
fn cause(row: &Row) -> rusqlite::Result<Option<QuarantineCause>> {
    let columns = [row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?];
    Ok(failures::cause(columns.map(|value| value.as_str_or_null().ok().flatten())))
}

fn event(connection: &Connection, key: i64) -> Result<(Uuid, i64)> {
    let mut query = connection.prepare_cached("SELECT id, received_at FROM events WHERE key = ?")?;
    let (Id(id), received_at) = query.query_row([key], |row| Ok(value(row, 0, "id").map(|id| (id, row.get(1)))))??;
    Ok((id, received_at?))
}
