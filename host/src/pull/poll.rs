//! `graphql-poll` and `http-poll`: asks a server every so often for what is new since it was asked last.
//!
//! The time up to which a source was read is taken before the query, and stored with the last items of the last page. What
//! is read twice, because a poll looks back a little further or was broken off, is known by what it says.

use super::endpoint::{Endpoint, Request};
use super::items::Pointer;
use super::since::SinceText;
use super::{Item, PAUSE_MAX, Pauses, Pull, Puller, Setback};
use crate::source::Source;
use anyhow::{Result, anyhow, bail};
use hookmill_connection::{Code, Failure};
use hookmill_incident::timestamp::unix_ms;
use reqwest::header::{AGE, DATE, HeaderMap, LINK};
use reqwest::{Response, StatusCode, Url};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// How many items of a poll are mapped at once.
const CONCURRENCY: usize = 10;
/// Pages of one poll.
const PAGES_MAX: usize = 10_000;
/// As long as what names a page may be.
const NEXT_BYTES_MAX: usize = 8 * 1024;
/// How far a server's clock may go after the host's before it is not believed.
const BEHIND_MS_MAX: i64 = 24 * 60 * 60 * 1000;
/// As much of a server's own error is shown.
const ERROR_CHARS_MAX: usize = 500;

/// What is asked, and where the answer is in what comes back.
#[derive(Debug)]
pub struct Poll {
    /// From the beginning of a poll to that of the next.
    pub interval: Duration,
    /// How much further back a poll looks than to the one before.
    pub overlap: Duration,
    /// What is asked.
    pub query: Query,
    /// Where the items are.
    pub items: Pointer,
    /// Where an answer says that there is more.
    pub next: Option<Pointer>,
    /// How often a page is asked for once more before the poll is given up.
    pub retries: u32,
    /// Whether an item that was read before is no new event.
    pub ignore_duplicates: bool,
}

/// What is asked.
#[derive(Debug)]
pub enum Query {
    /// A query that is posted; the pages after the first have its variable `after`.
    Graphql(SinceText),
    /// A URL.
    Rest {
        /// The first page.
        url: SinceText,
        /// The parameter that names another page, where `next` is not its URL.
        next_parameter: Option<String>,
    },
}

/// One page, read.
pub(super) struct Page {
    pub items: Vec<Item>,
    /// Items that are larger than a payload of the source may be.
    pub oversized: usize,
    /// What to ask for the page after it, if there is one that can be asked for.
    pub next: Result<Option<Request>, Failure>,
}

/// A poll that has begun.
pub(super) struct Polling<'p> {
    poll: &'p Poll,
    endpoint: &'p Endpoint,
    /// From when on items are asked for.
    pub since: i64,
    began: i64,
    /// Up to when the source is read when this is done.
    pub reached: i64,
    /// Digests of what named the pages after the first.
    pages: HashSet<[u8; 32]>,
    payload_bytes_max: usize,
}

impl Poll {
    /// Reads all that is new, and stores it. Returns how long to wait until the next poll.
    pub(super) async fn read(
        &self,
        puller: &Arc<Puller>,
        source: &Arc<Source>,
        pull: &Pull,
    ) -> Result<Duration, Setback> {
        let started = Instant::now();
        let position = puller.pipeline.store.cursor(source.name.clone(), pull.start.begin()).await?;
        let mut polling = self.begin(pull, source, &position);
        let mut request = Some(polling.first()?);
        while let Some(next) = request {
            let page = self.page(&mut polling, next, puller, source).await?;
            for _ in 0..page.oversized {
                puller.refuse_item(source);
            }
            let position = matches!(page.next, Ok(None)).then(|| pull.start.reached(polling.reached.to_string()));
            puller.take(source, page.items, CONCURRENCY, position).await?;
            request = page.next?;
        }
        source.tally.count(|tally| tally.last_success = Some(unix_ms()));
        Ok(self.interval.saturating_sub(started.elapsed()))
    }

    /// Asks for a page until it comes, or that was tried often enough: what came before it need not come again.
    async fn page(
        &self,
        polling: &mut Polling<'_>,
        request: Request,
        puller: &Puller,
        source: &Source,
    ) -> Result<Page, Setback> {
        let mut pauses = Pauses::new();
        loop {
            match polling.page(request.clone()).await {
                // A server that asks to be left alone for long is left alone.
                Err(setback) if pauses.failures < self.retries && setback.wait.is_none_or(|wait| wait <= PAUSE_MAX) => {
                    let pause = pauses.next().max(setback.wait.unwrap_or_default());
                    puller.note_setback(source, &setback, pause);
                    tokio::time::sleep(pause).await;
                }
                result => return result,
            }
        }
    }

    /// A poll from where the source was read up to.
    pub(super) fn begin<'p>(&'p self, pull: &'p Pull, source: &Source, position: &str) -> Polling<'p> {
        let began = unix_ms();
        // The clock may have been set back since.
        let last = position.parse().unwrap_or(began).min(began);
        let since = last.saturating_sub(self.overlap.as_millis() as i64).max(0);
        let payload_bytes_max = source.settings.payload_bytes_max;
        let pages = HashSet::new();
        Polling { poll: self, endpoint: &pull.endpoint, since, began, reached: began, pages, payload_bytes_max }
    }
}

impl Polling<'_> {
    /// What to ask for the first page.
    pub fn first(&self) -> Result<Request, Failure> {
        match &self.poll.query {
            Query::Graphql(query) => Ok(self.graphql(query, None)),
            Query::Rest { url, .. } => {
                let url = url.at(self.since).parse::<Url>();
                url.map(Endpoint::get).map_err(|error| Failure::from(anyhow!("`url` is no URL: {error}")))
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

    /// Asks for a page.
    pub async fn page(&mut self, request: Request) -> Result<Page, Setback> {
        let (asked, url) = (Instant::now(), request.url.clone());
        let response = self.endpoint.send(request).await?;
        self.reached = self.reached.min(server_time(&response, asked.elapsed()).unwrap_or(self.began));
        let is_empty = response.status() == StatusCode::NO_CONTENT;
        let link = next_link(response.headers());
        let document = self.endpoint.page(response).await?;
        let wrong = |error: anyhow::Error| Failure::new(Code::Answer, format!("the server's answer: {error:#}"));
        let is_graphql = matches!(self.poll.query, Query::Graphql(_));
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
        // Some name a next page for ever.
        let next = next.filter(|next| !found.is_empty() || !is_known(next));
        let next = next.map(|next| self.after(&url, next)).transpose();
        Ok(Page { items, oversized, next })
    }

    fn after(&mut self, url: &Url, next: String) -> Result<Request, Failure> {
        let wrong = |text: &str| Err(Failure::new(Code::Answer, text));
        if next.len() > NEXT_BYTES_MAX {
            return wrong("what names the next page is longer than 8 KiB");
        }
        if self.pages.len() == PAGES_MAX {
            return wrong("there are more than 10000 pages; ask for more items at once, or for fewer in all");
        }
        if !self.pages.insert(digest(&next)) {
            return wrong("the server names a page that it has named before as the next");
        }
        match &self.poll.query {
            Query::Graphql(query) => Ok(self.graphql(query, Some(&next))),
            Query::Rest { next_parameter: Some(parameter), .. } => {
                let others: Vec<(String, String)> =
                    url.query_pairs().into_owned().filter(|(name, _)| name != parameter).collect();
                let mut url = url.clone();
                url.query_pairs_mut().clear().extend_pairs(others).append_pair(parameter, &next);
                Ok(Endpoint::get(url))
            }
            Query::Rest { next_parameter: None, .. } => {
                url.join(&next).map_or_else(|_| wrong("the next page is no URL"), |url| Ok(Endpoint::get(url)))
            }
        }
    }

    fn item(&self, raw: &RawValue, index: usize) -> Item {
        let body = raw.get();
        let digest = match self.poll.ignore_duplicates {
            true => digest(body),
            // What another poll reads is another item.
            false => digest(&format!("{} {} {index}", self.began, self.pages.len())),
        };
        Item { body: body.to_owned().into(), context: Vec::new(), identity: String::new(), digest }
    }
}

/// When the server began to answer by its own clock, which items are stamped with: it may go after the host's. Answers out
/// of a cache have the time of another one.
fn server_time(response: &Response, took: Duration) -> Option<i64> {
    let headers = response.headers();
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let date_ms = date.duration_since(UNIX_EPOCH).ok()?.as_millis() as i64;
    let is_believed = !headers.contains_key(AGE) && date_ms > unix_ms() - BEHIND_MS_MAX;
    is_believed.then_some(date_ms - took.as_millis() as i64)
}

/// A GraphQL answer is a success when it has no errors.
fn refuse_errors(document: &[u8], endpoint: &Endpoint) -> Result<()> {
    let pointer = |names: &str| names.parse::<Pointer>().map_err(anyhow::Error::msg);
    let Some(errors) = pointer("/errors")?.find(document)? else { return Ok(()) };
    if errors.get() == "[]" {
        return Ok(());
    }
    let message = pointer("/errors/0/message")?.find(document)?.map(text).unwrap_or_default();
    bail!("GraphQL error: {}", endpoint.shown(&message).escape_debug().take(ERROR_CHARS_MAX).collect::<String>())
}

/// The `next` of a `Link` header ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)).
fn next_link(headers: &HeaderMap) -> Option<String> {
    headers.get_all(LINK).iter().find_map(|value| next_of_links(&String::from_utf8_lossy(value.as_bytes())))
}

fn next_of_links(mut links: &str) -> Option<String> {
    while let Some((_, rest)) = links.split_once('<') {
        let (url, rest) = rest.split_once('>')?;
        let end = rest.find(unquoted(','));
        let (parameters, rest) = rest.split_at(end.unwrap_or(rest.len()));
        if is_next(parameters) {
            return Some(url.trim().to_owned());
        }
        links = rest;
    }
    None
}

/// Whether one of the parameters of a link is `rel=next`.
fn is_next(parameters: &str) -> bool {
    let mut pairs = parameters.split(unquoted(';')).filter_map(|part| part.split_once('='));
    pairs.any(|(name, value)| {
        let mut relations = value.trim().trim_matches('"').split_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

/// Whether characters, one after the other, are this one outside of quotes.
fn unquoted(separator: char) -> impl FnMut(char) -> bool {
    let mut is_quoted = false;
    move |char| {
        is_quoted ^= char == '"';
        char == separator && !is_quoted
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// A text without its quotes, or anything else as it is written.
fn text(raw: &RawValue) -> String {
    match serde_json::from_str(raw.get()) {
        Ok(Value::String(text)) => text,
        Ok(Value::Bool(false)) | Err(_) => String::new(),
        Ok(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::next_of_links;

    #[test]
    fn the_next_link_is_found() {
        for (links, expected) in [
            ("</items?page=2>; rel=\"next\"", Some("/items?page=2")),
            ("</items?fields=a,b;c>; rel=next", Some("/items?fields=a,b;c")),
            ("<a>; rel=first, <b>; title=\"x, <y>; rel=next\"; REL = \"last Next\", <c>; rel=last", Some("b")),
            ("<a>;rel=\"prev next\"", Some("a")),
            ("<a>; title=\"rel=next; rel=next\"; rel=last", None),
            ("<a>; rel=nextish", None),
            ("<a; rel=next", None),
            ("", None),
        ] {
            assert_eq!(next_of_links(links).as_deref(), expected, "{links}");
        }
    }
}
