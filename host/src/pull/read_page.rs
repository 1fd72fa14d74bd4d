//! Requests one page of a poll, and again if that fails.

use super::backoff::{Backoff, WAIT_MAX};
use super::intake::Intake;
use super::poll_run::PollRun;
use super::polled_page::{PollRequest, PolledPage};
use super::read_error::ReadError;
use crate::source::Source;
use crate::traces::Span;

/// The number of items of a poll that are mapped at the same time.
pub(super) const CONCURRENCY: usize = 10;

/// Counts the items of a page that are too large.
pub(super) fn refuse_oversized(page: &PolledPage, intake: &Intake, source: &Source) {
    (0..page.oversized).for_each(|_| intake.refuse_item(source));
}

/// Requests a page, and retries it alone, so that the pages before it are not read again. Returns the page and the span of
/// its successful request, to which its items belong.
pub(super) async fn read_page(
    run: &mut PollRun<'_>,
    mut request: PollRequest,
    intake: &Intake,
    source: &Source,
) -> Result<(PolledPage, Span), ReadError> {
    let mut backoff = Backoff::new();
    loop {
        let mut span = intake.pipeline.pull_span(source);
        match run.page(request.clone(), &span.trace()).await {
            Ok(page) => {
                span.set("hookmill.pull.items", page.items.len() as i64);
                return Ok((page, span));
            }
            // A long `Retry-After` ends the poll. A busy server's own wait is none of the retries, and neither is the wait
            // after a 429: a poll with more requests than the server takes in a while would never end.
            Err(error)
                if (error.is_busy() || backoff.failures() < run.poll.retries)
                    && error.retry_after.is_none_or(|wait| wait <= WAIT_MAX) =>
            {
                span.fail(error.failure.code.as_str());
                drop(span);
                let wait = backoff.after(&error);
                intake.record_error(source, &error, wait);
                tokio::time::sleep(wait).await;
                request = run.repeated(request)?;
            }
            Err(error) => {
                span.fail(error.failure.code.as_str());
                return Err(error);
            }
        }
    }
}
