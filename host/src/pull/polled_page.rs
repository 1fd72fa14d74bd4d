//! The requests of a poll and the pages that answer them.

use super::item::Item;
use super::read_error::ReadError;
use hookmill_connection::{Failure, Request};
use reqwest::{StatusCode, Url};
use serde_json::Value;
use std::fmt;

/// A request of a poll.
#[derive(Clone, Debug)]
pub(super) struct PollRequest {
    pub request: Request,
    pub purpose: Purpose,
}

/// The kind of answer that a request expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    List,
    Detail,
    /// Details that are put into their item.
    JoinedDetail,
    File,
}

/// One page of items.
#[derive(Default)]
pub(super) struct PolledPage {
    pub items: Vec<Item>,
    /// The ids of items whose details are to be requested.
    pub ids: Vec<Value>,
    /// The URLs of files that are to be fetched.
    pub files: Vec<Url>,
    /// The number of items that name no file which may be fetched.
    pub without_file: usize,
    /// The whole answer, if the details of an item may have further pages or are put into it, or the content of a file.
    pub document: Vec<u8>,
    /// The reason why there is nothing of what was requested by its id or URL.
    pub missing: Option<Missing>,
    /// The number of items that exceed the source's payload limit.
    pub oversized: usize,
    /// The request for the next page, if there is one.
    pub next: Option<PollRequest>,
    /// The reason why the next page cannot be requested.
    pub next_failure: Option<Failure>,
}

/// The reason why there are no details of an item, and no lines of a file.
pub(super) enum Missing {
    /// The server does not have it any more.
    Gone,
    /// The server refuses the request.
    Refused(Failure),
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Gone => formatter.write_str("the server does not have them"),
            Self::Refused(failure) => formatter.write_str(&failure.text),
        }
    }
}

impl PolledPage {
    /// Returns the page for an error that concerns only what was requested by its id or URL. Other errors stay errors, such
    /// as that of a file whose URL has expired: the next poll gets a new one.
    pub fn missing(error: ReadError, purpose: Purpose) -> Result<Self, ReadError> {
        let missing = match error.status {
            Some(StatusCode::NOT_FOUND | StatusCode::GONE) => Missing::Gone,
            Some(StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) if purpose != Purpose::File => {
                Missing::Refused(error.failure)
            }
            _ => return Err(error),
        };
        Ok(Self { missing: Some(missing), ..Self::default() })
    }
}
