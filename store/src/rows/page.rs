//! One page of a list.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The number up to which all incidents are counted, in some milliseconds.
pub(crate) const ALL_COUNTED_MAX: usize = 200_000;

/// One page of a list and the place of the next one.
#[derive(Debug)]
pub struct Page<T, P = i64> {
    /// The rows.
    pub rows: Vec<T>,
    /// The place after which the next page begins, often a key; `None` on the last page.
    pub next: Option<P>,
}

/// The number of rows that pass a filter, which are counted up to a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundedCount {
    /// The rows that were counted.
    pub count: usize,
    /// Whether there may be more.
    pub has_more: bool,
}

impl BoundedCount {
    /// Returns the count of rows of which one more than `max` were looked for.
    pub(crate) fn up_to(max: usize, found: usize) -> Self {
        Self { count: found.min(max), has_more: found > max }
    }
}

/// A row, or the reason why this row cannot be read. Such a row must not keep the others from being shown.
pub type Listed<T> = Result<T, Unreadable>;

/// A row that cannot be read: another version wrote it, or it is damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The id of the row.
    pub id: Uuid,
    /// The reason.
    pub error: String,
}
