//! Pages of rows, bounded by their number and by their size.

use crate::rows::{Listed, Page, Unreadable};
use anyhow::Result;
use uuid::Uuid;

/// A page ends with the row that reaches this size, so that a thousand large incidents are not in memory at once.
pub(crate) const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// A page that is filled row by row.
pub(crate) struct Filling<T, P = i64> {
    page: Page<T, P>,
    limit: usize,
    bytes: usize,
    last: Option<P>,
}

impl<T, P> Filling<T, P> {
    /// Returns an empty page for at most `limit` rows.
    pub fn new(limit: usize) -> Self {
        Self { page: Page { rows: Vec::new(), next: None }, limit, bytes: 0, last: None }
    }

    /// Returns whether the page takes another row. A page that takes no more ends before that row.
    pub fn has_room(&mut self) -> bool {
        let has_room = self.page.rows.len() < self.limit && self.bytes < PAGE_BYTES;
        if !has_room {
            self.page.next = self.last.take();
        }
        has_room
    }

    /// Adds a row of this size at a place of the list.
    pub fn push(&mut self, place: P, row: T, bytes: usize) {
        self.page.rows.push(row);
        self.bytes += bytes;
        self.last = Some(place);
    }

    /// Returns the rows so far.
    pub fn rows(&self) -> &[T] {
        &self.page.rows
    }

    /// Returns the page.
    pub fn finish(self) -> Page<T, P> {
        self.page
    }
}

/// Shortens a list of small rows that may have one more than a page, and returns the place of the next rows.
pub(crate) fn cut_to_page<T>(rows: &mut Vec<T>, limit: usize, key: impl FnOnce(&T) -> i64) -> Option<i64> {
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| has_more).map(key)
}

/// Returns a row, or why it is unreadable, from the result of reading its values.
pub(crate) fn readable<T>(id: Uuid, read: Result<T>) -> Listed<T> {
    read.map_err(|error| Unreadable { id, error: format!("{error:#}") })
}
