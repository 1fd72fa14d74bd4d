//! The events in quarantine by the causes of their failures. All causes are read from one index, without the rows.

use super::columns::{Id, Json};
use crate::rows::{Page, QuarantineCause, QuarantineGroup};
use anyhow::Result;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use uuid::Uuid;

/// A group while the index is read. Keys stand for events.
struct Collected {
    count: u64,
    sources: BTreeSet<String>,
    keys: RangeInclusive<i64>,
}

/// Returns the groups whose newest event has a key below `before`, the one with the newest event first.
pub(super) fn groups(connection: &Connection, before: Option<i64>, limit: usize) -> Result<Page<QuarantineGroup>> {
    let mut found: BTreeMap<QuarantineCause, Collected> = BTreeMap::new();
    each_event(connection, |key, cause, source| {
        let group =
            found.entry(cause).or_insert_with(|| Collected { count: 0, sources: BTreeSet::new(), keys: key..=key });
        group.count += 1;
        group.keys = key.min(*group.keys.start())..=key.max(*group.keys.end());
        if !group.sources.contains(&source) {
            group.sources.insert(source);
        }
    })?;
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
    each_event(connection, |key, cause, _| {
        if keys.contains(&key) && cause.group_id() == group {
            found.push(key);
        }
    })?;
    found.sort_unstable();
    let next = (found.len() > limit).then(|| found[limit - 1]);
    found.truncate(limit);
    let rows = found.into_iter().map(|key| event(connection, key).map(|(id, _)| id));
    Ok(Page { rows: rows.collect::<Result<_>>()?, next })
}

/// Calls `add` with the key, the cause and the source of each event in quarantine.
fn each_event(connection: &Connection, mut add: impl FnMut(i64, QuarantineCause, String)) -> Result<()> {
    // The status is part of the text, so that the partial index is used.
    let sql = "SELECT key, code, tried, source, message FROM events INDEXED BY events_failures \
               WHERE status = 'quarantined'";
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let code: Option<String> = row.get(1)?;
        // An event of another version of Hookmill, or a damaged one, is shown in the list of events.
        let (Some(code), Ok(Json(tried))) = (code.and_then(|word| word.parse().ok()), row.get(2)) else { continue };
        let tried: Vec<String> = tried;
        let message: Option<String> = row.get(4)?;
        add(row.get(0)?, QuarantineCause::new(code, &tried, &message.unwrap_or_default()), row.get(3)?);
    }
    Ok(())
}

fn event(connection: &Connection, key: i64) -> Result<(Uuid, i64)> {
    let mut query = connection.prepare_cached("SELECT id, received_at FROM events WHERE key = ?")?;
    let (Id(id), received_at) = query.query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((id, received_at))
}
