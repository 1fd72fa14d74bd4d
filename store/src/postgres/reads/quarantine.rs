//! The events in quarantine by the causes of their failures.

use crate::columns::failures::{Counted, cause};
use crate::columns::{Id, value};
use crate::pages::cut_to_page;
use crate::postgres::query::raw_rows;
use crate::rows::{Page, QuarantineCause, QuarantineGroup};
use anyhow::{Context, Result};
use hookmill_incident::id::row_key;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

/// The newest events of a group among which one that is readable is looked for.
const READABLE_AMONG: usize = 100;

/// Returns the groups whose newest event has a key below `before`, the one with the newest event first.
pub(super) async fn groups(
    client: &impl GenericClient,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<QuarantineGroup>> {
    let sql = "SELECT failure_group, count(*), min(key), max(key), json_agg(DISTINCT source)::text FROM events \
               WHERE failure_group IS NOT NULL GROUP BY failure_group HAVING max(key) < $1 \
               ORDER BY max(key) DESC LIMIT $2";
    let mut counted = Vec::new();
    let parameters = [before.unwrap_or(i64::MAX).into(), limit.saturating_add(1).into()];
    for row in raw_rows(client, sql, &parameters).await? {
        let sources = serde_json::from_str(&value::<String>(&row, 4, "sources")?)?;
        let keys = value(&row, 2, "min")?..=value(&row, 3, "max")?;
        let (id, count) = (value(&row, 0, "failure_group")?, value(&row, 1, "count")?);
        counted.push(Counted { id, count, keys, sources });
    }
    let next = cut_to_page(&mut counted, limit, |group| *group.keys.end());
    let events = events(client, counted.iter().flat_map(|group| [*group.keys.start(), *group.keys.end()])).await?;
    let event = |key: &i64| events.get(key).copied().context("an event in quarantine is not in the database");
    let mut rows = Vec::with_capacity(counted.len());
    for group in counted {
        // A group of damaged events only has no cause. The list of events shows these.
        if let Some(cause) = cause_of_group(client, &group.id).await? {
            let (oldest, newest) = (event(group.keys.start())?, event(group.keys.end())?);
            rows.push(group.with(cause, oldest, newest));
        }
    }
    Ok(Page { rows, next })
}

/// Returns the ids of the events of a group with keys in a range, the oldest first.
pub(super) async fn members(
    client: &impl GenericClient,
    group: &str,
    keys: &RangeInclusive<i64>,
    limit: usize,
) -> Result<Page<Uuid>> {
    let sql = "SELECT key FROM events WHERE failure_group = $1 AND key >= $2 AND key <= $3 ORDER BY key LIMIT $4";
    let parameters = [group.into(), (*keys.start()).into(), (*keys.end()).into(), limit.saturating_add(1).into()];
    let rows = raw_rows(client, sql, &parameters).await?;
    let mut found = rows.iter().map(|row| value(row, 0, "key")).collect::<Result<Vec<i64>>>()?;
    let next = cut_to_page(&mut found, limit, |key| *key);
    let events = events(client, found.iter().copied()).await?;
    let id = |key| events.get(key).map(|(id, _)| *id).context("an event in quarantine is not in the database");
    Ok(Page { rows: found.iter().map(id).collect::<Result<_>>()?, next })
}

/// Returns the cause of the newest event of a group that is readable.
async fn cause_of_group(client: &impl GenericClient, group: &str) -> Result<Option<QuarantineCause>> {
    let sql = "SELECT code, tried, message FROM events WHERE failure_group = $1 ORDER BY key DESC LIMIT $2";
    for row in raw_rows(client, sql, &[group.into(), READABLE_AMONG.into()]).await? {
        let failure: [Option<String>; 3] =
            [value(&row, 0, "code")?, value(&row, 1, "tried")?, value(&row, 2, "message")?];
        if let Some(cause) = cause(failure.each_ref().map(Option::as_deref)) {
            return Ok(Some(cause));
        }
    }
    Ok(None)
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
