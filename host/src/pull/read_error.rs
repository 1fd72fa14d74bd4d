//! The error of reading a source.

use hookmill_connection::{Code, Failure};
use hookmill_store::StoreError;
use reqwest::StatusCode;
use std::time::Duration;

/// The reason why a source cannot be read now.
#[derive(Debug)]
pub(super) struct ReadError {
    pub failure: Failure,
    /// The server's `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The status of the server's answer, if the answer is the reason.
    pub status: Option<StatusCode>,
}

impl ReadError {
    /// Returns whether the server has too much to do, so that the same request succeeds later.
    pub fn is_busy(&self) -> bool {
        self.failure.asked_wait.is_some() || self.status == Some(StatusCode::TOO_MANY_REQUESTS)
    }

    /// Returns whether the server refuses what was requested, such as a position that it does not know any more.
    pub fn is_about_the_request(&self) -> bool {
        matches!(self.status, Some(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::GONE))
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        let retry_after = failure.asked_wait;
        Self { failure, retry_after, status: None }
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Failure::new(Code::Store, error.to_string()).into()
    }
}
