//! A list or a page of one.

use serde::{Deserialize, Serialize};

/// A list or a page of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct List<T> {
    /// The rows.
    pub data: Vec<T>,
    /// The `cursor` of the next page; null at the end.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// Returns a list that has no further page.
    pub fn complete(rows: impl IntoIterator<Item = T>) -> Self {
        Self { data: rows.into_iter().collect(), next_cursor: None }
    }
}
