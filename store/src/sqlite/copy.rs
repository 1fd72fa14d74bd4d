//! Copies of the database for backups, made beside a running host.
//!
//! A copy is one snapshot, read page by page with SQLite's backup interface: the writer never waits for it. While the
//! snapshot is held, the write-ahead log cannot be emptied, so that the growth of the log is bounded here.

use super::check::{check_copy, check_files};
use super::database;
use super::wal_file::wal_path;
use super::{sources, versions};
use crate::mark::Mark;
use crate::rows::{CopyProgress, DatabaseCopy};
use anyhow::{Context, Result, bail, ensure};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// The pages that are copied at once: one MiB.
const PAGES_PER_STEP: i32 = 256;
/// The steps after which the new file is synchronised. More at once would delay the commits of a host.
const STEPS_PER_SYNC: u32 = 32;
/// The growth of the log at which a copy is given up.
const LOG_GROWTH_MAX: u64 = 1024 * 1024 * 1024;

/// Returns the version of the schema that this hookmill writes.
pub(crate) fn known_version() -> usize {
    database::SCHEMA.len()
}

/// Copies the database in a data folder into a new file. A host may run on the folder; `in_use` tells whether one does.
pub(crate) fn copy(
    data_dir: &Path,
    in_use: bool,
    to: &Path,
    on_step: &mut dyn FnMut(CopyProgress) -> Result<()>,
) -> Result<()> {
    let path = database::path(data_dir);
    ensure!(path.exists(), "there is no database at {}; check the data folder's path", path.display());
    if !in_use {
        check_files(&path, false)?;
    }
    copy_snapshot(data_dir, &path, to, on_step)
        .with_context(|| format!("cannot copy the database {} to {}", path.display(), to.display()))
}

fn copy_snapshot(
    data_dir: &Path,
    path: &Path,
    to: &Path,
    on_step: &mut dyn FnMut(CopyProgress) -> Result<()>,
) -> Result<()> {
    // Read before the snapshot begins, so that the snapshot must go as far.
    let mark = Mark::read(data_dir)?;
    let source = database::open_to_read(path)?;
    let snapshot = source.unchecked_transaction()?;
    check_version(&snapshot)?;
    if let Some(mark) = mark {
        mark.check(&database::mark(&snapshot)?, data_dir)?;
    }
    let mut target = Connection::open(to)?;
    // The file is of no use unless it is complete.
    target.pragma_update(None, "journal_mode", "off")?;
    target.pragma_update(None, "synchronous", "off")?;
    let file = File::open(to)?;
    let mut unsynced = 0;
    copy_pages(&snapshot, &mut target, &wal_path(path), LOG_GROWTH_MAX, &mut |progress| {
        unsynced += 1;
        if unsynced == STEPS_PER_SYNC {
            unsynced = 0;
            file.sync_data()?;
        }
        on_step(progress)
    })?;
    drop(snapshot);
    // Without a log, the copy is one file, which can be read from a medium that takes no writes.
    target.pragma_update(None, "journal_mode", "delete")?;
    target.close().map_err(|(_, error)| error)?;
    Ok(file.sync_all()?)
}

/// Refuses a database whose schema has another version, which a copy of its rows would keep.
pub(super) fn check_version(connection: &Connection) -> Result<()> {
    let (version, known) = (database::version(connection)?, known_version());
    ensure!(
        version == known,
        "its schema has version {version}, but this hookmill has version {known}; use the hookmill that wrote the database{}",
        if version < known { ", or start this hookmill once, which migrates it" } else { "" }
    );
    Ok(())
}

fn copy_pages(
    snapshot: &Connection,
    target: &mut Connection,
    log: &Path,
    log_growth_max: u64,
    on_step: &mut dyn FnMut(CopyProgress) -> Result<()>,
) -> Result<()> {
    let page_bytes: u64 = snapshot.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let log_bytes = || std::fs::metadata(log).map_or(0, |metadata| metadata.len());
    let log_before = log_bytes();
    let backup = Backup::new(snapshot, target)?;
    loop {
        let step = backup.step(PAGES_PER_STEP)?;
        let progress = backup.progress();
        let (left, total) = (progress.remaining.unsigned_abs(), progress.pagecount.unsigned_abs());
        let log_growth_bytes = log_bytes().saturating_sub(log_before);
        on_step(CopyProgress {
            copied_bytes: u64::from(total - left) * page_bytes,
            total_bytes: u64::from(total) * page_bytes,
            log_growth_bytes,
        })?;
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => ensure!(
                log_growth_bytes < log_growth_max,
                "the host wrote {} MiB meanwhile, and its log cannot be emptied before the copy ends; allow a higher rate, or \
                 make the backup when less is written",
                log_growth_bytes / (1024 * 1024)
            ),
            StepResult::Busy | StepResult::Locked => bail!("the new file is locked by another program"),
            _ => bail!("unknown result of a step"),
        }
    }
}

/// Checks a copy and returns what it contains. A thorough check also compares indexes with their tables.
pub(crate) fn inspect(path: &Path, is_thorough: bool) -> Result<DatabaseCopy> {
    let connection = database::open_to_read(path)?;
    check_copy(&connection, is_thorough)?;
    let mut names = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
         AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name",
    )?;
    let names = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let count = |name: String| {
        let rows = connection.query_row(&format!("SELECT count(*) FROM \"{name}\""), [], |row| row.get(0))?;
        Ok((name, rows))
    };
    Ok(DatabaseCopy {
        schema: database::version(&connection)?,
        mark: serde_json::to_vec(&database::mark(&connection)?)?,
        rows: names.into_iter().map(count).collect::<Result<BTreeMap<_, _>>>()?,
        versions: versions::that_were_live(&connection)?,
        sources: sources::list(&connection)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{PAGES_PER_STEP, copy_pages};
    use crate::sqlite::wal_file::wal_path;
    use rusqlite::Connection;

    #[test]
    fn a_copy_is_one_snapshot_that_holds_up_no_write_and_lets_the_log_grow_to_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", "wal").unwrap();
        writer.execute_batch("CREATE TABLE t (x BLOB)").unwrap();
        let add = || writer.execute("INSERT INTO t VALUES (randomblob(500000))", []).unwrap();
        (0..12).for_each(|_| assert_eq!(add(), 1));
        let count = |connection: &Connection| connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0));

        for (name, log_growth_max, ends) in [("whole.db", u64::MAX, true), ("given-up.db", 2_000_000, false)] {
            let source = Connection::open(&path).unwrap();
            let snapshot = source.unchecked_transaction().unwrap();
            let before: i64 = count(&snapshot).unwrap();
            let mut target = Connection::open(folder.path().join(name)).unwrap();
            let mut steps = 0;
            let copied = copy_pages(&snapshot, &mut target, &wal_path(&path), log_growth_max, &mut |progress| {
                steps += 1;
                assert!(
                    progress.copied_bytes >= steps * PAGES_PER_STEP as u64 * 4096
                        || progress.copied_bytes == progress.total_bytes
                );
                // The writer is another connection, as that of another process.
                assert_eq!((add(), add()), (1, 1));
                Ok(())
            });
            assert!(steps > 1);
            drop(snapshot);
            match ends {
                true => assert_eq!(count(&target).unwrap(), before),
                false => assert!(copied.unwrap_err().to_string().contains("allow a higher rate")),
            }
            let after: i64 = count(&writer).unwrap();
            assert_eq!(after, before + 2 * steps as i64);
        }
    }
}
