//! `graphql-poll` and `http-poll`: the declaration of what is requested at an interval.

use super::condition::Condition;
use super::detail::{Detail, JoinedDetail};
use super::files::Files;
use super::operations::Operations;
use super::pointer::Pointer;
use super::poll_window::PollWindow;
use super::request_text::RequestText;
use super::rest_request::RestRequest;
use std::time::Duration;

/// The request of a poll, and the positions of items and next page in the answer.
#[derive(Debug)]
pub struct Poll {
    /// The time from the start of one poll to the start of the next.
    pub interval: Duration,
    /// The times that a poll asks for.
    pub window: PollWindow,
    /// The query.
    pub query: PollQuery,
    /// The position of the items in an answer.
    pub items: Pointer,
    /// Whether the server leaves out an empty list of items.
    pub items_optional: bool,
    /// The position of the reference to the next page.
    pub next: Option<Pointer>,
    /// Whether the next poll continues at the last reference to a next page.
    pub keep_next: bool,
    /// Whether the poll continues with the next page.
    pub more: Option<Condition>,
    /// The number of retries of one page before the poll fails.
    pub retries: u32,
    /// Skips items that were read before.
    pub ignore_duplicates: bool,
    /// The requests for what the items of the list name.
    pub follow: Option<Follow>,
    /// The requests for details that are put into each item.
    pub details: Vec<JoinedDetail>,
}

/// The query of a poll.
#[derive(Debug)]
pub enum PollQuery {
    /// A GraphQL query; requests for later pages set its variable `after`.
    Graphql(RequestText),
    /// A request for a list.
    Rest {
        /// The request for the first page.
        request: RestRequest,
        /// The way to the other pages.
        paging: Paging,
    },
}

/// The way from a page to the next one.
#[derive(Debug)]
pub enum Paging {
    /// The value at `next`, or the header `Link`, is the URL of the next page.
    Url,
    /// The URL parameter of this name has the value at `next`.
    Parameter(String),
    /// The body has the value at `next`.
    Cursor,
    /// The request has the number of items before the page. Pages overlap, and one without new items is the last one.
    Offset,
    /// The request has the number of the page. An empty page is the last one.
    Number,
    /// The server keeps the position. An empty page is the last one.
    Operations(Operations),
}

/// The second requests of an `http-poll`, whose answers become events in place of the items of the list.
#[derive(Debug)]
pub enum Follow {
    /// Details, by the ids of items.
    Detail(Detail),
    /// Files, by their URLs.
    Files(Files),
}

impl Poll {
    /// Returns the operations, if the server keeps the position.
    pub(super) fn operations(&self) -> Option<&Operations> {
        match &self.query {
            PollQuery::Rest { paging: Paging::Operations(operations), .. } => Some(operations),
            _ => None,
        }
    }
}
