//! The events in quarantine by the causes of their failures.

use crate::columns::failures::{FAILURES_MAX, Failure, Groups, Members};
use crate::columns::{Id, value};
use crate::postgres::query::raw_rows;
use crate::rows::{Page, QuarantineGroup};
use anyhow::{Context, Result};
use hookmill_incident::id::row_key;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

/// Returns the groups whose newest event has a key below `before`, the one with the newest event first. Of different
/// failures the newest [`FAILURES_MAX`] are grouped.
pub(super) async fn groups(
    client: &impl GenericClient,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<QuarantineGroup>> {
    let sql = "SELECT code, tried, message, source, count(*), min(key), max(key) FROM events \
               WHERE status = 'quarantined' GROUP BY code, tried, source, message ORDER BY max(key) DESC LIMIT $1";
    let mut groups = Groups::default();
    for row in raw_rows(client, sql, &[FAILURES_MAX.into()]).await? {
        let keys = value(&row, 5, "min")?..=value(&row, 6, "max")?;
        groups.add(borrowed(&failure(&row)?), value(&row, 3, "source")?, value(&row, 4, "count")?, keys);
    }
    let (listed, next) = groups.page(before, limit);
    let events = events(client, listed.iter().flat_map(|(_, group)| [*group.keys.start(), *group.keys.end()])).await?;
    let event = |key: &i64| events.get(key).copied().context("an event in quarantine is not in the database");
    let rows = listed.into_iter().map(|(cause, group)| {
        let (oldest, newest) = (event(group.keys.start())?, event(group.keys.end())?);
        Ok(group.with(cause, oldest, newest))
    });
    Ok(Page { rows: rows.collect::<Result<_>>()?, next })
}

/// Returns the ids of the events of a group with keys in a range, the oldest first.
pub(super) async fn members(
    client: &impl GenericClient,
    group: &str,
    keys: &RangeInclusive<i64>,
    limit: usize,
) -> Result<Page<Uuid>> {
    let sql = "SELECT code, tried, message, key FROM events WHERE status = 'quarantined' AND key >= $1 AND key <= $2 \
               ORDER BY code, tried, message";
    let mut members = Members::of(group);
    for row in raw_rows(client, sql, &[(*keys.start()).into(), (*keys.end()).into()]).await? {
        members.add(borrowed(&failure(&row)?), value(&row, 3, "key")?);
    }
    let (found, next) = members.page(limit);
    let events = events(client, found.iter().copied()).await?;
    let id = |key| events.get(key).map(|(id, _)| *id).context("an event in quarantine is not in the database");
    Ok(Page { rows: found.iter().map(id).collect::<Result<_>>()?, next })
}

/// Returns the first three columns.
fn failure(row: &Row) -> Result<[Option<String>; 3]> {
    Ok([value(row, 0, "code")?, value(row, 1, "tried")?, value(row, 2, "message")?])
}

fn borrowed(failure: &[Option<String>; 3]) -> Failure<'_> {
    failure.each_ref().map(Option::as_deref)
}

/// Returns the ids of events, and when they were received, by their keys.
async fn events(client: &impl GenericClient, keys: impl Iterator<Item = i64>) -> Result<HashMap<i64, (Uuid, i64)>> {
    let sql = "SELECT id, received_at FROM events WHERE key = ANY($1)";
    let rows = raw_rows(client, sql, &[keys.collect::<Vec<_>>().into()]).await?;
    let event = |row: &Row| {
        let Id(id) = value(row, 0, "id")?;
        Ok((row_key(id), (id, value(row, 1, "received_at")?)))
    };
    rows.iter().map(event).collect()
}
