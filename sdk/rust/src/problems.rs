//! The problems of one payload: parts of it that could not be mapped.

use std::cell::{Cell, RefCell};

/// The most problems that one payload reports one by one.
pub(crate) const PROBLEMS_MAX: usize = 50;
/// The number of wrong parts of one payload after which no further part is read. The memory of an instance is never freed,
/// and each wrong part needs some: a list may have half a million of them.
const WRONG_MAX: usize = 10_000;

thread_local! {
    static PROBLEMS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// The problems beyond those of `PROBLEMS`, whose texts are not made.
    static MORE_PROBLEMS: Cell<usize> = const { Cell::new(0) };
}

/// Reports a part of the payload that could not be mapped. The event is stored as `partial`.
pub fn problem(text: impl Into<String>) {
    add_problem(|| text.into());
}

/// Reports a problem, and makes its text only if it is among those that are shown.
pub(crate) fn add_problem(text: impl FnOnce() -> String) {
    PROBLEMS.with_borrow_mut(|problems| {
        if problems.len() >= PROBLEMS_MAX {
            MORE_PROBLEMS.set(MORE_PROBLEMS.get() + 1);
            return;
        }
        let text = text();
        if !problems.contains(&text) {
            problems.push(text);
        }
    });
}

/// Bounds the problems; `more` are not in the list.
pub(crate) fn bound(problems: &mut Vec<String>, more: usize) {
    let more = more + problems.len().saturating_sub(PROBLEMS_MAX);
    if more > 0 {
        problems.truncate(PROBLEMS_MAX);
        problems.push(format!("{more} further problems"));
    }
}

/// Returns the problems and the number of the others, and forgets them.
pub(crate) fn take_problems() -> (Vec<String>, usize) {
    (PROBLEMS.take(), MORE_PROBLEMS.take())
}

/// Returns whether there are too many wrong parts to read another one, which is a problem then.
pub(crate) fn are_too_many() -> bool {
    let is_too_much = MORE_PROBLEMS.get() >= WRONG_MAX;
    if is_too_much {
        MORE_PROBLEMS.set(MORE_PROBLEMS.get() + 1);
    }
    is_too_much
}
