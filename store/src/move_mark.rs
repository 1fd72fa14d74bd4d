//! The mark of a move: it tells a host that a database was moved, or that a move into it did not end.
//!
//! Beside an embedded database the mark is a file; a shared one has it in its row `head`.

use crate::private_files::replace_file;
use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const FILE: &str = "store.move";

/// The meaning of a mark for its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MoveState {
    /// A move into the database began and did not end.
    Unfinished,
    /// The database was moved to another one.
    Moved,
}

/// The mark of a move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MoveMark {
    pub state: MoveState,
    /// The id of the move, in both databases.
    pub id: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The other database.
    pub other: String,
}

impl MoveMark {
    /// Returns the mark in a data folder, if there is one.
    pub fn read(data_dir: &Path) -> Result<Option<Self>> {
        let path = path(data_dir);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).with_context(|| format!("{} cannot be read", path.display())).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(format!("cannot read {}", path.display())),
        }
    }

    /// Reads a mark from its text.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(serde_json::from_str(text)?)
    }

    /// Returns the mark as text.
    pub fn text(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// Writes the mark into a data folder.
    pub fn write(&self, data_dir: &Path) -> Result<()> {
        replace_file(data_dir, &path(data_dir), self.text()?.as_bytes()).context("cannot write the mark of the move")
    }

    /// Removes the mark from a data folder.
    pub fn remove(data_dir: &Path) -> Result<()> {
        std::fs::remove_file(path(data_dir)).context("cannot remove the mark of the move")?;
        Ok(std::fs::File::open(data_dir)?.sync_all()?)
    }

    /// Refuses the database in a data folder if it has a mark.
    pub fn refuse_in(data_dir: &Path) -> Result<()> {
        match Self::read(data_dir)? {
            None => Ok(()),
            Some(mark) => {
                let undo = format!("remove the file {}", path(data_dir).display());
                mark.refuse(&data_dir.display().to_string(), &undo)
            }
        }
    }

    /// Refuses a database with this mark. `undo` removes the mark.
    pub fn refuse(&self, database: &str, undo: &str) -> Result<()> {
        let Self { state, at, other, .. } = self;
        let at = Timestamp::from_millisecond(*at).unwrap_or_default();
        match state {
            MoveState::Moved => bail!(
                "{database} was moved to {other} at {at}: a host on each of them would send every delivery twice. Run the host \
                 on {other}. To go on here instead, make sure that no host runs there, and {undo}"
            ),
            MoveState::Unfinished => bail!(
                "the move of {other} to {database}, which began at {at}, did not end, and rows are missing; run `hookmill store \
                 move` again, or use the database from which it was moved"
            ),
        }
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}
