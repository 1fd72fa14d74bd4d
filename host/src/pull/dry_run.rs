//! What reading a source would do now: it is read for real, and nothing of it is stored.

use super::{Item, OpenctiStream, Poll, Pull, Puller, Reader, Setback};
use crate::dry_run::DryRun;
use crate::source::Source;
use crate::verify::Verified;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// New items that are mapped.
const SHOWN_MAX: usize = 10;
/// Items that are looked for in the store.
const KNOWN_MAX: usize = 100;
/// How long to wait for an event of a stream.
const PATIENCE: Duration = Duration::from_secs(6);

/// What was read, and how to say so.
struct Sample {
    items: Vec<Item>,
    said: String,
}

impl Puller {
    /// The next turn of reading a source without its effects: its first page, or the next events of its stream.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn dry_run(&self, source: &Arc<Source>, pull: &Pull) -> anyhow::Result<DryRun> {
        let stored = self.pipeline.store.cursors().await?.remove(&*source.name);
        let position = stored.unwrap_or_else(|| pull.start.begin().position);
        let (stage, read) = match &pull.reader {
            Reader::Poll(poll) => ("poll", poll.sample(source, pull, &position).await),
            Reader::Opencti(stream) => ("stream", stream.sample(source, pull, &position).await),
        };
        let mut dry_run = DryRun::default();
        let Sample { items, said } = match read {
            Ok(sample) => sample,
            Err(Setback { failure, .. }) => {
                dry_run.failed(stage, failure.to_string());
                return Ok(dry_run);
            }
        };
        dry_run.passed(stage, said);
        let (mut shown, mut known) = (0, 0);
        let count = items.len();
        for item in items.into_iter().take(KNOWN_MAX) {
            let event = self.event_of(source, item);
            if self.pipeline.store.is_repeat(event.clone()).await? {
                known += 1;
            } else if shown < SHOWN_MAX {
                shown += 1;
                dry_run.add(
                    self.pipeline.dry_run_verified(Verified::trusted(event, source.clone()), DryRun::default()).await?,
                );
            }
        }
        if count > 0 {
            let others = count - known - shown;
            dry_run.stage("items", format!("{shown} tried, {known} known already, {others} more would follow"));
        }
        Ok(dry_run)
    }
}

impl Poll {
    async fn sample(&self, source: &Source, pull: &Pull, position: &str) -> Result<Sample, Setback> {
        let mut polling = self.begin(pull, source, position);
        let request = polling.first()?;
        let since = time(polling.since);
        let page = polling.page(request).await?;
        let oversized = match page.oversized {
            0 => String::new(),
            count => format!(", {count} larger than `payload_mib` and left out"),
        };
        let next = if page.next?.is_some() { ", and there is a next page" } else { "" };
        Ok(Sample { said: format!("{} items since {since}{oversized}{next}", page.items.len()), items: page.items })
    }
}

impl OpenctiStream {
    async fn sample(&self, source: &Source, pull: &Pull, position: &str) -> Result<Sample, Setback> {
        let mut reading = self.connect(pull, position, source.settings.payload_bytes_max).await?;
        let end = Instant::now() + PATIENCE;
        let (mut items, mut signs) = (Vec::new(), BTreeSet::new());
        while items.is_empty()
            && let Ok(batch) = timeout_at(end, reading.batch()).await
            && let Some(batch) = batch?
        {
            items = batch.items;
            signs.extend(batch.signs);
        }
        let said = match items.len() {
            0 => format!("connected at {position}; nothing came in {} s", PATIENCE.as_secs()),
            count => format!("connected at {position}; {count} events came"),
        };
        let signs = if signs.is_empty() { String::new() } else { format!(" ({})", Vec::from_iter(signs).join(", ")) };
        Ok(Sample { items, said: said + &signs })
    }
}

fn time(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).map(|time| time.to_string()).unwrap_or_default()
}
