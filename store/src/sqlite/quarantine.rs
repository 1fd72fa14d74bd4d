//! The events in quarantine by the causes of their failures, which are read from one index, without the rows.

use crate::columns::failures::{FAILURES_MAX, Failure, Groups, Members};
use crate::columns::{Id, value};
use crate::rows::{Page, QuarantineGroup};
use anyhow::Result;
use rusqlite::{Connection, Row};
use std::ops::RangeInclusive;
use uuid::Uuid;

/// Returns the groups whose newest event has a key below `before`, the one with the newest event first. The database counts
/// the events with equal failures. Of different failures the newest [`FAILURES_MAX`] are grouped.
pub(super) fn groups(connection: &Connection, before: Option<i64>, limit: usize) -> Result<Page<QuarantineGroup>> {
    // The status is part of the text, so that the partial index is used.
    let sql = "SELECT code, tried, message, source, count(*), min(key), max(key) \
               FROM events INDEXED BY events_failures WHERE status = 'quarantined' \
               GROUP BY code, tried, source, message ORDER BY max(key) DESC LIMIT ?";
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query([FAILURES_MAX])?;
    let mut groups = Groups::default();
    while let Some(row) = rows.next()? {
        groups.add(failure(row)?, row.get(3)?, row.get(4)?, row.get(5)?..=row.get(6)?);
    }
    let (listed, next) = groups.page(before, limit);
    let rows = listed.into_iter().map(|(cause, group)| {
        let (oldest, newest) = (event(connection, *group.keys.start())?, event(connection, *group.keys.end())?);
        Ok(group.with(cause, oldest, newest))
    });
    Ok(Page { rows: rows.collect::<Result<_>>()?, next })
}

/// Returns the ids of the events of a group with keys in a range, the oldest first.
pub(super) fn members(
    connection: &Connection,
    group: &str,
    keys: &RangeInclusive<i64>,
    limit: usize,
) -> Result<Page<Uuid>> {
    let sql = "SELECT code, tried, message, key FROM events INDEXED BY events_failures WHERE status = 'quarantined'";
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query([])?;
    let mut members = Members::of(group);
    while let Some(row) = rows.next()? {
        let key = row.get(3)?;
        if keys.contains(&key) {
            members.add(failure(row)?, key);
        }
    }
    let (found, next) = members.page(limit);
    let rows = found.into_iter().map(|key| event(connection, key).map(|(id, _)| id));
    Ok(Page { rows: rows.collect::<Result<_>>()?, next })
}

/// Returns the first three columns.
fn failure<'r>(row: &'r Row) -> Result<Failure<'r>> {
    Ok([row.get_ref(0)?.as_str_or_null()?, row.get_ref(1)?.as_str_or_null()?, row.get_ref(2)?.as_str_or_null()?])
}

fn event(connection: &Connection, key: i64) -> Result<(Uuid, i64)> {
    let mut query = connection.prepare_cached("SELECT id, received_at FROM events WHERE key = ?")?;
    let (Id(id), received_at) = query.query_row([key], |row| Ok(value(row, 0, "id").map(|id| (id, row.get(1)))))??;
    Ok((id, received_at?))
}
