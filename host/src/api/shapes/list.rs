//! A list or a page of one.

use hookmill_store::{BoundedCount, Unreadable};
use serde::{Deserialize, Serialize};

/// A list or a page of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct List<T> {
    /// The rows.
    pub data: Vec<T>,
    /// The `cursor` of the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// The number of rows of a list, up to a bound.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownCount {
    /// The number of rows that were counted.
    pub count: usize,
    /// Whether there may be more.
    pub has_more: bool,
}

/// An item of a list, or the reason why this item cannot be shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "nearly every item is the larger variant")]
pub enum ListedItem<T> {
    /// The item.
    Readable(T),
    /// Its id and an error.
    Unreadable(Unreadable),
}

impl<T> List<T> {
    /// Returns a list that has no further page.
    pub fn complete(rows: impl IntoIterator<Item = T>) -> Self {
        Self { data: rows.into_iter().collect(), next_cursor: None }
    }
}

impl From<BoundedCount> for ShownCount {
    fn from(BoundedCount { count, has_more }: BoundedCount) -> Self {
        Self { count, has_more }
    }
}
