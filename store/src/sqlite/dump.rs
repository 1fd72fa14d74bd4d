//! Every row of the database as text, for a test that compares it.

use super::database;
use anyhow::Result;
use rusqlite::types::ValueRef;
use std::collections::BTreeMap;
use std::path::Path;

/// Rows of text by their table.
pub(crate) type Dump = BTreeMap<&'static str, Vec<Vec<String>>>;

/// All repeat keys, each with the event of its newest row.
const REPEATS: &str = "SELECT * FROM repeats WHERE (at, source, digest) NOT IN (SELECT at, source, digest FROM recent_repeats) \
                       UNION ALL SELECT at, source, digest, event, received_at FROM \
                       (SELECT *, max(position) FROM recent_repeats GROUP BY at, source, digest)";

/// Returns the rows of these tables, sorted.
pub(crate) fn dump(data_dir: &Path, tables: &[&'static str]) -> Result<Dump> {
    let connection = database::open_to_read(&database::path(data_dir))?;
    let rows_of = |table| {
        let sql = match table {
            "repeats" => REPEATS.to_owned(),
            _ => format!("SELECT * FROM {table}"),
        };
        let mut query = connection.prepare(&sql)?;
        let columns = query.column_count();
        let rows = query.query_map([], |row| {
            (0..columns).map(|column| row.get_ref(column).map(text)).collect::<rusqlite::Result<Vec<String>>>()
        })?;
        let mut rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        rows.sort();
        Ok((table, rows))
    };
    tables.iter().map(|table| rows_of(*table)).collect()
}

/// Returns the names of the tables.
pub(crate) fn tables(data_dir: &Path) -> Result<Vec<String>> {
    let connection = database::open_to_read(&database::path(data_dir))?;
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut query = connection.prepare(sql)?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn text(value: ValueRef) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => hex::encode(bytes),
    }
}
