//! The database file: connections, settings and migrations.

use super::check::{check_files, check_pages};
use super::index_rows;
use super::quarantine;
use super::storage::INCREMENTAL;
use super::wal_file::wal_path;
use crate::mark::{Mark, how_to_accept};
use crate::move_mark::MoveMark;
use crate::private_files::{lock_file, private_file};
use anyhow::{Context, Result, ensure};
use hookmill_incident::id;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tracing::info;

/// The migrations, each from the version before. A released migration is never edited.
pub(super) const SCHEMA: [&str; 26] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
    include_str!("schema/8.sql"),
    include_str!("schema/9.sql"),
    include_str!("schema/10.sql"),
    include_str!("schema/11.sql"),
    include_str!("schema/12.sql"),
    include_str!("schema/13.sql"),
    include_str!("schema/14.sql"),
    include_str!("schema/15.sql"),
    include_str!("schema/16.sql"),
    include_str!("schema/17.sql"),
    include_str!("schema/18.sql"),
    include_str!("schema/19.sql"),
    include_str!("schema/20.sql"),
    include_str!("schema/21.sql"),
    include_str!("schema/22.sql"),
    include_str!("schema/23.sql"),
    include_str!("schema/24.sql"),
    include_str!("schema/25.sql"),
    include_str!("schema/26.sql"),
];
/// The version from which on incidents are found by indexes: its migration changes each incident.
const WITH_SEARCH: usize = 13;
/// The version from which on events in quarantine have the id of their group.
const WITH_FAILURE_GROUPS: usize = 18;
/// Another process, such as `hookmill token create`, may hold the database for a moment. A sender waits for no longer lock:
/// it tries again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause between two looks at the version of a database that a host may be migrating.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The size of the log, in pages, from which a commit copies it into the database, except those of a host's writer.
const CHECKPOINT_PAGES: u32 = 8000;
/// The pages that each reading connection keeps, in KiB with SQLite's minus sign: the system's cache has them all.
const READER_CACHE_KIB: i32 = -512;
/// The pages that a writing connection keeps, in KiB with SQLite's minus sign. SQLite looks through all of them at each commit.
const WRITER_CACHE_KIB: i32 = -4 * 1024;
/// Prepared statements that each connection keeps. All statements of the hot path fit.
const STATEMENTS_MAX: usize = 64;

/// Returns the path of the database in a data folder.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("hookmill.db")
}

/// Makes the file of the database if it is missing, and returns a descriptor of it to lock. A database that was there and is
/// missing is not made anew, and one that was moved is refused.
pub(super) fn prepare_file(data_dir: &Path, accepts_loss: bool) -> Result<File> {
    MoveMark::refuse_in(data_dir)?;
    let path = path(data_dir);
    let is_missing = std::fs::metadata(&path).map_or(true, |metadata| metadata.len() == 0);
    if is_missing && !accepts_loss {
        let accept = how_to_accept(&path);
        ensure!(
            Mark::read(data_dir)?.is_none(),
            "{} is missing and was there before; restore it from a backup. To begin with an empty database, {accept}",
            path.display()
        );
        let wal = wal_path(&path);
        ensure!(
            std::fs::metadata(&wal).map_or(0, |metadata| metadata.len()) == 0,
            "{} is missing and its log {} is there; restore both from a backup. To begin with an empty database, {accept}",
            path.display(),
            wal.display()
        );
    }
    private_file(&path)
}

/// Opens the database in a data folder for writing, and migrates it.
pub(super) fn open(data_dir: &Path) -> Result<Connection> {
    let path = path(data_dir);
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    prepare(&connection).with_context(|| format!("the database {} cannot be used", path.display()))?;
    Ok(connection)
}

/// Opens the database in a data folder, which a host may use, for writing. Migrates the database if no host uses it: a host
/// that runs does not know a newer schema.
pub(super) fn open_beside_host(data_dir: &Path) -> Result<Connection> {
    let path = path(data_dir);
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let (lock, until) = (lock_file(data_dir)?, Instant::now() + BUSY_TIMEOUT);
    // A host that has just started may migrate the database itself.
    while version(&connection)? < SCHEMA.len() && lock.try_lock().is_err() {
        ensure!(
            Instant::now() < until,
            "the host that runs on {} uses version {} of the database's schema, and this hookmill would migrate it to \
             version {}, which that host does not know; upgrade the host first, or stop it",
            data_dir.display(),
            version(&connection)?,
            SCHEMA.len()
        );
        std::thread::sleep(LOOK_EVERY);
    }
    prepare(&connection).with_context(|| format!("the database {} cannot be used", path.display()))?;
    Ok(connection)
}

/// Opens the database in a data folder so that no other process can open it, empties its log and migrates it.
pub(super) fn open_alone(data_dir: &Path) -> Result<Connection> {
    let connection = connect(&path(data_dir), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "locking_mode", "exclusive")?;
    prepare(&connection)?;
    empty_log(&connection)?;
    Ok(connection)
}

/// Checks the database in a data folder, opens it for writing and migrates it.
pub(super) fn open_checked(data_dir: &Path, accepts_loss: bool) -> Result<Connection> {
    let path = path(data_dir);
    check_files(&path, accepts_loss)?;
    let mut connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let checked = check_pages(&mut connection).and_then(|()| prepare(&connection));
    checked.with_context(|| format!("the database {} cannot be used", path.display()))?;
    // The log begins anew, without what an unfinished transaction left behind its end.
    empty_log(&connection)?;
    Ok(connection)
}

/// Returns the identity of the database, and how far it goes.
pub(super) fn mark(connection: &Connection) -> Result<Mark> {
    let database = connection.query_row("SELECT id FROM identity", [], |row| row.get(0))?;
    // Deliveries are removed after some time, and the newest row may be one.
    let last_key = largest_key(connection, &["events", "incidents", "audit"])?;
    Ok(Mark { database, last_key, pace: None })
}

/// Opens the database for reading.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "cache_size", READER_CACHE_KIB)?;
    Ok(connection)
}

/// Opens a file without looking at its schema.
pub(super) fn connect(path: &Path, access: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .with_context(|| format!("cannot open {}", path.display()))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Otherwise statements on tables with partial indexes are planned again whenever a parameter has another value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<()> {
    // Takes effect only in a new database, or with the next VACUUM.
    connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
    let version = version(connection)?;
    let known = SCHEMA.len();
    ensure!(
        version <= known,
        "its schema has version {version}, but this hookmill supports at most {known}; use the hookmill that wrote it"
    );
    let is_older = (1..known).contains(&version);
    if is_older {
        info!("migrating the database from version {version} to {known}; with many rows this takes a while");
    }
    for (step, sql) in SCHEMA.iter().enumerate().skip(version) {
        let next = step + 1;
        migrate(connection, next, sql).with_context(|| {
            format!(
                "cannot migrate it to version {next}; nothing is lost, and the next start continues from version {step}"
            )
        })?;
        if is_older {
            info!("migrating the database: version {next} of {known} is done");
        }
    }
    Ok(())
}

/// Migrates the database to the next version, in one transaction.
fn migrate(connection: &Connection, next: usize, sql: &str) -> Result<()> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    transaction.execute_batch(sql)?;
    if next == WITH_SEARCH {
        index_rows::run(&transaction)?;
    }
    if next == WITH_FAILURE_GROUPS {
        quarantine::add_groups(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", next)?;
    Ok(transaction.commit()?)
}

/// Returns the version of the schema.
pub(super) fn version(connection: &Connection) -> Result<usize> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Copies the log into the database and empties the log. Returns whether that was possible.
pub(super) fn empty_log(connection: &Connection) -> Result<bool> {
    // Other programs are not waited for: no write is answered meanwhile.
    connection.busy_timeout(Duration::ZERO)?;
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(is_busy? == 0)
}

/// Writes the first page without changing its content.
pub(super) fn touch(connection: &Connection) -> Result<()> {
    Ok(connection.pragma_update(None, "user_version", SCHEMA.len())?)
}

/// Returns the largest key of any table, so that new ids come after all existing ones.
pub(super) fn last_key(connection: &Connection) -> Result<i64> {
    let rows = largest_key(connection, &["events", "incidents", "audit", "deliveries"])?;
    let restored: Option<i64> = connection.query_row("SELECT max(last_key) FROM restores", [], |row| row.get(0))?;
    Ok(rows.max(restored.unwrap_or(0)).min(id::row_key_at(i64::MAX)))
}

fn largest_key(connection: &Connection, tables: &[&str]) -> Result<i64> {
    let mut last = 0;
    for table in tables {
        let key: Option<i64> = connection.query_row(&format!("SELECT max(key) FROM {table}"), [], |row| row.get(0))?;
        last = last.max(key.unwrap_or(0));
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::{SCHEMA, WITH_FAILURE_GROUPS, prepare};
    use crate::sqlite::quarantine;
    use rusqlite::Connection;

    #[test]
    fn events_that_are_in_quarantine_get_their_group_by_a_migration() {
        let connection = Connection::open_in_memory().unwrap();
        let before = WITH_FAILURE_GROUPS - 1;
        SCHEMA[..before].iter().for_each(|sql| connection.execute_batch(sql).unwrap());
        connection.pragma_update(None, "user_version", before).unwrap();
        let add = "INSERT INTO events (key, id, source, status, received_at, attempts, code, message, tried, incidents, \
                   headers, context, digest, body) \
                   VALUES (?1, randomblob(16), 'lab', ?2, 0, 1, 'malformed', ?3, ?4, '[]', '[]', '[]', randomblob(32), x'')";
        for (key, (status, message, tried)) in (1..).zip([
            ("quarantined", "edr 1.0: record 1: no id", r#"["edr@aa"]"#),
            ("quarantined", "edr 1.1: record 22: no id", r#"["edr@bb"]"#),
            ("quarantined", "edr 1.1: no title", r#"["edr@bb"]"#),
            ("quarantined", "damaged", "["),
            ("discarded", "edr 1.0: record 1: no id", r#"["edr@aa"]"#),
        ]) {
            connection.execute(add, (key, status, message, tried)).unwrap();
        }
        prepare(&connection).unwrap();
        let groups = quarantine::groups(&connection, None, 10).unwrap().rows;
        let found: Vec<_> = groups.iter().map(|group| (group.cause.pattern.as_str(), group.count)).collect();
        assert_eq!(found, [("no title", 1), ("record #: no id", 2)]);
        let members = quarantine::members(&connection, &groups[1].id, &(0..=9), 10).unwrap();
        assert_eq!((members.rows.len(), members.rows[0]), (2, groups[1].oldest.0));
    }
}
