//! Requests what the items of a list name: their details, or files whose lines are the items.

use super::detail::Detail;
use super::files::{FileLine, FileLines};
use super::intake::Intake;
use super::item::{BATCH_BYTES, BATCH_ITEMS};
use super::join::store_items;
use super::poll_run::PollRun;
use super::polled_page::{Missing, PollRequest, PolledPage, Purpose};
use super::read_error::ReadError;
use super::read_page::{CONCURRENCY, read_page, refuse_oversized};
use crate::source::Source;
use crate::traces::Trace;
use hookmill_connection::{Code, Failure};
use reqwest::Url;
use serde_json::Value;
use std::sync::Arc;

/// The number of pages of one item's details.
const DETAIL_PAGES_MAX: usize = 100;

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

/// Requests and stores the details of these items. Details that the server does not have any more, or refuses, are passed
/// over, which is recorded.
pub(super) async fn read_details(
    detail: &Detail,
    run: &mut PollRun<'_>,
    ids: Vec<Value>,
    followed: &mut Followed,
    intake: &Intake,
    source: &Arc<Source>,
) -> Result<(), ReadError> {
    followed.add_requested(ids.len());
    // The next ids are at the end.
    let mut batches: Vec<&[Value]> = ids.chunks(detail.batch).rev().collect();
    while let Some(batch) = batches.pop() {
        let request = run.detail_request(detail, batch, Purpose::Detail)?;
        let (mut page, span) = read_page(run, request.clone(), intake, source).await?;
        if !page.document.is_empty() {
            let document = std::mem::take(&mut page.document);
            let whole = with_further_pages(detail, run, request, document, intake, source).await?;
            page = run.items_of_details(detail, &whole)?;
        }
        refuse_oversized(&page, intake, source);
        let found = page.items.len() + page.oversized;
        followed.add_found(found);
        store_items(run, page.items, followed, &span.trace(), intake, source).await?;
        match (page.missing, batch) {
            // One of them is the reason: the others are requested without it.
            (Some(_), [_, _, ..]) => {
                let (first, second) = batch.split_at(batch.len() / 2);
                batches.extend([second, first]);
            }
            (Some(Missing::Refused(failure)), [id]) => {
                intake.refuse_detail(source, id, &failure);
                followed.refused = Some(failure);
            }
            _ if found < batch.len() => intake.record_missing(source, batch, found),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the details of one item with the elements of its further pages, as far as an item may be large.
pub(super) async fn with_further_pages(
    detail: &Detail,
    run: &mut PollRun<'_>,
    mut request: PollRequest,
    mut whole: Vec<u8>,
    intake: &Intake,
    source: &Arc<Source>,
) -> Result<Vec<u8>, ReadError> {
    let mut last = whole.clone();
    for _ in 1..DETAIL_PAGES_MAX {
        let Some(next) = run.further_details(detail, &request, &last)? else { return Ok(whole) };
        let (PolledPage { document, missing, .. }, _) = read_page(run, next.clone(), intake, source).await?;
        let joined = if missing.is_none() { run.joined_details(detail, &whole, &document)? } else { whole.clone() };
        if missing.is_some() || joined.len() > source.settings.payload_bytes_max {
            intake.record_cut(source);
            return Ok(whole);
        }
        (request, last, whole) = (next, document, joined);
    }
    intake.record_cut(source);
    Ok(whole)
}

/// Fetches these files and stores their lines. Files that the server does not have any more are passed over, which is
/// recorded.
pub(super) async fn read_files(
    run: &mut PollRun<'_>,
    files: Vec<Url>,
    followed: &mut Followed,
    intake: &Intake,
    source: &Arc<Source>,
) -> Result<(), ReadError> {
    followed.add_requested(files.len());
    for url in files {
        let shown = format!("{}{}", url.host_str().unwrap_or_default(), url.path());
        let (page, span) = read_page(run, run.file_request(url), intake, source).await?;
        match page.missing {
            Some(Missing::Gone) => intake.record_missing_file(source, &shown, "is gone"),
            Some(Missing::Refused(failure)) => {
                intake.record_missing_file(source, &shown, &format!("is left out: {}", failure.text))
            }
            None => {
                followed.add_found(1);
                let mut lines = run.lines(page.document);
                store_lines(run, &mut lines, &shown, &span.trace(), intake, source).await?;
            }
        }
    }
    Ok(())
}

/// Stores the lines of a file in batches. Of a damaged file, what can be read is stored.
async fn store_lines(
    run: &mut PollRun<'_>,
    lines: &mut FileLines,
    shown: &str,
    trace: &Trace,
    intake: &Intake,
    source: &Arc<Source>,
) -> Result<(), ReadError> {
    let mut is_last = false;
    while !is_last {
        let (mut items, mut bytes) = (Vec::new(), 0);
        while items.len() < BATCH_ITEMS && bytes < BATCH_BYTES && !is_last {
            match lines.next() {
                Ok(Some(FileLine::Text(line))) => {
                    bytes += line.len();
                    items.push(run.item(line));
                }
                Ok(Some(FileLine::Oversized)) => intake.refuse_item(source),
                Ok(None) => is_last = true,
                Err(error) => {
                    intake.record_missing_file(source, shown, &format!("cannot be read to its end: {error}"));
                    is_last = true;
                }
            }
        }
        intake.accept(source, items, CONCURRENCY, None, trace).await?;
    }
    Ok(())
}
