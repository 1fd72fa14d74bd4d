//! Reads sources once: one poll, or one connection to a stream.

use super::backoff::{Backoff, WAIT_MAX};
use super::detail::Detail;
use super::intake::Intake;
use super::opencti::OpenctiStream;
use super::poll::{Poll, PollRequest, PollRun, PolledPage};
use super::read_error::ReadError;
use super::settings::Pull;
use crate::source::Source;
use crate::traces::Span;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The number of items of a poll that are mapped at the same time.
const CONCURRENCY: usize = 10;

/// Reads and stores all new items. Returns the time until the next poll.
pub(super) async fn read_poll(
    poll: &Poll,
    intake: &Intake,
    source: &Arc<Source>,
    pull: &Pull,
) -> Result<Duration, ReadError> {
    let started = Instant::now();
    let (store, clock) = (&intake.store, intake.store.clock());
    let position = store.cursor(source.name.clone(), pull.start.position(clock.now_ms())).await?;
    let mut run = poll.begin(&pull.endpoint, source.settings.payload_bytes_max, &position, clock);
    let mut request = Some(run.first_request()?);
    while let Some(next) = request {
        let (page, span) = read_page(poll, &mut run, next, intake, source).await?;
        refuse_oversized(&page, intake, source);
        if let Some(detail) = &poll.detail {
            read_details(poll, detail, &mut run, page.ids, intake, source).await?;
        }
        let is_last = page.next.is_none() && page.next_failure.is_none();
        let position = is_last.then(|| pull.start.reached(run.reached.to_string()));
        intake.accept(source, page.items, CONCURRENCY, position, &span.trace()).await?;
        page.next_failure.map_or(Ok(()), Err)?;
        request = page.next;
    }
    source.tally.count(|tally| tally.last_success = Some(clock.now_ms()));
    Ok(poll.interval.saturating_sub(started.elapsed()))
}

/// Requests and stores the details of these items. Details that the server does not have any more are passed over, which
/// is recorded.
async fn read_details(
    poll: &Poll,
    detail: &Detail,
    run: &mut PollRun<'_>,
    ids: Vec<Value>,
    intake: &Intake,
    source: &Arc<Source>,
) -> Result<(), ReadError> {
    // The next ids are at the end.
    let mut batches: Vec<&[Value]> = ids.chunks(detail.batch).rev().collect();
    while let Some(batch) = batches.pop() {
        let request = run.detail_request(detail, batch)?;
        let (page, span) = read_page(poll, run, request, intake, source).await?;
        refuse_oversized(&page, intake, source);
        let found = page.items.len() + page.oversized;
        intake.accept(source, page.items, CONCURRENCY, None, &span.trace()).await?;
        if page.is_gone && batch.len() > 1 {
            // One of them is gone: the others are requested without it.
            let (first, second) = batch.split_at(batch.len() / 2);
            batches.extend([second, first]);
        } else if found < batch.len() {
            intake.record_missing(source, batch, found);
        }
    }
    Ok(())
}

fn refuse_oversized(page: &PolledPage, intake: &Intake, source: &Source) {
    (0..page.oversized).for_each(|_| intake.refuse_item(source));
}

/// Requests a page, and retries it alone, so that the pages before it are not read again. Returns the page and the span of
/// its successful request, to which its items belong.
async fn read_page(
    poll: &Poll,
    run: &mut PollRun<'_>,
    request: PollRequest,
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
                if (error.is_busy() || backoff.failures() < poll.retries)
                    && error.retry_after.is_none_or(|wait| wait <= WAIT_MAX) =>
            {
                span.fail(error.failure.code.as_str());
                drop(span);
                let wait = backoff.after(&error);
                intake.record_error(source, &error, wait);
                tokio::time::sleep(wait).await;
            }
            Err(error) => {
                span.fail(error.failure.code.as_str());
                return Err(error);
            }
        }
    }
}

/// Reads a stream to its end and stores its events.
pub(super) async fn read_stream(
    stream: &OpenctiStream,
    intake: &Intake,
    source: &Arc<Source>,
    pull: &Pull,
    backoff: &mut Backoff,
) -> Result<(), ReadError> {
    let (store, clock) = (&intake.store, intake.store.clock());
    let position = store.cursor(source.name.clone(), pull.start.position(clock.now_ms())).await?;
    let mut connected = stream.connect(&pull.endpoint, &position, source.settings.payload_bytes_max, clock).await?;
    let mut stored = connected.done;
    while let Some(batch) = connected.batch().await? {
        for _ in 0..batch.oversized {
            intake.refuse_item(source);
        }
        let position = (connected.done > stored).then(|| pull.start.reached(connected.done.to_string()));
        stored = connected.done;
        let mut span = intake.pipeline.pull_span(source);
        span.set("hookmill.pull.items", batch.items.len() as i64);
        intake.accept(source, batch.items, stream.consumer_count, position, &span.trace()).await?;
        source.tally.count(|tally| tally.last_success = Some(clock.now_ms()));
        backoff.succeed(connected.server_wait());
    }
    Ok(())
}
