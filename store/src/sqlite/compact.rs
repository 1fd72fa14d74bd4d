//! Writes the database anew, without free space.

use super::database;
use crate::private_files::{in_use, lock_file, private_file};
use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The copy, and the journal that SQLite keeps beside it.
const COPY: &str = "hookmill.db.copy";
const JOURNAL: &str = "hookmill.db.copy-journal";

/// Replaces the database in a data folder by a copy without free space, which gives space back from then on. Returns the
/// size before and after.
pub(crate) fn compact(data_dir: &Path) -> Result<(u64, u64)> {
    let lock = lock_file(data_dir)?;
    let file = database::prepare_file(data_dir, false)?;
    ensure!(lock.try_lock().is_ok() && file.try_lock().is_ok(), in_use(data_dir));
    let path = database::path(data_dir);
    let bytes = |path: &Path| Ok::<_, anyhow::Error>(std::fs::metadata(path)?.len());
    let connection = database::open_alone(data_dir)?;
    let before = bytes(&path)?;
    remove_copy(data_dir)?;
    let copied = write_copy(&connection, data_dir);
    if copied.is_err() {
        let _ = remove_copy(data_dir);
    }
    let copy = copied.with_context(|| {
        let mib = before / (1024 * 1024) + 1;
        format!("cannot write a copy of the database, which needs up to {mib} MiB; the database is unchanged")
    })?;
    std::fs::rename(&copy, &path)?;
    File::open(data_dir)?.sync_all()?;
    drop(connection);
    Ok((before, bytes(&path)?))
}

fn write_copy(connection: &Connection, data_dir: &Path) -> Result<PathBuf> {
    let copy = data_dir.join(COPY);
    // Made first, so that no other user can read it.
    let file = private_file(&copy)?;
    let name = copy.to_str().context("the path of the data folder is not UTF-8")?;
    connection.execute("VACUUM INTO ?", [name])?;
    file.sync_all()?;
    Ok(copy)
}

/// Removes what a command that was killed left of a copy, which may be as large as the database. The data folder is locked.
pub(super) fn remove_copy(data_dir: &Path) -> Result<()> {
    for name in [COPY, JOURNAL] {
        let path = data_dir.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}
