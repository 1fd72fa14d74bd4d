//! The table `stored_days`: how many rows of which day there are, so that nobody has to count them.

use super::columns::read;
use crate::columns::Columns;
use crate::columns::stored_days::{DayColumns, StoredDays, kinds};
use crate::rows::{KindUse, RowCount, StoredKind};
use anyhow::Result;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// Writes the rows that a transaction added and removed.
pub(super) fn add(connection: &Connection, stored: &mut StoredDays) -> Result<()> {
    let sql = "INSERT INTO stored_days (kind, day, rows, bytes) VALUES (?, ?, ?, ?) \
               ON CONFLICT DO UPDATE SET rows = rows + excluded.rows, bytes = bytes + excluded.bytes";
    for ((kind, day), RowCount { rows, bytes }) in stored.take() {
        connection.prepare_cached(sql)?.execute(params![kind.as_str(), day, rows, bytes])?;
        if rows <= 0 {
            let sql = "DELETE FROM stored_days WHERE kind = ? AND day = ? AND rows = 0";
            connection.prepare_cached(sql)?.execute(params![kind.as_str(), day])?;
        }
    }
    Ok(())
}

/// Returns the number of rows of a kind.
pub(super) fn rows(connection: &Connection, kind: StoredKind) -> Result<usize> {
    let sql = "SELECT ifnull(sum(rows), 0) FROM stored_days WHERE kind = ?";
    Ok(connection.prepare_cached(sql)?.query_row([kind.as_str()], |row| row.get(0))?)
}

/// Returns the rows of each kind by day.
pub(super) fn by_kind(connection: &Connection) -> Result<BTreeMap<StoredKind, KindUse>> {
    let mut query = connection.prepare_cached(&format!("SELECT {} FROM stored_days", DayColumns::LIST))?;
    let days = query.query_map([], read)?.collect::<Result<Vec<_>, _>>()?;
    Ok(kinds(days))
}
