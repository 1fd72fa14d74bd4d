//! `graphql-poll` and `http-poll`: requests the new items since the last poll at an interval, page by page.
//!
//! The time up to which a source was read is taken before the query, and stored with the last items of the last page. Items
//! that are read twice, because a poll overlaps the one before or was interrupted, are recognized by a digest of their text.

use super::endpoint::Endpoint;
use super::item::Item;
use super::links::next_link;
use super::pointer::Pointer;
use super::read_error::ReadError;
use super::since::SinceText;
use crate::traces::Trace;
use anyhow::{Result, anyhow, bail};
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
}

/// The query of a poll.
#[derive(Debug)]
pub enum PollQuery {
    /// A GraphQL query; requests for later pages set its variable `after`.
    Graphql(SinceText),
    /// A GET request.
    Rest {
        /// The URL of the first page.
        url: SinceText,
        /// The URL parameter for the value at `next`; `None` if that value is the URL of the next page.
        next_parameter: Option<String>,
    },
}

/// One page of items.
pub(super) struct PolledPage {
    pub items: Vec<Item>,
    /// The number of items that exceed the source's payload limit.
    pub oversized: usize,
    /// The request for the next page, if there is one.
    pub next: Result<Option<Request>, Failure>,
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
    /// Digests of the references to the pages after the first.
    pages: HashSet<[u8; 32]>,
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
        let pages = HashSet::new();
        PollRun { poll: self, endpoint, clock, since, began, reached: began, pages, payload_bytes_max }
    }
}

impl PollRun<'_> {
    /// Returns the request for the first page.
    pub fn first_request(&self) -> Result<Request, Failure> {
        match &self.poll.query {
            PollQuery::Graphql(query) => Ok(self.graphql(query, None)),
            PollQuery::Rest { url, .. } => {
                let url = url.at(self.since).parse::<Url>();
                url.map(Endpoint::get).map_err(|error| Failure::from(anyhow!("`url` is not a URL: {error}")))
            }
        }
    }

    fn graphql(&self, query: &SinceText, after: Option<&str>) -> Request {
        let mut body = json!({"query": query.at(self.since)});
        if let Some(after) = after {
            body["variables"] = json!({"after": after});
        }
        Endpoint::post_json(self.endpoint.url().clone(), body.to_string())
    }

    /// Requests one page.
    pub async fn page(&mut self, request: Request, trace: &Trace) -> Result<PolledPage, ReadError> {
        let (asked, url) = (Instant::now(), request.url.clone());
        let response = self.endpoint.send(request, self.clock, trace).await?;
        self.reached = self.reached.min(server_time(&response, asked.elapsed(), self.began).unwrap_or(self.began));
        let is_empty = response.status() == StatusCode::NO_CONTENT;
        let link = next_link(response.headers());
        let document = self.endpoint.page(response).await?;
        let wrong = |error: anyhow::Error| Failure::new(Code::Answer, format!("the server's answer: {error:#}"));
        let is_graphql = matches!(self.poll.query, PollQuery::Graphql(_));
        if is_graphql && !is_empty {
            refuse_errors(&document, self.endpoint).map_err(wrong)?;
        }
        let found = if is_empty { Vec::new() } else { self.poll.items.items(&document).map_err(wrong)? };
        let (mut items, mut oversized) = (Vec::new(), 0);
        for (index, raw) in found.iter().enumerate() {
            match raw.get().len() > self.payload_bytes_max {
                true => oversized += 1,
                false => items.push(self.item(raw, index)),
            }
        }
        let next = match &self.poll.next {
            Some(_) if is_empty => None,
            Some(pointer) => pointer.find(&document).map_err(wrong)?.map(text).filter(|next| !next.is_empty()),
            None => link.filter(|_| !is_graphql),
        };
        let is_known = |next: &String| self.pages.contains(&digest(next));
        // Some servers refer to a next page even after the last one.
        let next = next.filter(|next| !found.is_empty() || !is_known(next));
        let next = next.map(|next| self.request_after(&url, next)).transpose();
        Ok(PolledPage { items, oversized, next })
    }

    /// Returns the request for the page that `next` refers to.
    fn request_after(&mut self, url: &Url, next: String) -> Result<Request, Failure> {
        let wrong = |text: &str| Err(Failure::new(Code::Answer, text));
        if next.len() > NEXT_BYTES_MAX {
            return wrong("the reference to the next page is longer than 8 KiB");
        }
        if self.pages.len() == PAGES_MAX {
            return wrong("there are more than 10000 pages; request more items a page, or fewer items in total");
        }
        if !self.pages.insert(digest(&next)) {
            return wrong("the server refers to a next page that it named before");
        }
        match &self.poll.query {
            PollQuery::Graphql(query) => Ok(self.graphql(query, Some(&next))),
            PollQuery::Rest { next_parameter: Some(parameter), .. } => {
                let others: Vec<(String, String)> =
                    url.query_pairs().into_owned().filter(|(name, _)| name != parameter).collect();
                let mut url = url.clone();
                url.query_pairs_mut().clear().extend_pairs(others).append_pair(parameter, &next);
                Ok(Endpoint::get(url))
            }
            PollQuery::Rest { next_parameter: None, .. } => url
                .join(&next)
                .map_or_else(|_| wrong("the reference to the next page is not a URL"), |url| Ok(Endpoint::get(url))),
        }
    }

    fn item(&self, raw: &RawValue, index: usize) -> Item {
        let body = raw.get();
        let digest = match self.poll.ignore_duplicates {
            true => digest(body),
            // Every read of an item gets a digest of its own.
            false => digest(&format!("{} {} {index}", self.began, self.pages.len())),
        };
        Item { body: body.to_owned().into(), context: Vec::new(), identity: String::new(), digest }
    }
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
    let message = pointer("/errors/0/message")?.find(document)?.map(text).unwrap_or_default();
    bail!("GraphQL error: {}", endpoint.redact(&message).escape_debug().take(ERROR_CHARS_MAX).collect::<String>())
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Returns a string without its quotes, and any other value as JSON.
fn text(raw: &RawValue) -> String {
    match serde_json::from_str(raw.get()) {
        Ok(Value::String(text)) => text,
        Ok(Value::Bool(false)) | Err(_) => String::new(),
        Ok(value) => value.to_string(),
    }
}
