//! Pages of lists.

use super::parameters::cursor;
use super::shapes::{List, ListedItem};
use axum::Json;
use hookmill_store::{Listed, Page};

/// The number up to which the rows of a filtered list are counted.
pub(super) const COUNTED_MAX: usize = 10_000;

/// Converts a page of the store to the API's answer.
pub(super) fn page<T, U>(page: Page<T>, show: impl FnMut(T) -> U) -> Json<List<U>> {
    let next_cursor = page.next.map(cursor);
    Json(List { data: page.rows.into_iter().map(show).collect(), next_cursor })
}

/// Converts a page whose rows may be unreadable.
pub(super) fn listed<T, U>(rows: Page<Listed<T>>, mut show: impl FnMut(T) -> U) -> Json<List<ListedItem<U>>> {
    page(rows, |row| item(row, &mut show))
}

/// Converts a row that may be unreadable.
pub(super) fn item<T, U>(row: Listed<T>, show: impl FnOnce(T) -> U) -> ListedItem<U> {
    match row {
        Ok(row) => ListedItem::Readable(show(row)),
        Err(unreadable) => ListedItem::Unreadable(unreadable),
    }
}
