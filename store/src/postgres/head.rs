//! The row `head`, which makes the groups of all hosts serial, and what a group writes beside the rows of its writes.

use super::ahead::{Known, Wanted};
use super::batch::Statement;
use super::own_groups::TaskCounters;
use super::session::Session;
use crate::columns::{Columns, columns};
use crate::ledger::Outcome;
use crate::topics::Changed;
use anyhow::Result;
use hookmill_incident::id::row_key_at;
use tokio_postgres::types::ToSql;

/// The newest groups whose events other hosts can still look up.
pub(super) const GROUPS_KEPT: i64 = 1024;

columns! {
    /// The row, locked.
    HeadColumns {
        number: i64,
        last_key: i64,
        settings: i64,
        is_moved: bool = "move IS NOT NULL",
    }
}

/// Counts the group, and tells other hosts what it changed.
const PUT: &str = "WITH counted AS (
        UPDATE head SET number = $1::bigint, last_key = greatest(last_key, $2::bigint), newest_audit = coalesce($3::bytea, newest_audit),
            deliveries = deliveries + $4::bigint, retries = retries + $5::bigint, queued = queued + $6::bigint, triage = triage + $7::bigint,
            settings = settings + $11::bigint
    ), told AS (
        INSERT INTO group_events (place, number, host, events)
        SELECT $1::bigint % $8::bigint, $1::bigint, coalesce($10::text, ''), $9::bytea WHERE octet_length($9::bytea) > 0
        ON CONFLICT (place) DO UPDATE SET number = excluded.number, host = excluded.host, events = excluded.events
    )
    INSERT INTO groups (host, number) SELECT $10::text, $1::bigint WHERE $10::text IS NOT NULL
    ON CONFLICT (host) DO UPDATE SET number = excluded.number";

/// Begins a transaction, waits for the groups of other hosts, and loads rows.
pub(super) fn begin(session: &Session, wanted: Wanted) -> Result<(HeadColumns, Known)> {
    let sql = format!("SELECT {} FROM head FOR UPDATE", HeadColumns::LIST);
    let (row, found) = session.begin(&sql, &wanted.statements())?;
    Ok((HeadColumns::read(&row)?, Known::read(wanted, found)?))
}

/// Returns the last statement of a group with this number; `host` is `None` for a command.
pub(super) fn last_statement(host: Option<&str>, number: i64, last_key: i64, outcome: &Outcome) -> Statement {
    let Outcome { changed, events, .. } = outcome;
    let [deliveries, retries, queued, triage] = task_counters(changed);
    let (settings, newest_audit) = (i64::from(changed.settings), changed.newest_audit.map(|id| id.as_bytes().to_vec()));
    let events: Vec<u8> = events.iter().flat_map(|id| id.into_bytes()).collect();
    // A damaged row with an impossible key must not end the growth of keys.
    let last_key = last_key.min(row_key_at(i64::MAX));
    let values: Vec<Box<dyn ToSql + Sync>> = vec![
        Box::new(number),
        Box::new(last_key),
        Box::new(newest_audit),
        Box::new(deliveries),
        Box::new(retries),
        Box::new(queued),
        Box::new(triage),
        Box::new(GROUPS_KEPT),
        Box::new(events),
        Box::new(host.map(str::to_owned)),
        Box::new(settings),
    ];
    Statement { sql: PUT.into(), values }
}

/// Returns what a group adds to the counters.
pub(super) fn task_counters(changed: &Changed) -> TaskCounters {
    [!changed.deliveries.is_empty(), !changed.retries.is_empty(), changed.queued, changed.triage].map(i64::from)
}

/// Returns whether a group of this host was committed. Its transaction has ended if this one has the row `head`.
pub(super) fn was_committed(session: &Session, host: &str, number: i64) -> Result<bool> {
    session.exists("SELECT 1 FROM groups WHERE host = $1 AND number = $2", &[&host, &number])
}
