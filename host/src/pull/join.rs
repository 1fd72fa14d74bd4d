//! Puts details together: the pages of one answer, and an item with its details.

use super::detail::{Detail, JoinedDetail};
use super::followed::Followed;
use super::intake::Intake;
use super::item::Item;
use super::poll_run::PollRun;
use super::polled_page::{PollRequest, PolledPage};
use super::read_error::ReadError;
use super::read_page::{CONCURRENCY, read_page};
use crate::source::Source;
use crate::traces::Trace;
use bytes::Bytes;
use std::sync::Arc;

/// The number of pages of one item's details.
const DETAIL_PAGES_MAX: usize = 100;

/// Stores items, each with its details as soon as it has them.
pub(super) async fn store_items(
    run: &mut PollRun<'_>,
    items: Vec<Item>,
    followed: &mut Followed,
    trace: &Trace,
    intake: &Intake,
    source: &Arc<Source>,
) -> Result<(), ReadError> {
    if run.poll.details.is_empty() {
        return intake.accept(source, items, CONCURRENCY, None, trace).await;
    }
    for Item { mut body, .. } in items {
        for joined in &run.poll.details {
            followed.add_requested(1);
            match item_with_details(run, &body, joined, intake, source).await? {
                Ok(whole) => {
                    followed.add_found(1);
                    body = whole;
                }
                Err(reason) => intake.record_without_details(source, joined, &body, &reason),
            }
        }
        let item = run.item(body);
        intake.accept(source, vec![item], CONCURRENCY, None, trace).await?;
    }
    Ok(())
}

/// Returns an item with its details, or the reason why it stays without them.
async fn item_with_details(
    run: &mut PollRun<'_>,
    item: &Bytes,
    joined: &JoinedDetail,
    intake: &Intake,
    source: &Arc<Source>,
) -> Result<Result<Bytes, String>, ReadError> {
    let request = match run.joined_request(item, joined)? {
        Ok(request) => request,
        Err(reason) => return Ok(Err(reason)),
    };
    let (page, _) = read_page(run, request.clone(), intake, source).await?;
    if let Some(missing) = page.missing {
        return Ok(Err(missing.to_string()));
    }
    let whole = with_further_pages(&joined.detail, run, request, page.document, intake, source).await?;
    Ok(run.item_with(item, joined, &whole))
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
