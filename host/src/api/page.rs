//! Pages of lists.

use super::parameters::cursor;
use super::shapes::List;
use axum::Json;
use hookmill_store::Page;

/// Converts a page of the store to the API's answer.
pub(super) fn page<T, U>(page: Page<T>, show: impl FnMut(T) -> U) -> Json<List<U>> {
    let next_cursor = page.next.map(cursor);
    Json(List { data: page.rows.into_iter().map(show).collect(), next_cursor })
}
