//! The database file: connections, settings and migrations.

use crate::private_files::private_file;
use anyhow::{Context, Result, ensure};
use hookmill_incident::id;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::info;

/// The migrations, each from the version before. A released migration is never edited.
const SCHEMA: [&str; 7] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
];
/// Another process, such as `hookmill token create`, may hold the database for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The size of the log, in pages, from which it is copied into the database.
const CHECKPOINT_PAGES: u32 = 8000;
/// Prepared statements that each connection keeps. All statements of the hot path fit.
const STATEMENTS_MAX: usize = 64;

/// Returns the path of the database in a data folder.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("hookmill.db")
}

/// Opens the database in a data folder for writing, creates it if it is missing and migrates it.
pub(super) fn open(data_dir: &Path) -> Result<Connection> {
    let path = path(data_dir);
    private_file(&path)?;
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    prepare(&connection).with_context(|| format!("the database {} cannot be used", path.display()))?;
    Ok(connection)
}

/// Opens the database for reading.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .with_context(|| format!("cannot open {}", path.display()))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Otherwise statements on tables with partial indexes are planned again whenever a parameter has another value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = SCHEMA.len();
    ensure!(
        version <= known,
        "its schema has version {version}, but this hookmill supports at most {known}; use the hookmill that wrote it"
    );
    if (1..known).contains(&version) {
        info!("migrating the database from version {version} to {known}; with many rows this takes a while");
    }
    for (step, sql) in SCHEMA.iter().enumerate().skip(version) {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {sql} PRAGMA user_version = {}; COMMIT", step + 1))?;
    }
    Ok(())
}

/// Returns the largest key of any table, so that new ids come after all existing ones.
pub(super) fn last_key(connection: &Connection) -> Result<i64> {
    let mut last = 0;
    for table in ["events", "incidents", "audit", "deliveries"] {
        let key: Option<i64> = connection.query_row(&format!("SELECT max(key) FROM {table}"), [], |row| row.get(0))?;
        last = last.max(key.unwrap_or(0));
    }
    Ok(last.min(id::row_key_at(i64::MAX)))
}
