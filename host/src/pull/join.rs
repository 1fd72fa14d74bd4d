//! Puts details into the items of a list.

use super::detail::JoinedDetail;
use super::follow::{Followed, with_further_pages};
use super::intake::Intake;
use super::item::Item;
use super::poll_run::PollRun;
use super::read_error::ReadError;
use super::read_page::{CONCURRENCY, read_page};
use crate::source::Source;
use crate::traces::Trace;
use bytes::Bytes;
use std::sync::Arc;

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
