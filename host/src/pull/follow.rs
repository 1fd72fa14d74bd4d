//! Requests what the items of a list name: their details, or files whose lines are the items.

use super::detail::Detail;
use super::files::{FileLine, FileLines};
use super::followed::Followed;
use super::intake::Intake;
use super::item::{BATCH_BYTES, BATCH_ITEMS};
use super::join::{store_items, with_further_pages};
use super::poll_run::PollRun;
use super::polled_page::{Missing, Purpose};
use super::read_error::ReadError;
use super::read_page::{CONCURRENCY, read_page, refuse_oversized};
use crate::source::Source;
use crate::traces::Trace;
use reqwest::Url;
use serde_json::Value;
use std::sync::Arc;

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
                followed.set_refused(failure);
            }
            _ if found < batch.len() => intake.record_missing(source, batch, found),
            _ => {}
        }
    }
    Ok(())
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
