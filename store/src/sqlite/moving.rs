//! A data folder whose database is moved, or into which one is moved, while no host runs on it.

use super::check::check_files;
use super::columns::Conditions;
use super::wal_file::wal_path;
use super::{copy, database, postings, recent_repeats, sources, versions};
use crate::mark::Mark;
use crate::move_mark::{MoveMark, MoveState};
use crate::moved_rows::{MovedRows, MovedValue};
use crate::private_files::{in_use, private_file, private_folder};
use crate::rows::SourceRow;
use anyhow::{Result, ensure};
use hookmill_incident::PluginVersion;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql, params_from_iter};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A database in a locked data folder, in one transaction.
#[derive(Debug)]
pub(crate) struct MovingFolder {
    data_dir: PathBuf,
    connection: Connection,
    /// The locks of the folder and of the database, which every host takes.
    locks: [File; 2],
}

impl MovingFolder {
    /// Opens a database to move it. Nothing in it is changed.
    pub fn source(data_dir: &Path) -> Result<Self> {
        let path = database::path(data_dir);
        ensure!(path.exists(), "there is no database at {}; check the path of the data folder", path.display());
        let locks = locks(data_dir)?;
        check_files(&path, false)?;
        let connection = database::connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Other commands, which take no lock, write nothing meanwhile.
        connection.execute_batch("BEGIN IMMEDIATE")?;
        copy::check_version(&connection)?;
        if let Some(mark) = Mark::read(data_dir)? {
            mark.check(&database::mark(&connection)?, data_dir)?;
        }
        // Undone at the end, as everything in this transaction.
        recent_repeats::move_all(&connection)?;
        Ok(Self { data_dir: data_dir.to_owned(), connection, locks })
    }

    /// Makes a new database in a data folder that has none, except one of a move that did not end. Writes the mark first.
    pub fn target(data_dir: &Path, mark: &MoveMark) -> Result<Self> {
        private_folder(data_dir)?;
        let path = database::path(data_dir);
        let locks = locks(data_dir)?;
        let is_unfinished = MoveMark::read(data_dir)?.is_some_and(|mark| mark.state == MoveState::Unfinished);
        for path in [path.clone(), wal_path(&path)] {
            let is_empty = std::fs::metadata(&path).map_or(true, |metadata| metadata.len() == 0);
            ensure!(
                is_empty || is_unfinished,
                "{} is there, and a move replaces no data; move the files of {} away, or name another data folder",
                path.display(),
                data_dir.display()
            );
        }
        mark.write(data_dir)?;
        // The lock is on the file itself, which is emptied for this reason.
        let [_, file] = &locks;
        file.set_len(0)?;
        for end in ["-wal", "-shm"] {
            match std::fs::remove_file(format!("{}{end}", path.display())) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let connection = database::open(data_dir)?;
        // Until the mark goes, the database is of no use, and a later move makes it anew.
        connection.pragma_update(None, "journal_mode", "off")?;
        connection.pragma_update(None, "synchronous", "off")?;
        connection.execute_batch("BEGIN; DELETE FROM identity")?;
        Ok(Self { data_dir: data_dir.to_owned(), connection, locks })
    }

    /// Returns the mark of the database.
    pub fn mark(&self) -> Result<Option<MoveMark>> {
        MoveMark::read(&self.data_dir)
    }

    /// Returns the registered sources with their sealed secrets.
    pub fn sources(&self) -> Result<Vec<SourceRow>> {
        sources::list(&self.connection)
    }

    /// Returns the columns of a table.
    pub fn columns(&self, table: &str) -> Result<Vec<String>> {
        let query = self.connection.prepare(&format!("SELECT * FROM {table}"))?;
        Ok(query.column_names().map(str::to_owned).collect())
    }

    /// Returns the number of rows of a table.
    pub fn count(&self, table: &str) -> Result<u64> {
        Ok(self.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?)
    }

    /// Reads a table in parts.
    pub async fn read(
        &self,
        table: &str,
        columns: &[String],
        mut each: impl AsyncFnMut(MovedRows) -> Result<()>,
    ) -> Result<()> {
        let mut query = self.connection.prepare(&format!("SELECT {} FROM {table}", columns.join(", ")))?;
        let (mut rows, mut part) = (query.query([])?, MovedRows::default());
        while let Some(row) = rows.next()? {
            part.add(row, columns.len())?;
            if part.is_full() {
                each(std::mem::take(&mut part)).await?;
            }
        }
        each(part).await
    }

    /// Adds rows to a table.
    pub fn write(&self, table: &str, columns: &[String], rows: &MovedRows) -> Result<()> {
        let (list, marks) = (columns.join(", "), Conditions::marks(columns.len()));
        let mut insert = self.connection.prepare_cached(&format!("INSERT INTO {table} ({list}) VALUES ({marks})"))?;
        for row in &rows.rows {
            insert.execute(params_from_iter(row))?;
        }
        Ok(())
    }

    /// Returns the plugin versions whose files are kept, in the order in which they were seen.
    pub fn kept_versions(&self) -> Result<Vec<PluginVersion>> {
        let mut rows = versions::that_were_live(&self.connection)?;
        rows.sort_by_key(|row| row.seen_at);
        Ok(rows.into_iter().map(|row| row.plugin).collect())
    }

    /// Adds what incidents are found by, which is not copied.
    pub fn add_search(&self) -> Result<()> {
        while postings::add_missing(&self.connection, postings::BATCH)?.are_more {}
        Ok(())
    }

    /// Brings everything that was written to the disk.
    pub fn flush(&mut self) -> Result<()> {
        self.connection.execute_batch("COMMIT")?;
        // With the settings of a host.
        self.connection = database::open(&self.data_dir)?;
        database::touch(&self.connection)?;
        database::empty_log(&self.connection)?;
        let [_, file] = &self.locks;
        file.sync_all()?;
        database::mark(&self.connection)?.write(&self.data_dir)
    }

    /// Records that the database was moved. Its rows stay as they are.
    pub fn end_source(self, mark: &MoveMark) -> Result<()> {
        self.connection.execute_batch("ROLLBACK")?;
        mark.write(&self.data_dir)
    }

    /// Permits hosts to use the database.
    pub fn end_target(self) -> Result<()> {
        MoveMark::remove(&self.data_dir)
    }
}

/// Locks a data folder and its database, of which there may be none yet.
fn locks(data_dir: &Path) -> Result<[File; 2]> {
    let lock = private_file(&data_dir.join("lock"))?;
    ensure!(lock.try_lock().is_ok(), in_use(data_dir));
    let file = private_file(&database::path(data_dir))?;
    ensure!(file.try_lock().is_ok(), in_use(data_dir));
    Ok([lock, file])
}

impl ToSql for MovedValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
