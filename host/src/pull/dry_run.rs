//! Dry runs of reading a source: the server is read, and nothing is stored.

use super::detail::JoinedDetail;
use super::files::FileLine;
use super::intake::event_of;
use super::item::Item;
use super::opencti::OpenctiStream;
use super::poll::{Follow, Poll};
use super::poll_run::PollRun;
use super::polled_page::Purpose;
use super::puller::Puller;
use super::read_error::ReadError;
use super::settings::{Pull, PullReader};
use crate::pipeline::DryRun;
use crate::source::Source;
use crate::traces::Trace;
use crate::verify::Verified;
use bytes::Bytes;
use hookmill_incident::Clock;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The maximum number of new items that are mapped.
const MAPPED_MAX: usize = 10;
/// The maximum number of items that are looked up in the store.
const LOOKED_UP_MAX: usize = 100;
/// The longest wait for an event of a stream.
const STREAM_WAIT: Duration = Duration::from_secs(6);

/// The items of one read, with a summary.
struct ReadSample {
    items: Vec<Item>,
    summary: String,
}

impl Puller {
    /// Reads the first page of a source, or the next events of its stream, and maps new items without storing them.
    ///
    /// # Errors
    /// Returns an error if the store cannot be read.
    pub async fn dry_run(&self, source: &Arc<Source>, pull: &Pull) -> anyhow::Result<DryRun> {
        let stored = self.store.cursors().await?.remove(&*source.name);
        let clock = self.store.clock();
        let position = stored.unwrap_or_else(|| pull.start.position(clock.now_ms()).position);
        let (stage, read) = match &pull.reader {
            PullReader::Poll(poll) => ("poll", poll.sample(source, pull, &position, clock).await),
            PullReader::Opencti(stream) => ("stream", stream.sample(source, pull, &position, clock).await),
        };
        let mut dry_run = DryRun::default();
        let ReadSample { items, summary } = match read {
            Ok(sample) => sample,
            Err(ReadError { failure, .. }) => {
                dry_run.failed(stage, failure.to_string());
                return Ok(dry_run);
            }
        };
        dry_run.passed(stage, summary);
        let (mut mapped, mut known) = (0, 0);
        let count = items.len();
        for item in items.into_iter().take(LOOKED_UP_MAX) {
            let event = event_of(&self.store, source, item);
            if self.store.is_repeat(event.clone()).await? {
                known += 1;
            } else if mapped < MAPPED_MAX {
                mapped += 1;
                let verified = Verified::trusted(event, source.clone());
                dry_run.add(self.pipeline.dry_run_verified(verified, DryRun::default()).await?);
            }
        }
        if count > 0 {
            let others = count - known - mapped;
            dry_run.stage("items", format!("{mapped} tried, {known} known already, {others} more would follow"));
        }
        Ok(dry_run)
    }
}

impl Poll {
    async fn sample(
        &self,
        source: &Source,
        pull: &Pull,
        position: &str,
        clock: &Clock,
    ) -> Result<ReadSample, ReadError> {
        let mut run = self.begin(&pull.endpoint, source.settings.payload_bytes_max, position, clock);
        let request = run.first_request()?;
        // A position that the server keeps stays where it is.
        let request = run.repeated(request)?;
        let since = time(run.times.since);
        let mut page = run.page(request, &Trace::default()).await?;
        let next = if page.next.is_some() { ", and there is a next page" } else { "" };
        page.next_failure.map_or(Ok(()), Err)?;
        let mut listed = page.items.len().to_string();
        match &self.follow {
            Some(Follow::Detail(detail)) if !page.ids.is_empty() => {
                let batch = &page.ids[..page.ids.len().min(detail.batch).min(MAPPED_MAX)];
                listed = format!("{} ids, of which the first {} were requested, and", page.ids.len(), batch.len());
                page = run.page(run.detail_request(detail, batch, Purpose::Detail)?, &Trace::default()).await?;
                listed = format!("{listed} {}", page.items.len());
            }
            Some(Follow::Files(_)) if !page.files.is_empty() => {
                let count = page.files.len();
                page = run.page(run.file_request(page.files.swap_remove(0)), &Trace::default()).await?;
                let mut lines = run.lines(std::mem::take(&mut page.document));
                while let Ok(Some(line)) = lines.next() {
                    match line {
                        FileLine::Text(_) if page.items.len() == LOOKED_UP_MAX => break,
                        FileLine::Text(text) => page.items.push(run.item(text)),
                        FileLine::Oversized => page.oversized += 1,
                    }
                }
                listed = format!("{count} files, of which the first was fetched, and {}", page.items.len());
            }
            _ => {}
        }
        let mut without = Vec::new();
        if !self.details.is_empty() && page.items.len() > MAPPED_MAX {
            listed = format!("{listed} items, of which the first {MAPPED_MAX} were completed, and {MAPPED_MAX}");
            page.items.truncate(MAPPED_MAX);
        }
        for item in &mut page.items {
            for joined in &self.details {
                match run.sample_details(&item.body, joined).await? {
                    Ok(body) => *item = run.item(body),
                    Err(reason) => without.push(reason),
                }
            }
        }
        let without = match without.first() {
            Some(reason) => format!(", {} times without details: {reason}", without.len()),
            None => String::new(),
        };
        let oversized = match page.oversized {
            0 => String::new(),
            count => format!(", {count} left out because they are larger than `payload_mib`"),
        };
        Ok(ReadSample { summary: format!("{listed} items since {since}{oversized}{without}{next}"), items: page.items })
    }
}

impl PollRun<'_> {
    /// Returns an item with the first page of its details, or the reason why it stays without them.
    async fn sample_details(&mut self, item: &[u8], joined: &JoinedDetail) -> Result<Result<Bytes, String>, ReadError> {
        let request = match self.joined_request(item, joined)? {
            Ok(request) => request,
            Err(reason) => return Ok(Err(reason)),
        };
        let page = self.page(request, &Trace::default()).await?;
        Ok(page
            .missing
            .map_or_else(|| self.item_with(item, joined, &page.document), |missing| Err(missing.to_string())))
    }
}

impl OpenctiStream {
    async fn sample(
        &self,
        source: &Source,
        pull: &Pull,
        position: &str,
        clock: &Clock,
    ) -> Result<ReadSample, ReadError> {
        let mut connection = self.connect(&pull.endpoint, position, source.settings.payload_bytes_max, clock).await?;
        let end = Instant::now() + STREAM_WAIT;
        let (mut items, mut names) = (Vec::new(), BTreeSet::new());
        while items.is_empty()
            && let Ok(batch) = timeout_at(end, connection.batch()).await
            && let Some(batch) = batch?
        {
            items = batch.items;
            names.extend(batch.connection_events);
        }
        let summary = match items.len() {
            0 => format!("connected at {position}; received nothing in {} s", STREAM_WAIT.as_secs()),
            count => format!("connected at {position}; received {count} events"),
        };
        let names = if names.is_empty() { String::new() } else { format!(" ({})", Vec::from_iter(names).join(", ")) };
        Ok(ReadSample { items, summary: summary + &names })
    }
}

fn time(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).map(|time| time.to_string()).unwrap_or_default()
}
