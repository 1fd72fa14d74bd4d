//! The table `repeats`.

use super::columns::read_into;
use crate::columns::Columns;
use crate::columns::repeats::KnownColumns;
use crate::ledger::{KnownEvent, RepeatKeyRow};
use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::LazyLock;

/// Made once: it runs for every event.
static FIND: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM repeats WHERE at = ? AND source = ? AND digest = ?", KnownColumns::LIST));

pub(super) fn find(connection: &Connection, key: &RepeatKeyRow) -> Result<Option<KnownEvent>> {
    let mut query = connection.prepare_cached(&FIND)?;
    let found = query.query_row(params![key.at, key.source, key.digest], read_into::<KnownColumns, _>);
    Ok(found.optional()?)
}

/// Returns the largest time of a key.
pub(super) fn newest(connection: &Connection) -> Result<i64> {
    let mut query = connection.prepare_cached("SELECT max(at) FROM repeats")?;
    Ok(query.query_row([], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(i64::MIN))
}

pub(super) fn put(connection: &Connection, key: &RepeatKeyRow, event: KnownEvent) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO repeats (at, source, digest, event, received_at) VALUES (?, ?, ?, ?, ?)";
    let row = params![key.at, key.source, key.digest, event.key, event.received_at];
    connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, before: i64, limit: usize) -> Result<usize> {
    let sql = "DELETE FROM repeats WHERE (at, source, digest) IN \
               (SELECT at, source, digest FROM repeats WHERE at < ? LIMIT ?)";
    Ok(connection.prepare_cached(sql)?.execute(params![before, limit as u64])?)
}
