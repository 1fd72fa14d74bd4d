//! `graphql-poll` and `http-poll`: requests the new items since the last poll at an interval, page by page.
//!
//! The time up to which a source was read is taken before the query, and stored with the last items of the last page. Items
//! that are read twice, because a poll overlaps the one before or was interrupted, are recognized by a digest of their text.

use super::detail::Detail;
use super::endpoint::Endpoint;
use super::item::Item;
use super::links::next_link;
use super::pointer::Pointer;
use super::read_error::ReadError;
use super::request_text::{RequestText, RequestValues, text_of};
use super::rest_request::RestRequest;
use crate::traces::Trace;
use anyhow::{Result, bail};
use hookmill_connection::{Code, Failure, Request};
use hookmill_incident::Clock;
use reqwest::header::{AGE, DATE};
use reqwest::{Response, StatusCode, Url};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Pages of one poll.
const PAGES_MAX: usize = 10_000;
/// The maximum length of a reference to a next page, in bytes.
const NEXT_BYTES_MAX: usize = 8 * 1024;
/// A server whose clock is further behind the host's is assumed to send a wrong `Date`.
const BEHIND_MS_MAX: i64 = 24 * 60 * 60 * 1000;
/// Error texts of servers are truncated to this many characters.
const ERROR_CHARS_MAX: usize = 500;

/// The request of a poll, and the positions of items and next page in the answer.
#[derive(Debug)]
pub struct Poll {
    /// The time from the start of one poll to the start of the next.
    pub interval: Duration,
    /// The time by which a poll overlaps the one before.
    pub overlap: Duration,
    /// The query.
    pub query: PollQuery,
    /// The position of the items in an answer.
    pub items: Pointer,
    /// The position of the reference to the next page.
    pub next: Option<Pointer>,
    /// The number of retries of one page before the poll fails.
    pub retries: u32,
    /// Skips items that were read before.
    pub ignore_duplicates: bool,
    /// The request for the details of items.
    pub detail: Option<Detail>,
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
#[derive(Debug, PartialEq, Eq)]
pub enum Paging {
    /// The value at `next`, or the header `Link`, is the URL of the next page.
    Url,
    /// The URL parameter of this name has the value at `next`.
    Parameter(String),
    /// The body has the value at `next`.
    Cursor,
    /// The request has the number of items or pages before it. An empty page is the last one.
    Count,
}

/// A request of a poll.
#[derive(Clone, Debug)]
pub(super) struct PollRequest {
    request: Request,
    is_detail: bool,
}

/// One page of items.
#[derive(Default)]
pub(super) struct PolledPage {
    pub items: Vec<Item>,
    /// The ids of items whose details are to be requested.
    pub ids: Vec<Value>,
    /// Whether details were requested that the server does not have any more.
    pub is_gone: bool,
    /// The number of items that exceed the source's payload limit.
    pub oversized: usize,
    /// The request for the next page, if there is one.
    pub next: Option<PollRequest>,
    /// The reason why the next page cannot be requested.
    pub next_failure: Option<Failure>,
}

/// A poll in progress.
pub(super) struct PollRun<'p> {
    poll: &'p Poll,
    endpoint: &'p Endpoint,
    clock: &'p Clock,
    /// The time since which items are requested.
    pub since: i64,
    began: i64,
    /// The time up to which the source is read when this poll has finished.
    pub reached: i64,
    /// Digests of the references to the pages after the first, or of pages that are counted.
    pages: HashSet<[u8; 32]>,
    /// The number of items on the pages that were read.
    offset: u64,
    /// The number of items that were read.
    read: u64,
    payload_bytes_max: usize,
}

impl Poll {
    /// Begins a poll at the position reached before.
    pub(super) fn begin<'p>(
        &'p self,
        endpoint: &'p Endpoint,
        payload_bytes_max: usize,
        position: &str,
        clock: &'p Clock,
    ) -> PollRun<'p> {
        let began = clock.now_ms();
        // The clock may have been set back since the last poll.
        let last = position.parse().unwrap_or(began).min(began);
        let since = last.saturating_sub(self.overlap.as_millis() as i64).max(0);
        let (pages, offset, read) = (HashSet::new(), 0, 0);
        PollRun { poll: self, endpoint, clock, since, began, reached: began, pages, offset, read, payload_bytes_max }
    }
}

impl PollRun<'_> {
    /// Returns the request for the first page.
    pub fn first_request(&self) -> Result<PollRequest, Failure> {
        match &self.poll.query {
            PollQuery::Graphql(query) => Ok(self.graphql(query, None)),
            PollQuery::Rest { request, .. } => self.rest(request, None),
        }
    }

    /// Returns the request for the details of these items.
    pub fn detail_request(&self, detail: &Detail, ids: &[Value]) -> Result<PollRequest, Failure> {
        let values = RequestValues { ids, ..self.values(None) };
        let url = detail.request.url(self.endpoint.url(), &values)?;
        Ok(PollRequest { request: detail.request.to(url, &values), is_detail: true })
    }

    /// Requests one page.
    pub async fn page(&mut self, request: PollRequest, trace: &Trace) -> Result<PolledPage, ReadError> {
        let PollRequest { request, is_detail } = request;
        let (asked, url) = (Instant::now(), request.url.clone());
        let response = match self.endpoint.send(request, self.clock, trace).await {
            Err(ReadError { status: Some(StatusCode::NOT_FOUND | StatusCode::GONE), .. }) if is_detail => {
                return Ok(PolledPage { is_gone: true, ..PolledPage::default() });
            }
            sent => sent?,
        };
        let is_empty = response.status() == StatusCode::NO_CONTENT;
        if let (Some(detail), true) = (&self.poll.detail, is_detail) {
            let document = self.endpoint.page(response).await?;
            let found = if is_empty { Vec::new() } else { detail.item.items(&document).map_err(wrong)? };
            return Ok(self.items_of(&found));
        }
        self.reached = self.reached.min(server_time(&response, asked.elapsed(), self.began).unwrap_or(self.began));
        let link = next_link(response.headers());
        let document = self.endpoint.page(response).await?;
        if matches!(self.poll.query, PollQuery::Graphql(_)) && !is_empty {
            refuse_errors(&document, self.endpoint).map_err(wrong)?;
        }
        let found = if is_empty { Vec::new() } else { self.poll.items.items(&document).map_err(wrong)? };
        let mut page = match &self.poll.detail {
            None => self.items_of(&found),
            Some(detail) => {
                let (ids, without) = detail.ids_of(&found)?;
                PolledPage { ids, ..self.items_of(&without) }
            }
        };
        // Last, because it remembers the page, and a page with an error is requested again.
        match self.next_of(&found, &document, link, &url) {
            Ok(next) => page.next = next,
            Err(failure) => page.next_failure = Some(failure),
        }
        Ok(page)
    }

    fn values<'v>(&self, cursor: Option<&'v Value>) -> RequestValues<'v> {
        let page = self.pages.len() as u64 + 1;
        RequestValues { since_ms: self.since, now_ms: self.began, offset: self.offset, page, cursor, ids: &[] }
    }

    fn rest(&self, request: &RestRequest, cursor: Option<&Value>) -> Result<PollRequest, Failure> {
        let values = self.values(cursor);
        let url = request.url(self.endpoint.url(), &values)?;
        Ok(PollRequest { request: request.to(url, &values), is_detail: false })
    }

    fn graphql(&self, query: &RequestText, after: Option<&str>) -> PollRequest {
        let mut body = json!({"query": query.text(&self.values(None))});
        if let Some(after) = after {
            body["variables"] = json!({"after": after});
        }
        let request = Endpoint::post_json(self.endpoint.url().clone(), body.to_string());
        PollRequest { request, is_detail: false }
    }

    /// Returns the request for the page after one with these items.
    fn next_of(
        &mut self,
        found: &[&RawValue],
        document: &[u8],
        link: Option<String>,
        url: &Url,
    ) -> Result<Option<PollRequest>, Failure> {
        self.offset += found.len() as u64;
        if matches!(&self.poll.query, PollQuery::Rest { paging: Paging::Count, .. }) {
            if found.is_empty() {
                return Ok(None);
            }
            let items: Vec<&str> = found.iter().map(|item| item.get()).collect();
            self.add_page(
                digest(&items.join(",")),
                "the server sends a page again: the number of the page has no effect",
            )?;
            return self.first_request().map(Some);
        }
        let cursor = match &self.poll.next {
            Some(_) if document.is_empty() => None,
            Some(pointer) => {
                pointer.find(document).map_err(wrong)?.and_then(|raw| serde_json::from_str(raw.get()).ok())
            }
            None => link.filter(|_| matches!(self.poll.query, PollQuery::Rest { .. })).map(Value::String),
        };
        let Some(cursor) = cursor.filter(|cursor| !matches!(cursor, Value::Bool(false))) else { return Ok(None) };
        let next = text_of(&cursor);
        // Some servers refer to a next page even after the last one.
        if next.is_empty() || (found.is_empty() && self.pages.contains(&digest(&next))) {
            return Ok(None);
        }
        let wrong = |text: &str| Err(Failure::new(Code::Answer, text));
        if next.len() > NEXT_BYTES_MAX {
            return wrong("the reference to the next page is longer than 8 KiB");
        }
        self.add_page(digest(&next), "the server refers to a next page that it named before")?;
        let (request, paging) = match &self.poll.query {
            PollQuery::Graphql(query) => return Ok(Some(self.graphql(query, Some(&next)))),
            PollQuery::Rest { request, paging } => (request, paging),
        };
        let url = match paging {
            Paging::Cursor | Paging::Count => return self.rest(request, Some(&cursor)).map(Some),
            Paging::Parameter(parameter) => {
                let others: Vec<(String, String)> =
                    url.query_pairs().into_owned().filter(|(name, _)| name != parameter).collect();
                let mut url = url.clone();
                url.query_pairs_mut().clear().extend_pairs(others).append_pair(parameter, &next);
                url
            }
            Paging::Url => match url.join(&next) {
                Ok(url) => url,
                Err(_) => return wrong("the reference to the next page is not a URL"),
            },
        };
        Ok(Some(PollRequest { request: request.to(url, &self.values(None)), is_detail: false }))
    }

    /// Remembers a page; returns an error if there was the same page before.
    fn add_page(&mut self, digest: [u8; 32], known: &str) -> Result<(), Failure> {
        let text = match self.pages.len() {
            PAGES_MAX => "there are more than 10000 pages; request more items a page, or fewer items in total",
            _ if !self.pages.insert(digest) => known,
            _ => return Ok(()),
        };
        Err(Failure::new(Code::Answer, text))
    }

    fn items_of(&mut self, found: &[&RawValue]) -> PolledPage {
        let mut page = PolledPage::default();
        for raw in found {
            match raw.get().len() > self.payload_bytes_max {
                true => page.oversized += 1,
                false => page.items.push(self.item(raw)),
            }
        }
        page
    }

    fn item(&mut self, raw: &RawValue) -> Item {
        let body = raw.get();
        self.read += 1;
        let digest = match self.poll.ignore_duplicates {
            true => digest(body),
            // Every read of an item gets a digest of its own.
            false => digest(&format!("{} {}", self.began, self.read)),
        };
        Item { body: body.to_owned().into(), context: Vec::new(), identity: String::new(), digest }
    }
}

fn wrong(error: anyhow::Error) -> Failure {
    Failure::new(Code::Answer, format!("the server's answer: {error:#}"))
}

/// Returns the time at which the request began by the server's clock, which stamps the items and may be behind the host's.
/// `None` for an answer from a cache: its `Date` is that of an earlier answer.
fn server_time(response: &Response, took: Duration, began: i64) -> Option<i64> {
    let headers = response.headers();
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let date_ms = date.duration_since(UNIX_EPOCH).ok()?.as_millis() as i64;
    let is_plausible = !headers.contains_key(AGE) && date_ms > began - BEHIND_MS_MAX;
    is_plausible.then_some(date_ms - took.as_millis() as i64)
}

/// Returns an error if a GraphQL answer has errors, which its HTTP status does not show.
fn refuse_errors(document: &[u8], endpoint: &Endpoint) -> Result<()> {
    let pointer = |names: &str| names.parse::<Pointer>().map_err(anyhow::Error::msg);
    let Some(errors) = pointer("/errors")?.find(document)? else { return Ok(()) };
    if errors.get() == "[]" {
        return Ok(());
    }
    let message = pointer("/errors/0/message")?.find(document)?;
    let message: String = message.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    bail!("GraphQL error: {}", endpoint.redact(&message).escape_debug().take(ERROR_CHARS_MAX).collect::<String>())
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}
