//! Reads sources once: one poll, or one connection to a stream.

use super::backoff::Backoff;
use super::follow::{read_details, read_files};
use super::followed::Followed;
use super::intake::Intake;
use super::join::store_items;
use super::opencti::OpenctiStream;
use super::poll::{Follow, Poll};
use super::poll_run::PollRun;
use super::polled_page::PolledPage;
use super::read_error::ReadError;
use super::read_page::{CONCURRENCY, read_page, refuse_oversized};
use super::settings::Pull;
use crate::source::Source;
use crate::traces::Span;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    let mut followed = Followed::default();
    let mut current = Some(read_first_page(&mut run, intake, source).await?);
    while let Some((page, span)) = current.take() {
        refuse_oversized(&page, intake, source);
        if page.without_file > 0 {
            intake.record_without_file(source, page.without_file);
            followed.add_requested(page.without_file);
        }
        match &poll.follow {
            Some(Follow::Detail(detail)) => {
                read_details(detail, &mut run, page.ids, &mut followed, intake, source).await?;
            }
            Some(Follow::Files(_)) => read_files(&mut run, page.files, &mut followed, intake, source).await?,
            None => {}
        }
        let mut items = page.items;
        if !poll.details.is_empty() {
            let listed = std::mem::take(&mut items);
            store_items(&mut run, listed, &mut followed, &span.trace(), intake, source).await?;
        }
        let is_last = page.next.is_none() && page.next_failure.is_none();
        let position = run.position_after(is_last).filter(|_| page.next_failure.is_none());
        if position.is_some() {
            std::mem::take(&mut followed).check()?;
        }
        let position = position.map(|position| pull.start.reached(position));
        intake.accept(source, items, CONCURRENCY, position, &span.trace()).await?;
        page.next_failure.map_or(Ok(()), Err)?;
        if let Some(operations) = poll.operations() {
            operations.set_stored(true);
        }
        if let Some(next) = page.next {
            current = Some(read_page(&mut run, next, intake, source).await?);
        }
    }
    if let Some(lost_since) = run.times.lost_since {
        intake.record_lost(source, lost_since, run.times.since);
    }
    source.tally.count(|tally| tally.last_success = Some(clock.now_ms()));
    Ok(if run.is_behind() { Duration::ZERO } else { poll.interval.saturating_sub(started.elapsed()) })
}

/// Requests the first page: at the position that the server named, or at a time if the server does not know it any more.
async fn read_first_page(
    run: &mut PollRun<'_>,
    intake: &Intake,
    source: &Source,
) -> Result<(PolledPage, Span), ReadError> {
    let request = run.first_request()?;
    let refused = match read_page(run, request, intake, source).await {
        Err(error) if run.continues() && error.is_about_the_request() => error,
        read => return read,
    };
    intake.record_forgotten(source, &refused);
    run.forget_cursor();
    let request = run.first_request()?;
    read_page(run, request, intake, source).await
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
