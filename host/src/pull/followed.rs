//! Counts what a poll requests for the items of its list, and what it gets.

use super::read_error::ReadError;
use hookmill_connection::{Code, Failure};

/// The number of details or files that were requested, and of those that the server sent.
#[derive(Debug, Default)]
pub(super) struct Followed {
    requested: usize,
    found: usize,
    /// The reason why the last one was refused.
    refused: Option<Failure>,
}

impl Followed {
    /// Counts details or files that are requested, and items that name nothing which may be requested.
    pub fn add_requested(&mut self, count: usize) {
        self.requested += count;
    }

    /// Counts what the server sent.
    pub fn add_found(&mut self, count: usize) {
        self.found += count;
    }

    /// Records why the server refused a request.
    pub fn set_refused(&mut self, refused: Failure) {
        self.refused = Some(refused);
    }

    /// Checks that the server sent something. If it did not, the request is probably wrong, and nothing counts as read.
    ///
    /// # Errors
    /// Returns an error if the server sent nothing of what was requested.
    pub fn check(self) -> Result<(), ReadError> {
        if self.found > 0 || self.requested == 0 {
            return Ok(());
        }
        let count = self.requested;
        let text = match self.refused {
            Some(refused) => {
                format!("the server refuses all {count} requests for details; the last answer: {}", refused.text)
            }
            None => format!(
                "the server has none of the {count} details or files that its list names; check `detail`, `details` or \
                 `files`, the same time is read again"
            ),
        };
        Err(Failure::new(Code::Answer, text).into())
    }
}
