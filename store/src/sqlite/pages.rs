//! Rows of pages.

use super::conditions::is_of_database;
use crate::pages::readable;
use crate::rows::Listed;
use anyhow::Result;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use uuid::Uuid;

/// Returns a row, or why it is unreadable, from the result of reading it. An error of the database is not one of the row.
pub(super) fn listed<T>(id: Uuid, read: Result<T, impl Into<anyhow::Error>>) -> Result<Listed<T>> {
    match read.map_err(Into::into) {
        Err(error) if is_of_database(&error) => Err(error),
        read => Ok(readable(id, read)),
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
