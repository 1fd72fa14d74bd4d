//! The requests for the pages of a list.

use super::offset_pages::{PAGES_MAX, SAME_PAGE, TOO_MANY_PAGES};
use super::{PollRun, cursor_at, digest, with_parameter, wrong};
use crate::pull::endpoint::Endpoint;
use crate::pull::operations::Operation;
use crate::pull::poll::{Paging, PollQuery};
use crate::pull::poll_window::PollTimes;
use crate::pull::polled_page::{PollRequest, Purpose};
use crate::pull::request_text::{RequestText, RequestValues, text_of};
use crate::pull::rest_request::RestRequest;
use anyhow::Result;
use hookmill_connection::{Code, Failure};
use reqwest::Url;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// The maximum length of a reference to a next page, in bytes.
const NEXT_BYTES_MAX: usize = 8 * 1024;

impl PollRun<'_> {
    /// Returns the request for the first page: the one after the position that the server named, if the source continues
    /// there.
    pub fn first_request(&mut self) -> Result<PollRequest, Failure> {
        if let Some(cursor) = self.position.cursor.clone().filter(|_| self.continues()) {
            let url = match &self.poll.query {
                PollQuery::Graphql(_) => self.endpoint.url().clone(),
                PollQuery::Rest { request, .. } => request.url(self.endpoint.url(), &self.values(None))?,
            };
            let request = self.page_request(&cursor, &url)?;
            if request.request.url.origin() == url.origin() {
                self.pages.insert(digest(&text_of(&cursor)));
                return Ok(request);
            }
            // The source is read from another server since then.
            self.forget_cursor();
        }
        self.counted_request()
    }

    pub(super) fn values<'v>(&self, cursor: Option<&'v Value>) -> RequestValues<'v> {
        let page = self.pages.len() as u64 + 1;
        let PollTimes { since, until, .. } = self.times;
        let offset = self.offset_pages.offset;
        RequestValues { since_ms: since, until_ms: until, offset, page, cursor, operation: "", ids: &[] }
    }

    /// Returns the request with the numbers and the operation that are due now.
    pub(super) fn counted_request(&self) -> Result<PollRequest, Failure> {
        match &self.poll.query {
            PollQuery::Graphql(query) => Ok(self.graphql(query, None)),
            PollQuery::Rest { request, .. } => self.rest(request, None),
        }
    }

    fn rest(&self, request: &RestRequest, cursor: Option<&Value>) -> Result<PollRequest, Failure> {
        let values = self.values(cursor);
        let operation = self.poll.operations().map(|operations| operations.word(self.operation, &values));
        let values = RequestValues { operation: operation.as_deref().unwrap_or_default(), ..values };
        let url = request.url(self.endpoint.url(), &values)?;
        Ok(PollRequest { request: request.to(url, &values)?, purpose: Purpose::List })
    }

    fn graphql(&self, query: &RequestText, after: Option<&str>) -> PollRequest {
        let mut body = json!({"query": query.text(&self.values(None))});
        if let Some(after) = after {
            body["variables"] = json!({"after": after});
        }
        let request = Endpoint::post_json(self.endpoint.url().clone(), body.to_string());
        PollRequest { request, purpose: Purpose::List }
    }

    /// Returns the request for the page that a reference names. `url` is that of the page with the reference.
    fn page_request(&self, cursor: &Value, url: &Url) -> Result<PollRequest, Failure> {
        let next = text_of(cursor);
        let (request, paging) = match &self.poll.query {
            PollQuery::Graphql(query) => return Ok(self.graphql(query, Some(&next))),
            PollQuery::Rest { request, paging } => (request, paging),
        };
        let url = match paging {
            Paging::Cursor | Paging::Offset | Paging::Number | Paging::Operations(_) => {
                return self.rest(request, Some(cursor));
            }
            Paging::Parameter(parameter) => with_parameter(url, parameter, &next),
            Paging::Url => url
                .join(&next)
                .map_err(|_| Failure::new(Code::Answer, "the reference to the next page is not a URL"))?,
        };
        Ok(PollRequest { request: request.to(url, &self.values(None))?, purpose: Purpose::List })
    }

    /// Returns the request for the page after one with these items.
    pub(super) fn next_of(
        &mut self,
        found: &[&RawValue],
        document: &[u8],
        is_empty: bool,
        link: Option<String>,
        url: &Url,
    ) -> Result<Option<PollRequest>, Failure> {
        let more = self.poll.more.as_ref();
        let is_more = more.map(|more| Ok(!is_empty && more.is_true(document)?)).transpose().map_err(wrong)?;
        let cursor = match (&self.poll.query, &self.poll.next) {
            (PollQuery::Rest { paging: Paging::Offset, .. }, _) => {
                let is_there_a_page = self.offset_pages.advance(found, is_more)?;
                return is_there_a_page.then(|| self.counted_request()).transpose();
            }
            (PollQuery::Rest { paging: Paging::Number | Paging::Operations(_), .. }, _) => {
                return self.next_counted(found, is_more);
            }
            (_, Some(_)) if is_empty => None,
            (_, Some(next)) => cursor_at(next, document)?,
            (PollQuery::Rest { .. }, None) => link.map(Value::String),
            (PollQuery::Graphql(_), None) => None,
        };
        let Some(cursor) = cursor else { return Ok(None) };
        let next = text_of(&cursor);
        if next.len() > NEXT_BYTES_MAX {
            return Err(Failure::new(Code::Answer, "the reference to the next page is longer than 8 KiB"));
        }
        if self.poll.keep_next {
            self.position.cursor = Some(cursor.clone());
        }
        // Some servers refer to a next page even after the last one.
        if is_more == Some(false) || (found.is_empty() && self.pages.contains(&digest(&next))) {
            return Ok(None);
        }
        self.add_page(digest(&next), "the server refers to a next page that it named before")?;
        self.page_request(&cursor, url).map(Some)
    }

    /// Returns the request after a page without a reference to the next one.
    fn next_counted(&mut self, found: &[&RawValue], is_more: Option<bool>) -> Result<Option<PollRequest>, Failure> {
        let is_repeated = self.operation == Operation::Again;
        if self.poll.operations().is_some() {
            (self.operation, self.position.cursor) = (Operation::Next, Some(true.into()));
        }
        // The page before the next one says nothing about that.
        if is_repeated {
            return self.counted_request().map(Some);
        }
        if !is_more.unwrap_or(!found.is_empty()) {
            return Ok(None);
        }
        let items: Vec<&str> = found.iter().map(|item| item.get()).collect();
        self.add_page(digest(&items.join(",")), SAME_PAGE)?;
        self.counted_request().map(Some)
    }

    /// Remembers a page; returns an error if there was the same page before.
    fn add_page(&mut self, digest: [u8; 32], known: &str) -> Result<(), Failure> {
        let text = match self.pages.len() {
            PAGES_MAX => TOO_MANY_PAGES,
            _ if !self.pages.insert(digest) => known,
            _ => return Ok(()),
        };
        Err(Failure::new(Code::Answer, text))
    }
}
