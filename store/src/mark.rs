//! The mark: a file beside the database that says which database is there and how far it goes.
//!
//! A database that disappears or is replaced by an older copy says nothing about that itself: it would be made anew, or
//! would go on without the events that are missing. The mark is written at each start, from time to time, and at the end,
//! never with a write of the hot path. It tells of losses up to when it was written.

use crate::private_files::replace_file;
use anyhow::{Context, Result, ensure};
use hookmill_incident::KeptPace;
use hookmill_incident::id::row_key_ms;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;

const MARK: &str = "store.mark";
/// An operator makes this file to accept a loss; it counts once.
const ACCEPT_LOSS: &str = "accept-loss";

/// The identity of a database and the largest key of its events, incidents and audit entries. Code that removes the
/// newest of these rows must write the mark anew. The pace is that of the clock of the last host, if one has run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub database: String,
    pub last_key: i64,
    pub pace: Option<KeptPace>,
}

impl Mark {
    /// Returns the mark of a data folder, if there is one.
    pub fn read(data_dir: &Path) -> Result<Option<Self>> {
        let path = data_dir.join(MARK);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let mark = serde_json::from_slice(&bytes);
                mark.map(Some).with_context(|| {
                    format!("{} cannot be read; {}", path.display(), how_to_accept(&data_dir.join("hookmill.db")))
                })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(format!("cannot read {}", path.display())),
        }
    }

    /// Replaces the mark of a data folder.
    pub fn write(&self, data_dir: &Path) -> Result<()> {
        let bytes = serde_json::to_vec(self)?;
        replace_file(data_dir, &data_dir.join(MARK), &bytes).context("cannot write the mark of the database")
    }

    /// Checks that a database is the one of this mark and goes as far.
    pub fn check(&self, found: &Self, data_dir: &Path) -> Result<()> {
        let (path, accept) = (data_dir.join("hookmill.db"), how_to_accept(&data_dir.join("hookmill.db")));
        ensure!(
            self.database == found.database,
            "{} is another database than the one that this data folder had; restore that one. To use this one, {accept}",
            path.display()
        );
        let time = |key| Timestamp::from_millisecond(row_key_ms(key)).unwrap_or_default();
        ensure!(
            self.last_key <= found.last_key,
            "{} is older than this data folder: it ends at {} and had rows until {}; restore a backup of the whole data \
             folder, with the database's -wal file. To go on without these rows, {accept}",
            path.display(),
            time(found.last_key),
            time(self.last_key)
        );
        Ok(())
    }
}

/// Returns what an operator does to accept a loss.
pub(crate) fn how_to_accept(database: &Path) -> String {
    format!("run `touch {}` and start again", database.with_file_name(ACCEPT_LOSS).display())
}

/// Returns whether an operator accepts a loss.
pub(crate) fn accepts_loss(data_dir: &Path) -> bool {
    data_dir.join(ACCEPT_LOSS).exists()
}

/// Ends the acceptance of losses.
pub(crate) fn end_acceptance(data_dir: &Path) -> Result<()> {
    match std::fs::remove_file(data_dir.join(ACCEPT_LOSS)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("cannot remove the file `accept-loss`"),
        _ => Ok(()),
    }
}
