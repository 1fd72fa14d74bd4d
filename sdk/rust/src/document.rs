//! The payload of the second pass, in which problems name the paths of wrong parts.

use crate::path::{excerpt, path_at};
use std::cell::RefCell;

thread_local! {
    /// The address of the payload, and a copy in which to find the path of a part.
    static DOCUMENT: RefCell<(usize, String)> = const { RefCell::new((0, String::new())) };
}

/// Makes `body`, which contains `json`, the payload of the second pass.
pub(crate) fn set(body: &[u8], json: &str) {
    DOCUMENT.set((body.as_ptr().addr(), json.to_owned()));
}

/// Returns the problem of a part that has another shape than expected.
pub(crate) fn wrong_part(json: &str, reason: &str) -> String {
    format!("`{}` is left out: {reason}", name_of(json))
}

/// Returns the path of a part or, if it is not a part of the payload itself, the beginning of its text.
pub(crate) fn name_of(json: &str) -> String {
    path_of(json).unwrap_or_else(|| excerpt(json))
}

/// Returns the path of a part of the repaired payload.
fn path_of(json: &str) -> Option<String> {
    DOCUMENT.with_borrow(|(_, document)| Some(path_at(document, offset_of(json)?)))
}

/// Returns whether this is a part of the repaired payload.
pub(crate) fn is_part(json: &str) -> bool {
    offset_of(json).is_some()
}

/// Returns the place of a part in the repaired payload.
fn offset_of(json: &str) -> Option<usize> {
    DOCUMENT.with_borrow(|(address, document)| {
        json.as_ptr().addr().checked_sub(*address).filter(|offset| *offset < document.len())
    })
}
