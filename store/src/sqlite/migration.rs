//! What a migration of a database would do, without doing it.

use super::database::{self, SCHEMA};
use anyhow::{Context, Result};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// The time for one row of one statement: measured with an update of rows of 2 KiB on a disk without a cache.
const TIME_PER_ROW: Duration = Duration::from_micros(30);

/// The work with which this version would take over the database of another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The version of the database's schema.
    pub from: usize,
    /// The version of this program's schema.
    pub to: usize,
    /// The rows of the tables that the statements read or change, by table.
    pub rows: BTreeMap<String, u64>,
    /// A rough estimate of the duration.
    pub duration: Duration,
    /// The size of the database, in bytes.
    pub database_bytes: u64,
}

impl Migration {
    /// Looks at the database in a data folder. Returns `None` if there is no database.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read.
    pub fn of(data_dir: &Path) -> Result<Option<Self>> {
        let path = database::path(data_dir);
        let Ok(metadata) = std::fs::metadata(&path) else { return Ok(None) };
        let connection = database::open_to_read(&path)?;
        let read = Self::read(&connection, metadata.len());
        read.with_context(|| format!("cannot read the database {}", path.display())).map(Some)
    }

    fn read(connection: &Connection, database_bytes: u64) -> Result<Self> {
        let from: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let mut statement = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'")?;
        let tables = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
        let (mut rows, mut duration) = (BTreeMap::new(), Duration::ZERO);
        for sql in SCHEMA.iter().skip(from).flat_map(|step| slow_statements(step)) {
            for table in tables.iter().filter(|table| names(&sql, table)) {
                let count = match rows.get(table) {
                    Some(count) => *count,
                    None => connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?,
                };
                rows.insert(table.clone(), count);
                duration += TIME_PER_ROW.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
            }
        }
        Ok(Self { from, to: SCHEMA.len(), rows, duration, database_bytes })
    }
}

/// Returns the statements that take longer with more rows, without comments. SQLite adds and renames columns and tables
/// without looking at rows.
fn slow_statements(step: &str) -> Vec<String> {
    let lines = step.lines().map(|line| line.split_once("--").map_or(line, |(sql, _)| sql));
    let sql = lines.collect::<Vec<_>>().join("\n");
    let statements = sql.split(';').map(str::trim).filter(|sql| !sql.is_empty());
    statements
        .filter(|sql| !sql.starts_with("CREATE TABLE") && !sql.starts_with("ALTER TABLE"))
        .map(str::to_owned)
        .collect()
}

/// Returns whether a statement names a table.
fn names(sql: &str, table: &str) -> bool {
    sql.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').any(|word| word == table)
}

#[cfg(test)]
mod tests {
    use super::{Migration, SCHEMA};
    use rusqlite::Connection;

    /// Returns an empty database of an earlier version with two incidents.
    fn database(version: usize) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        for sql in SCHEMA.iter().take(version) {
            connection.execute_batch(sql).unwrap();
        }
        connection.pragma_update(None, "user_version", version).unwrap();
        for key in 1..=2 {
            let sql = "INSERT INTO incidents VALUES (?1, x'00', ?1, '', '', '', '', 0, 0, 0, '', 0, x'', 0, 0, '{}')";
            connection.execute(sql, [key]).unwrap();
        }
        connection
    }

    #[test]
    fn the_rows_that_a_migration_changes_are_counted() {
        let migration = Migration::read(&database(6), 0).unwrap();
        assert_eq!((migration.from, migration.to), (6, SCHEMA.len()));
        assert_eq!((migration.rows["incidents"], migration.rows["deliveries"]), (2, 0));
        assert!(!migration.duration.is_zero());
        let current = Migration::read(&database(SCHEMA.len()), 0).unwrap();
        assert!(current.rows.is_empty() && current.duration.is_zero(), "{current:?}");
    }
}
