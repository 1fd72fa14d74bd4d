//! The table `repeats`.

use crate::ledger::RepeatKeyRow;
use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, params};

pub(super) fn add(connection: &Connection, key: &RepeatKeyRow, event: i64) -> Result<Option<i64>> {
    let sql = "INSERT OR IGNORE INTO repeats (at, source, digest, event) VALUES (?, ?, ?, ?)";
    match connection.prepare_cached(sql)?.execute(params![key.at, key.source, key.digest, event])? {
        0 => find(connection, key),
        _ => Ok(None),
    }
}

pub(super) fn find(connection: &Connection, key: &RepeatKeyRow) -> Result<Option<i64>> {
    let sql = "SELECT event FROM repeats WHERE at = ? AND source = ? AND digest = ?";
    let mut query = connection.prepare_cached(sql)?;
    Ok(query.query_row(params![key.at, key.source, key.digest], |row| row.get(0)).optional()?)
}

pub(super) fn put(connection: &Connection, key: &RepeatKeyRow, event: i64) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO repeats (at, source, digest, event) VALUES (?, ?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![key.at, key.source, key.digest, event])?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, before: i64, limit: usize) -> Result<usize> {
    let sql = "DELETE FROM repeats WHERE (at, source, digest) IN \
               (SELECT at, source, digest FROM repeats WHERE at < ? LIMIT ?)";
    Ok(connection.prepare_cached(sql)?.execute(params![before, limit as u64])?)
}
