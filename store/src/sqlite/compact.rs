//! Writes the database anew, without free space.

use super::database;
use super::in_use;
use crate::private_files::private_file;
use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use std::fs::File;
use std::path::Path;

/// Replaces the database in a data folder by a copy without free space, which gives space back from then on. Returns the
/// size before and after.
pub(crate) fn compact(data_dir: &Path) -> Result<(u64, u64)> {
    let lock = private_file(&data_dir.join("lock"))?;
    let file = database::prepare_file(data_dir, false)?;
    ensure!(lock.try_lock().is_ok() && file.try_lock().is_ok(), in_use(data_dir));
    let path = database::path(data_dir);
    let copy = data_dir.join("hookmill.db.copy");
    let bytes = |path: &Path| Ok::<_, anyhow::Error>(std::fs::metadata(path)?.len());
    let connection = database::open_alone(data_dir)?;
    let before = bytes(&path)?;
    let copied = write_copy(&connection, &copy);
    if copied.is_err() {
        let _ = std::fs::remove_file(&copy);
    }
    copied.with_context(|| {
        let mib = before / (1024 * 1024) + 1;
        format!("cannot write a copy of the database, which needs up to {mib} MiB; the database is unchanged")
    })?;
    std::fs::rename(&copy, &path)?;
    File::open(data_dir)?.sync_all()?;
    drop(connection);
    Ok((before, bytes(&path)?))
}

fn write_copy(connection: &Connection, copy: &Path) -> Result<()> {
    if copy.exists() {
        std::fs::remove_file(copy)?;
    }
    // Made first, so that no other user can read it.
    let file = private_file(copy)?;
    let name = copy.to_str().context("the path of the data folder is not UTF-8")?;
    connection.execute("VACUUM INTO ?", [name])?;
    Ok(file.sync_all()?)
}
