//! Pages of rows, bounded by their number and by their size.

use super::conditions::is_of_database;
use crate::rows::{Listed, Page, Unreadable};
use anyhow::Result;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use uuid::Uuid;

/// A page ends with the row that reaches this size, so that a thousand large incidents are not in memory at once.
pub(super) const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// A page that is filled row by row.
pub(super) struct Filling<T, P = i64> {
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

/// Returns a row, or why it is unreadable, from the result of reading it. An error of the database is not one of the row.
pub(super) fn listed<T>(id: Uuid, read: Result<T, impl Into<anyhow::Error>>) -> Result<Listed<T>> {
    match read.map_err(Into::into) {
        Ok(row) => Ok(Ok(row)),
        Err(error) if is_of_database(&error) => Err(error),
        Err(error) => Ok(Err(Unreadable { id, error: format!("{error:#}") })),
    }
}

/// Returns the bytes of a row's texts and blobs.
pub(super) fn size(row: &Row) -> rusqlite::Result<usize> {
    let bytes = |column| {
        Ok(match row.get_ref(column)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 0,
        })
    };
    (0..row.as_ref().column_count()).map(bytes).sum()
}
