//! A poll in progress: requests the new items since the last poll, page by page.
//!
//! The time up to which a source was read is taken before the query, and stored with the last items of the last page. Items
//! that are read twice, because a poll overlaps the one before or was interrupted, are recognized by a digest of their text.

mod next_page;
mod offset_pages;

use super::detail::{Detail, JoinedDetail};
use super::endpoint::Endpoint;
use super::files::FileLines;
use super::item::Item;
use super::links::next_link;
use super::list_splice::joined;
use super::member_splice::with_member;
use super::operations::Operation;
use super::pointer::Pointer;
use super::poll::{Follow, Paging, Poll, PollQuery};
use super::poll_window::PollTimes;
use super::polled_page::{Missing, PollRequest, PolledPage, Purpose};
use super::position::PollPosition;
use super::read_error::ReadError;
use super::request_text::{RequestValues, text_of};
use crate::traces::Trace;
use anyhow::{Result, bail};
use bytes::Bytes;
use hookmill_connection::{Code, Failure, Request};
use hookmill_incident::Clock;
use offset_pages::OffsetPages;
use reqwest::header::{AGE, DATE};
use reqwest::{Response, StatusCode, Url};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// A server whose clock is further behind the host's is assumed to send a wrong `Date`.
const BEHIND_MS_MAX: i64 = 24 * 60 * 60 * 1000;
/// Error texts of servers are truncated to this many characters.
const ERROR_CHARS_MAX: usize = 500;

/// A poll in progress.
pub(super) struct PollRun<'p> {
    pub poll: &'p Poll,
    endpoint: &'p Endpoint,
    clock: &'p Clock,
    /// The position before the poll.
    position: PollPosition,
    /// The times that items are requested of.
    pub times: PollTimes,
    /// The time at which the poll began.
    began: i64,
    /// The time up to which the source is read when this poll has finished.
    reached: i64,
    /// The operation of the next request, if the server keeps the position.
    operation: Operation,
    /// Digests of the references to the pages after the first, or of pages that are counted.
    pages: HashSet<[u8; 32]>,
    /// The pages that are requested by an offset.
    offset_pages: OffsetPages,
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
        let position = PollPosition::parse(position, began);
        let times = self.window.times(&position, began);
        let was_read = position.cursor.is_some();
        let operation = self.operations().map_or(Operation::First, |operations| operations.begin(was_read));
        let (pages, offset_pages, read) = (HashSet::new(), OffsetPages::default(), 0);
        let reached = times.until;
        PollRun {
            poll: self,
            endpoint,
            clock,
            position,
            times,
            began,
            reached,
            operation,
            pages,
            offset_pages,
            read,
            payload_bytes_max,
        }
    }
}

impl PollRun<'_> {
    /// Returns whether the poll continues at a position that the server named.
    pub fn continues(&self) -> bool {
        self.poll.keep_next && self.position.cursor.is_some()
    }

    /// Begins again at the time of the last poll, because the server does not know the position that it named.
    pub fn forget_cursor(&mut self) {
        self.position.cursor = None;
        self.times = self.poll.window.times(&self.position, self.began);
        self.pages.clear();
    }

    /// Returns the request for the details of these items.
    pub fn detail_request(&self, detail: &Detail, ids: &[Value], purpose: Purpose) -> Result<PollRequest, Failure> {
        let values = RequestValues { ids, ..self.values(None) };
        let url = detail.request.url(self.endpoint.url(), &values)?;
        Ok(PollRequest { request: detail.request.to(url, &values)?, purpose })
    }

    /// Returns the request for the page of details after one that was requested so; `None` after the last page.
    pub fn further_details(
        &self,
        detail: &Detail,
        request: &PollRequest,
        document: &[u8],
    ) -> Result<Option<PollRequest>, Failure> {
        let Some(pages) = &detail.pages else { return Ok(None) };
        let Some(cursor) = cursor_at(&pages.next, document)? else { return Ok(None) };
        let url = with_parameter(&request.request.url, &pages.next_parameter, &text_of(&cursor));
        // A server that names the same page again has no further one.
        if url == request.request.url {
            return Ok(None);
        }
        Ok(Some(PollRequest { request: Request { url, ..request.request.clone() }, purpose: request.purpose }))
    }

    /// Returns details with the elements of the list in further details.
    pub fn joined_details(&self, detail: &Detail, document: &[u8], further: &[u8]) -> Result<Vec<u8>, Failure> {
        let pages = detail.pages.as_ref();
        pages.map_or_else(|| Ok(document.to_vec()), |pages| joined(document, &pages.list, further).map_err(wrong))
    }

    /// Returns the request for details that are put into an item, or the reason why it stays without them.
    pub fn joined_request(&self, item: &[u8], joined: &JoinedDetail) -> Result<Result<PollRequest, String>, Failure> {
        match joined.detail.id_of(item) {
            Some(id) => self.detail_request(&joined.detail, &[id], Purpose::JoinedDetail).map(Ok),
            None => Ok(Err(format!("it has no usable id at `id`, {}", joined.detail.id))),
        }
    }

    /// Returns an item with the details that are put into it.
    ///
    /// # Errors
    /// Returns the reason why the item stays without them.
    pub fn item_with(&self, item: &[u8], joined: &JoinedDetail, document: &[u8]) -> Result<Bytes, String> {
        let JoinedDetail { detail, into } = joined;
        let found = detail.item.value(document).map_err(|error| error.to_string())?;
        let found = found.ok_or_else(|| format!("the server's answer has nothing at `item`, {}", detail.item))?;
        let whole = with_member(item, into, found.get()).map_err(|error| error.to_string())?;
        match whole.len() > self.payload_bytes_max {
            true => Err("they would make the item larger than `payload_mib`".to_owned()),
            false => Ok(whole.into()),
        }
    }

    /// Returns the items of details.
    pub fn items_of_details(&mut self, detail: &Detail, document: &[u8]) -> Result<PolledPage, Failure> {
        let found = detail.item.items(document).map_err(wrong)?;
        Ok(self.items_of(&found))
    }

    /// Returns the request for a file.
    pub fn file_request(&self, url: Url) -> PollRequest {
        PollRequest { request: Endpoint::get(url), purpose: Purpose::File }
    }

    /// Returns the lines of a file.
    pub fn lines(&self, file: Vec<u8>) -> FileLines {
        FileLines::new(file, self.payload_bytes_max)
    }

    /// Returns the request that is sent after one which failed. If the server keeps the position, it may have moved.
    pub fn repeated(&mut self, request: PollRequest) -> Result<PollRequest, Failure> {
        if self.poll.operations().is_none() || request.purpose != Purpose::List {
            return Ok(request);
        }
        self.operation = self.operation.repeated();
        self.counted_request()
    }

    /// Returns the position after a page. `is_last` is whether it is the last one of the poll; `None` if the source would
    /// not continue here.
    pub fn position_after(&self, is_last: bool) -> Option<String> {
        let at_ms = if is_last { self.reached } else { self.position.at_ms };
        let is_kept = self.poll.keep_next || self.poll.operations().is_some();
        (is_last || is_kept).then(|| PollPosition { at_ms, cursor: self.position.cursor.clone() }.to_string())
    }

    /// Returns whether the next poll has to follow at once, because this one did not ask for everything up to now.
    pub fn is_behind(&self) -> bool {
        self.times.until < self.began
    }

    /// Requests one page.
    pub async fn page(&mut self, request: PollRequest, trace: &Trace) -> Result<PolledPage, ReadError> {
        let PollRequest { request, purpose } = request;
        let (asked, url) = (Instant::now(), request.url.clone());
        if let (Some(operations), Purpose::List) = (self.poll.operations(), purpose) {
            operations.set_stored(false);
        }
        let sent = match purpose {
            Purpose::File => self.endpoint.send_for_file(request, self.clock, trace).await,
            Purpose::List | Purpose::Detail | Purpose::JoinedDetail => {
                self.endpoint.send(request, self.clock, trace).await
            }
        };
        let response = match sent {
            Err(error) if purpose == Purpose::List && self.is_after_the_last_item(&error) => {
                return self.list_page(b"", true, None, &url);
            }
            Err(error) if purpose != Purpose::List => return PolledPage::missing(error, purpose),
            sent => sent?,
        };
        let is_empty = response.status() == StatusCode::NO_CONTENT;
        match (&self.poll.follow, purpose) {
            (Some(Follow::Detail(detail)), Purpose::Detail) => {
                let document = self.endpoint.page(response).await?;
                let page = if is_empty { PolledPage::default() } else { self.items_of_details(detail, &document)? };
                let document = if detail.pages.is_some() { document } else { Vec::new() };
                Ok(PolledPage { document, ..page })
            }
            (_, Purpose::JoinedDetail) if is_empty => {
                Ok(PolledPage { missing: Some(Missing::Gone), ..PolledPage::default() })
            }
            (_, Purpose::JoinedDetail) => {
                let document = self.endpoint.page(response).await?;
                Pointer::default().find(&document).map_err(wrong)?;
                Ok(PolledPage { document, ..PolledPage::default() })
            }
            (_, Purpose::File) => match self.endpoint.page(response).await {
                // Another attempt would find the same file.
                Err(failure) if failure.code == Code::Answer => {
                    Ok(PolledPage { missing: Some(Missing::Refused(failure)), ..PolledPage::default() })
                }
                read => Ok(PolledPage { document: read?, ..PolledPage::default() }),
            },
            _ => {
                let took = asked.elapsed();
                self.reached = self.reached.min(server_time(&response, took, self.began).unwrap_or(self.began));
                let link = next_link(response.headers());
                let document = self.endpoint.page(response).await?;
                self.list_page(&document, is_empty, link, &url)
            }
        }
    }

    /// Returns whether the server answers so because there is no page after those that were read.
    fn is_after_the_last_item(&self, error: &ReadError) -> bool {
        let is_counted = matches!(self.poll.query, PollQuery::Rest { paging: Paging::Offset | Paging::Number, .. });
        is_counted && error.status == Some(StatusCode::RANGE_NOT_SATISFIABLE)
    }

    fn list_page(
        &mut self,
        document: &[u8],
        is_empty: bool,
        link: Option<String>,
        url: &Url,
    ) -> Result<PolledPage, ReadError> {
        if matches!(self.poll.query, PollQuery::Graphql(_)) && !is_empty {
            refuse_errors(document, self.endpoint).map_err(wrong)?;
        }
        let found = if is_empty { Vec::new() } else { self.found(document).map_err(wrong)? };
        let unread = match &self.poll.query {
            PollQuery::Rest { paging: Paging::Offset, .. } => &self.offset_pages.unread(&found),
            _ => &found,
        };
        let mut page = match &self.poll.follow {
            None => self.items_of(unread),
            Some(Follow::Detail(detail)) => {
                let (ids, without) = detail.ids_of(unread)?;
                PolledPage { ids, ..self.items_of(&without) }
            }
            Some(Follow::Files(files)) => {
                let urls = unread.iter().filter_map(|item| files.url_of(item, self.endpoint.url())).collect::<Vec<_>>();
                PolledPage { without_file: unread.len() - urls.len(), files: urls, ..PolledPage::default() }
            }
        };
        // Last, because it remembers the page, and a page with an error is requested again.
        match self.next_of(&found, document, is_empty, link, url) {
            Ok(next) => page.next = next,
            Err(failure) => page.next_failure = Some(failure),
        }
        Ok(page)
    }

    /// Returns the items of an answer.
    fn found<'j>(&self, document: &'j [u8]) -> Result<Vec<&'j RawValue>> {
        let Poll { items, items_optional, .. } = self.poll;
        if *items_optional && items.find(document)?.is_none() {
            let answer = Pointer::default().find(document)?;
            if answer.is_some_and(|answer| answer.get().starts_with('{')) {
                return Ok(Vec::new());
            }
        }
        items.items(document)
    }

    fn items_of(&mut self, found: &[&RawValue]) -> PolledPage {
        let mut page = PolledPage::default();
        for raw in found {
            match raw.get().len() > self.payload_bytes_max {
                true => page.oversized += 1,
                false => page.items.push(self.item(raw.get().to_owned().into())),
            }
        }
        page
    }

    /// Returns the item of a text.
    pub fn item(&mut self, body: Bytes) -> Item {
        self.read += 1;
        let digest = match self.poll.ignore_duplicates {
            true => Sha256::digest(&body).into(),
            // Every read of an item gets a digest of its own.
            false => digest(&format!("{} {}", self.began, self.read)),
        };
        Item { body, context: Vec::new(), identity: String::new(), digest }
    }
}

/// Returns the reference at a position of an answer; `None` for null, false and an empty text.
fn cursor_at(at: &Pointer, document: &[u8]) -> Result<Option<Value>, Failure> {
    let found = at.find(document).map_err(wrong)?.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    Ok(found.filter(|cursor| !matches!(cursor, Value::Bool(false)) && !text_of(cursor).is_empty()))
}

/// Returns a URL with this value of a parameter.
fn with_parameter(url: &Url, parameter: &str, value: &str) -> Url {
    let others: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(name, _)| name != parameter).collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair(parameter, value);
    url
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
