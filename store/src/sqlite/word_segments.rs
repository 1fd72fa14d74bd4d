//! The segments of the table `words`, which are merged a few pages at a time.
//!
//! FTS5 merges 64 pages of each level at once if it is left to itself, and writes would wait for all of them. It merges a word as a
//! whole, which takes 9 ms for one that 500,000 incidents have.

use super::conditions::is_busy;
use anyhow::Result;
use rusqlite::Connection;
use std::time::{Duration, Instant};
use tracing::error;

/// The pages that are merged at once: half a millisecond, with an fsync of 0.1.
const PAGES_MERGED: i64 = 16;
/// The duration from which a merge is long.
const LONG: Duration = Duration::from_millis(2);
/// A pause after a long merge has so many times its duration, in which the writes are done that waited for it.
const PAUSE: u32 = 4;
/// The times that segments were added which end a pause: FTS5 merges 16 of one level at once.
const NEW_MAX: usize = 6;

/// The segments that are to be merged, as far as the writer knows.
#[derive(Debug)]
pub(super) struct WordSegments {
    /// The times that segments were added since the last merge.
    new: usize,
    /// Whether segments are left of the last merge.
    are_more: bool,
    /// The end of a pause.
    due_at: Instant,
}

impl Default for WordSegments {
    /// The segments of a database that was just opened.
    fn default() -> Self {
        Self { new: 0, are_more: true, due_at: Instant::now() }
    }
}

impl WordSegments {
    /// Notes that words were added, changed or removed, which makes a segment.
    pub fn add(&mut self) {
        self.new += 1;
    }

    /// Merges some, in a transaction of its own.
    pub fn merge_some(&mut self, connection: &Connection) {
        let started = Instant::now();
        if self.new == 0 && !self.are_more || self.new < NEW_MAX && started < self.due_at {
            return;
        }
        self.are_more = merge(connection).unwrap_or_else(|error| {
            let is_tried_again = is_busy(&error);
            if !is_tried_again {
                error!("segments of the index of words cannot be merged, so searches take longer: {error:#}");
            }
            is_tried_again
        });
        self.new = 0;
        let took = started.elapsed();
        if took > LONG {
            self.due_at = started + took * (1 + PAUSE);
        }
    }
}

/// Merges some pages. Returns whether there may be more to merge.
fn merge(connection: &Connection) -> Result<bool> {
    let before = connection.total_changes();
    connection.prepare_cached("INSERT INTO words (words, rank) VALUES ('merge', ?)")?.execute([PAGES_MERGED])?;
    // The statement is itself one change.
    Ok(connection.total_changes() - before > 1)
}
