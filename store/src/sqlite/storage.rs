//! The space that the database uses, and giving it back.

use super::stored_days;
use super::wal_file::wal_path;
use crate::columns::stored_days::{SAMPLED_ROWS, row_size};
use crate::rows::StorageUse;
use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;

/// The mode of `auto_vacuum` in which free pages are given back on request.
pub(super) const INCREMENTAL: i64 = 2;
/// Of the pages of the database, one in this many may be free: new rows take them, and none is moved for that.
const FREE_PAGES_SHARE: i64 = 20;
/// So many pages may be free in any case.
const FREE_PAGES_MIN: i64 = 256;
/// The free pages that one write gives back, so that the write is short.
const RELEASED_AT_ONCE: i64 = 32;

/// Returns the space that a database uses.
pub(super) fn usage(connection: &Connection, path: &Path) -> Result<StorageUse> {
    let page_bytes = pragma(connection, "page_size")?;
    let mut kinds = stored_days::by_kind(connection)?;
    for (kind, found) in &mut kinds {
        if let Some((table, size)) = row_size(*kind) {
            found.row_bytes = sampled(connection, table, size)?;
        }
    }
    let mut query = connection.prepare_cached("SELECT hour, used_bytes FROM storage_samples ORDER BY hour")?;
    let samples = query.query_map([], |row| Ok((row.get("hour")?, row.get::<_, i64>("used_bytes")? as u64)))?;
    Ok(StorageUse {
        database_bytes: (pragma(connection, "page_count")? * page_bytes) as u64,
        free_bytes: (pragma(connection, "freelist_count")? * page_bytes) as u64,
        gives_back: pragma(connection, "auto_vacuum")? == INCREMENTAL,
        wal_bytes: std::fs::metadata(wal_path(path)).map_or(0, |metadata| metadata.len()),
        kinds,
        samples: samples.collect::<Result<_, _>>()?,
    })
}

/// Returns the average size of rows that lie at equal distances between the first and the last key.
fn sampled(connection: &Connection, table: &str, size: &str) -> Result<f64> {
    let (first, last): (Option<i64>, Option<i64>) = connection
        .prepare_cached(&format!("SELECT (SELECT min(key) FROM {table}), (SELECT max(key) FROM {table})"))?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(0.0) };
    let mut query = connection.prepare_cached(&format!("SELECT {size} FROM {table} WHERE key >= ? LIMIT 1"))?;
    let (mut bytes, mut rows) = (0, 0);
    for index in 0..SAMPLED_ROWS {
        let key = first + (last - first) / SAMPLED_ROWS * index;
        if let Some(size) = query.query_row([key], |row| row.get::<_, i64>(0)).optional()? {
            (bytes, rows) = (bytes + size, rows + 1);
        }
    }
    Ok(if rows == 0 { 0.0 } else { bytes as f64 / rows as f64 })
}

/// Returns the number in a pragma.
fn pragma(connection: &Connection, name: &str) -> Result<i64> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}

pub(super) fn put_sample(connection: &Connection, hour: i64, oldest: i64) -> Result<()> {
    let used = pragma(connection, "page_count")? - pragma(connection, "freelist_count")?;
    let sql = "INSERT OR REPLACE INTO storage_samples (hour, used_bytes) VALUES (?, ?)";
    connection.execute(sql, params![hour, used * pragma(connection, "page_size")?])?;
    connection.execute("DELETE FROM storage_samples WHERE hour < ? OR hour > ?", params![oldest, hour])?;
    Ok(())
}

pub(super) fn release_pages(connection: &Connection) -> Result<bool> {
    if pragma(connection, "auto_vacuum")? != INCREMENTAL {
        return Ok(false);
    }
    let (free, all) = (pragma(connection, "freelist_count")?, pragma(connection, "page_count")?);
    let spare = free - (all / FREE_PAGES_SHARE).max(FREE_PAGES_MIN);
    if spare <= 0 {
        return Ok(false);
    }
    let released = spare.min(RELEASED_AT_ONCE);
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({released})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(released < spare)
}
