//! The events in quarantine by the causes of their failures, which are read from one index, without the rows.

use super::columns::Id;
use crate::rows::{Page, QuarantineCause, QuarantineGroup};
use anyhow::Result;
use rusqlite::{Connection, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use uuid::Uuid;

/// The different failures that are grouped, the newest ones: so many are read in a fraction of a second.
const FAILURES_MAX: i64 = 10_000;

/// A group while the index is read. Keys stand for events.
struct Collected {
    count: u64,
    sources: BTreeSet<String>,
    keys: RangeInclusive<i64>,
}

/// Returns the groups whose newest event has a key below `before`, the one with the newest event first. The database counts
/// the events with equal failures. Of different failures the newest [`FAILURES_MAX`] are grouped.
pub(super) fn groups(connection: &Connection, before: Option<i64>, limit: usize) -> Result<Page<QuarantineGroup>> {
    // The status is part of the text, so that the partial index is used.
    let sql = "SELECT code, tried, message, source, count(*), min(key), max(key) \
               FROM events INDEXED BY events_failures WHERE status = 'quarantined' \
               GROUP BY code, tried, source, message ORDER BY max(key) DESC LIMIT ?";
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query([FAILURES_MAX])?;
    let mut found: BTreeMap<QuarantineCause, Collected> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        // An event of another version of Hookmill, or a damaged one, has no cause. The list of events shows it.
        let Some(cause) = cause(failure(row)?) else { continue };
        let (source, count): (String, u64) = (row.get(3)?, row.get(4)?);
        let (oldest, newest): (i64, i64) = (row.get(5)?, row.get(6)?);
        let group = found.entry(cause).or_insert_with(|| Collected {
            count: 0,
            sources: BTreeSet::new(),
            keys: oldest..=newest,
        });
        group.count += count;
        group.keys = oldest.min(*group.keys.start())..=newest.max(*group.keys.end());
        group.sources.insert(source);
    }
    let is_after = |collected: &Collected| before.is_none_or(|before| *collected.keys.end() < before);
    let mut listed: Vec<_> = found.into_iter().filter(|(_, collected)| is_after(collected)).collect();
    listed.sort_by_key(|(_, collected)| std::cmp::Reverse(*collected.keys.end()));
    let next = (listed.len() > limit).then(|| *listed[limit - 1].1.keys.end());
    listed.truncate(limit);
    let rows = listed.into_iter().map(|(cause, Collected { count, sources, keys })| {
        let (oldest, newest) = (event(connection, *keys.start())?, event(connection, *keys.end())?);
        Ok(QuarantineGroup { cause, count, sources, oldest, newest })
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
    let mut found = Vec::new();
    let mut is_member: BTreeMap<QuarantineCause, bool> = BTreeMap::new();
    each_event(connection, |key, cause| {
        if !keys.contains(&key) {
            return;
        }
        let known = is_member.get(cause).copied();
        if known.unwrap_or_else(|| *is_member.entry(cause.clone()).or_insert_with(|| cause.group_id() == group)) {
            found.push(key);
        }
    })?;
    found.sort_unstable();
    let next = (found.len() > limit).then(|| found[limit - 1]);
    found.truncate(limit);
    let rows = found.into_iter().map(|key| event(connection, key).map(|(id, _)| id));
    Ok(Page { rows: rows.collect::<Result<_>>()?, next })
}

/// Calls `add` with the key and the cause of each event in quarantine. The index has events with the same message one after
/// the other, so that a cause is found once for all of them.
fn each_event(connection: &Connection, mut add: impl FnMut(i64, &QuarantineCause)) -> Result<()> {
    let sql = "SELECT code, tried, message, key FROM events INDEXED BY events_failures WHERE status = 'quarantined'";
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query([])?;
    let mut last: Option<([Option<String>; 3], Option<QuarantineCause>)> = None;
    while let Some(row) = rows.next()? {
        let failure = failure(row)?;
        let is_same = last.as_ref().is_some_and(|(known, _)| known.each_ref().map(Option::as_deref) == failure);
        if !is_same {
            last = Some((failure.map(|text| text.map(str::to_owned)), cause(failure)));
        }
        if let Some((_, Some(cause))) = &last {
            add(row.get(3)?, cause);
        }
    }
    Ok(())
}

/// Returns the first three columns: the code, the tried versions in JSON, and the message.
fn failure<'r>(row: &'r Row) -> Result<[Option<&'r str>; 3]> {
    Ok([row.get_ref(0)?.as_str_or_null()?, row.get_ref(1)?.as_str_or_null()?, row.get_ref(2)?.as_str_or_null()?])
}

/// Returns the cause of a failure with this code, these tried versions in JSON, and this message.
fn cause([code, tried, message]: [Option<&str>; 3]) -> Option<QuarantineCause> {
    let tried: Vec<String> = serde_json::from_str(tried?).ok()?;
    Some(QuarantineCause::new(code?.parse().ok()?, &tried, message.unwrap_or_default()))
}

fn event(connection: &Connection, key: i64) -> Result<(Uuid, i64)> {
    let mut query = connection.prepare_cached("SELECT id, received_at FROM events WHERE key = ?")?;
    let (Id(id), received_at) = query.query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((id, received_at))
}
