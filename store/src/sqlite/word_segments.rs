//! The segments of the table `words`, which are merged a few pages at a time.
//!
//! FTS5 merges 64 pages of each level at once if it is left to itself, and writes would wait for all of them.

use super::conditions::is_busy;
use anyhow::Result;
use rusqlite::Connection;
use tracing::error;

/// The pages that are merged at once: half a millisecond, with an fsync of 0.1. A word is merged as a whole, which takes 2 ms
/// for one that all incidents of a full part have.
const PAGES_MERGED: i64 = 16;

/// The segments that are to be merged, as far as the writer knows.
#[derive(Debug)]
pub(super) struct WordSegments {
    /// Whether segments may be left to merge.
    are_more: bool,
}

impl Default for WordSegments {
    /// The segments of a database that was just opened.
    fn default() -> Self {
        Self { are_more: true }
    }
}

impl WordSegments {
    /// Notes that words were added, changed or removed, which makes a segment.
    pub fn add(&mut self) {
        self.are_more = true;
    }

    /// Merges some, in a transaction of its own.
    pub fn merge_some(&mut self, connection: &Connection) {
        if !self.are_more {
            return;
        }
        self.are_more = merge(connection).unwrap_or_else(|error| {
            let is_tried_again = is_busy(&error);
            if !is_tried_again {
                error!("segments of the index of words cannot be merged, so searches take longer: {error:#}");
            }
            is_tried_again
        });
    }
}

/// Merges some pages. Returns whether there may be more to merge.
fn merge(connection: &Connection) -> Result<bool> {
    let before = connection.total_changes();
    connection.prepare_cached("INSERT INTO words (words, rank) VALUES ('merge', ?)")?.execute([PAGES_MERGED])?;
    // The statement is itself one change.
    Ok(connection.total_changes() - before > 1)
}
