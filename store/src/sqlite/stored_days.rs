//! The table `stored_days`: how many rows of which day there are, so that nobody has to count them.

use super::columns::read;
use crate::columns::Columns;
use crate::columns::stored_days::{DayColumns, kinds};
use crate::rows::{KindUse, RowCount, StoredKind};
use anyhow::Result;
use hookmill_incident::id::row_key_ms;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The rows that a transaction added and removed, before they are written.
#[derive(Clone, Default)]
pub(super) struct StoredDays(BTreeMap<(StoredKind, i64), RowCount>);

impl StoredDays {
    /// Adds a row, or removes one with negative numbers.
    pub fn add(&mut self, kind: StoredKind, key: i64, rows: i64, bytes: i64) {
        let count = self.0.entry((kind, row_key_ms(key) / DAY_MS)).or_default();
        count.rows += rows;
        count.bytes += bytes;
    }

    /// Removes rows without bytes.
    pub fn remove_all(&mut self, kind: StoredKind, keys: &[i64]) {
        keys.iter().for_each(|key| self.add(kind, *key, -1, 0));
    }

    /// Writes the numbers.
    pub fn write(&mut self, connection: &Connection) -> Result<()> {
        let sql = "INSERT INTO stored_days (kind, day, rows, bytes) VALUES (?, ?, ?, ?) \
                   ON CONFLICT DO UPDATE SET rows = rows + excluded.rows, bytes = bytes + excluded.bytes";
        for ((kind, day), RowCount { rows, bytes }) in std::mem::take(&mut self.0) {
            connection.prepare_cached(sql)?.execute(params![kind.as_str(), day, rows, bytes])?;
            if rows <= 0 {
                let sql = "DELETE FROM stored_days WHERE kind = ? AND day = ? AND rows = 0";
                connection.prepare_cached(sql)?.execute(params![kind.as_str(), day])?;
            }
        }
        Ok(())
    }
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
