//! One page of a list.

/// One page of a list and the key of the next one.
#[derive(Debug)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// The key after which the next page begins; `None` on the last page.
    pub next: Option<i64>,
}

impl<T> Page<T> {
    /// Returns a page of `limit` rows from rows that were read with a limit of `limit + 1`.
    pub(crate) fn new(mut rows: Vec<T>, limit: usize, key: impl Fn(&T) -> i64) -> Self {
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = if has_more { rows.last().map(key) } else { None };
        Self { rows, next }
    }
}
