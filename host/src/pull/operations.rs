//! The words by which a request moves a position that the server keeps for the host.

use super::request_text::{RequestText, RequestValues};
use std::sync::atomic::{AtomicBool, Ordering};

/// The values of `NEXT_OPERATION`.
#[derive(Debug)]
pub struct Operations {
    /// The first request of a source.
    pub first: RequestText,
    /// The request for the page after the last one.
    pub next: String,
    /// The request for the last page again, if it may not have been stored.
    pub again: String,
    /// Whether the last page was stored. After a start of the host this is not known.
    is_stored: AtomicBool,
}

/// The operation of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    First,
    Next,
    Again,
}

impl Operations {
    /// Creates the operations of a source.
    pub fn new(first: RequestText, next: String, again: String) -> Self {
        Self { first, next, again, is_stored: AtomicBool::new(false) }
    }

    /// Returns the operation with which a poll begins.
    pub(super) fn begin(&self, was_read: bool) -> Operation {
        match (was_read, self.is_stored.load(Ordering::Relaxed)) {
            (false, _) => Operation::First,
            (true, true) => Operation::Next,
            (true, false) => Operation::Again,
        }
    }

    /// Records whether everything is stored that the server has sent. A request that is about to be sent says no.
    pub(super) fn set_stored(&self, is_stored: bool) {
        self.is_stored.store(is_stored, Ordering::Relaxed);
    }

    /// Returns the word for an operation.
    pub(super) fn word(&self, operation: Operation, values: &RequestValues<'_>) -> String {
        match operation {
            Operation::First => self.first.text(values),
            Operation::Next => self.next.clone(),
            Operation::Again => self.again.clone(),
        }
    }
}

impl Operation {
    /// Returns the operation that requests the same page once more, after an answer that may be lost.
    pub fn repeated(self) -> Self {
        if self == Self::First { Self::First } else { Self::Again }
    }
}
