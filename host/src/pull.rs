//! Sources that the host reads by itself, beside those that post to it: it connects, takes what is new and hands it to the
//! pipeline. How far a source was read is stored in the transaction that stores what was read.

mod dry_run;
mod endpoint;
mod items;
mod opencti;
mod poll;
mod since;
mod sse;

pub use endpoint::Endpoint;
pub use items::Pointer;
pub use opencti::OpenctiStream;
pub use poll::{Poll, Query};
pub use since::{SinceText, TimeFormat};

use crate::loaded::Loaded;
use crate::pipeline::Pipeline;
use crate::source::Source;
use crate::verify::Verified;
use bytes::Bytes;
use hookmill_connection::{Code, Failure, with_jitter};
use hookmill_incident::timestamp::unix_ms;
use hookmill_incident::{Event, NamedValue, RepeatKey};
use hookmill_store::{Cursor, LastError, StoreError};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, error, info, warn};

/// Items that are stored in one transaction.
const BATCH_ITEMS: usize = 64;
/// As many bytes are read ahead for one batch.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How long to wait after a first failure, and before a stream that ended is connected to again.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
/// Within these a server may say how long.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Counts of milliseconds before 1973 are none.
const START_MS_MIN: i64 = 100_000_000_000;
/// How long to wait after a defect.
const DEFECT_PAUSE: Duration = Duration::from_secs(5);

/// How a source is read.
#[derive(Debug)]
pub struct Pull {
    /// Where.
    pub endpoint: Endpoint,
    /// Where it begins.
    pub start: Start,
    /// What is done there.
    pub reader: Reader,
}

/// What is done to read a source.
#[derive(Debug)]
pub enum Reader {
    /// `opencti-stream`.
    Opencti(OpenctiStream),
    /// `graphql-poll` and `http-poll`.
    Poll(Poll),
}

/// Where a source begins: the first time that it is read, and when this is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    text: String,
    /// Milliseconds since the Unix epoch and a number within them; none for now.
    at: Option<(i64, u64)>,
    is_stream: bool,
}

/// One payload that was read.
#[derive(Debug)]
struct Item {
    body: Bytes,
    context: Vec<NamedValue>,
    /// What the server calls it.
    identity: String,
    /// A digest of what a repeat of it has in common with it.
    digest: [u8; 32],
}

/// Why a source cannot be read now.
#[derive(Debug)]
struct Setback {
    failure: Failure,
    /// How long the server asks to be left alone.
    wait: Option<Duration>,
}

/// How long to wait after failures in a row.
#[derive(Debug)]
struct Pauses {
    first: Duration,
    failures: u32,
}

impl Start {
    /// `now`, `0` for all that there is, RFC 3339 or milliseconds since the Unix epoch; for a stream an id of it too. What
    /// is read from there is `of`.
    ///
    /// # Errors
    /// What is allowed.
    pub fn read(text: &str, of: &str, is_stream: bool) -> Result<Self, String> {
        let digits = |text: &str| text.parse().ok().filter(|ms| *ms == 0 || *ms >= START_MS_MIN);
        let at = match text.split_once('-') {
            _ if text == "now" => None,
            Some((ms, number)) if is_stream && digits(ms).is_some() => digits(ms).zip(number.parse().ok()),
            _ => {
                let time = || text.parse().ok().map(Timestamp::as_millisecond);
                digits(text).or_else(time).map(|ms| (ms, 0))
            }
        };
        if at.is_none() && text != "now" {
            let id = if is_stream { ", an id of the stream such as 1711633413527-0" } else { "" };
            return Err(format!("`{text}` is not `now`, 0, a time such as 2026-01-31T08:00:00Z{id} or a number of ms"));
        }
        Ok(Self { text: format!("{of} {text}"), at, is_stream })
    }

    /// Whether it is when the source is read for the first time.
    pub fn is_now(&self) -> bool {
        self.at.is_none()
    }

    fn begin(&self) -> Cursor {
        let (ms, number) = self.at.unwrap_or((unix_ms(), 0));
        self.reached(if self.is_stream { format!("{ms}-{number}") } else { ms.to_string() })
    }

    fn reached(&self, at: String) -> Cursor {
        Cursor { start: self.text.clone(), position: at }
    }
}

impl From<Failure> for Setback {
    fn from(failure: Failure) -> Self {
        Self { failure, wait: None }
    }
}

impl From<StoreError> for Setback {
    fn from(error: StoreError) -> Self {
        Failure::new(Code::Store, error.to_string()).into()
    }
}

impl Pauses {
    fn new() -> Self {
        Self { first: PAUSE, failures: 0 }
    }

    fn succeed(&mut self, retry: Option<Duration>) {
        self.failures = 0;
        self.first = retry.map_or(self.first, |wait| wait.clamp(RETRY_MIN, RETRY_MAX));
    }

    fn next(&mut self) -> Duration {
        let pause = self.first.saturating_mul(2_u32.saturating_pow(self.failures)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        with_jitter(pause)
    }
}

/// How each source is read that the host reads, by the source's name.
pub type Pulls = BTreeMap<Arc<str>, Arc<Pull>>;

/// Reads sources.
#[derive(Debug)]
pub struct Puller {
    pipeline: Arc<Pipeline>,
    loaded: Arc<Loaded>,
    pulls: watch::Sender<Arc<Pulls>>,
}

impl Puller {
    /// Reads nothing until [`Puller::replace`] says what.
    pub fn new(pipeline: Arc<Pipeline>, loaded: Arc<Loaded>) -> Self {
        Self { pipeline, loaded, pulls: watch::Sender::default() }
    }

    /// Reads these sources from now on. They are published already.
    pub fn replace(&self, pulls: Pulls) {
        self.pulls.send_replace(Arc::new(pulls));
    }

    /// Returns how a source is read.
    pub fn pull_of(&self, source: &str) -> Option<Arc<Pull>> {
        self.pulls.borrow().get(source).cloned()
    }

    /// Reads every source that is to be read, until `stopped` is set.
    pub async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut changes = self.pulls.subscribe();
        // Payloads that are read before their mapper is there would only wait for it.
        let mut plugins = self.loaded.watch();
        while !self.loaded.is_settled() {
            tokio::select! {
                _ = plugins.changed() => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
        }
        let mut tasks = JoinSet::new();
        let mut running: BTreeMap<Arc<str>, (Arc<Pull>, AbortHandle)> = BTreeMap::new();
        loop {
            let pulls = changes.borrow_and_update().clone();
            running.retain(|name, (pull, task)| {
                let stays = pulls.get(name).is_some_and(|now| Arc::ptr_eq(now, pull));
                if !stays {
                    task.abort();
                }
                stays
            });
            for (name, pull) in pulls.iter().filter(|(name, _)| !running.contains_key(*name)).collect::<Vec<_>>() {
                if let Some(source) = self.pipeline.sources.get(name) {
                    let task = tasks.spawn(self.clone().pull(source, pull.clone()));
                    running.insert(name.clone(), (pull.clone(), task));
                }
            }
            loop {
                let ended = tokio::select! {
                    _ = changes.changed() => break,
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                    Some(ended) = tasks.join_next() => ended,
                };
                if let Err(error) = ended
                    && error.is_panic()
                {
                    error!("a source is not read, and starts again in {} s: {error}", DEFECT_PAUSE.as_secs());
                    tokio::select! {
                        () = tokio::time::sleep(DEFECT_PAUSE) => {}
                        _ = stopped.wait_for(|stopped| *stopped) => return,
                    }
                    running.retain(|_, (_, task)| !task.is_finished());
                    break;
                }
            }
        }
    }

    /// Reads one source for ever.
    async fn pull(self: Arc<Self>, source: Arc<Source>, pull: Arc<Pull>) {
        let mut pauses = Pauses::new();
        loop {
            let read = match &pull.reader {
                Reader::Poll(poll) => poll.read(&self, &source, &pull).await.inspect(|_| pauses.succeed(None)),
                Reader::Opencti(stream) => {
                    let read = stream.read(&self, &source, &pull, &mut pauses).await;
                    read.map(|()| {
                        info!(source = %source.name, "the stream ended");
                        pauses.next()
                    })
                }
            };
            let wait = match read {
                Ok(wait) => wait,
                Err(setback) => {
                    let pause = pauses.next().max(setback.wait.unwrap_or_default());
                    self.note_setback(&source, &setback, pause);
                    pause
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Counts an item that is larger than a payload of its source may be.
    fn refuse_item(&self, source: &Source) {
        let (bytes_max, code) = (source.settings.payload_bytes_max, "payload_too_large");
        let text = format!("an item has more than {bytes_max} bytes and was left out; raise `payload_mib`");
        warn!(source = %source.name, code, "{text}");
        self.pipeline.metrics.received(&source.name);
        source.tally.count(|tally| {
            tally.received += 1;
            tally.refused += 1;
        });
        self.note_failure(source, code, &text);
    }

    fn note_setback(&self, source: &Source, setback: &Setback, pause: Duration) {
        let (failure, seconds) = (&setback.failure, pause.as_secs_f32().ceil());
        self.note_failure(source, failure.code.as_str(), &failure.text);
        warn!(source = %source.name, "source not read, next attempt in {seconds} s: {failure}");
    }

    fn note_failure(&self, source: &Source, code: &str, message: &str) {
        self.pipeline.metrics.error(&source.name, code);
        source.tally.count(|tally| tally.last_error = Some(LastError::now(code, message)));
    }

    /// Maps what was read, so many at once, and stores it batch by batch, the last together with how far that is. It comes
    /// to its end also when the source's task does not.
    async fn take(
        self: &Arc<Self>,
        source: &Arc<Source>,
        items: Vec<Item>,
        concurrency: usize,
        position: Option<Cursor>,
    ) -> Result<(), Setback> {
        let mut items = items.into_iter().peekable();
        loop {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while batch.len() < BATCH_ITEMS
                && bytes < BATCH_BYTES
                && let Some(item) = items.next()
            {
                bytes += item.body.len();
                batch.push(item);
            }
            let is_last = items.peek().is_none();
            let position = position.clone().filter(|_| is_last);
            if !batch.is_empty() || position.is_some() {
                let (puller, source) = (self.clone(), source.clone());
                let taking = tokio::spawn(async move { puller.take_batch(source, batch, concurrency, position).await });
                let taken = taking.await.map_err(|error| Failure::new(Code::Store, error.to_string()))?;
                taken?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn take_batch(
        self: Arc<Self>,
        source: Arc<Source>,
        batch: Vec<Item>,
        concurrency: usize,
        position: Option<Cursor>,
    ) -> Result<(), StoreError> {
        for _ in &batch {
            self.pipeline.metrics.received(&source.name);
        }
        source.tally.count(|tally| tally.received += batch.len() as u64);
        let verified = batch.into_iter().map(|item| Verified::trusted(self.event_of(&source, item), source.clone()));
        let recorded = self.pipeline.accept_batch(&source, verified.collect(), concurrency, position).await?;
        debug!(source = %source.name, items = recorded.len(), "read");
        Ok(())
    }

    fn event_of(&self, source: &Source, item: Item) -> Event {
        Event {
            id: self.pipeline.store.new_id(),
            source: source.name.clone(),
            received_at: unix_ms(),
            content_type: Some("application/json".to_owned()),
            headers: Vec::new(),
            context: item.context,
            digest: item.digest,
            body: item.body,
            repeat_key: RepeatKey::DeliveryId(item.identity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_source_can_begin() {
        for (text, is_stream, at) in [
            ("0", true, Some("0-0")),
            ("0", false, Some("0")),
            ("2024-03-28T13:43:33.527Z", true, Some("1711633413527-0")),
            ("2024-03-28T13:43:33.527Z", false, Some("1711633413527")),
            ("1711633413527-5", true, Some("1711633413527-5")),
            ("1711633413527", false, Some("1711633413527")),
            ("1711633413527-5", false, None),
            ("2024-03", true, None),
            ("2024", false, None),
            ("-5", false, None),
            ("-0-0", true, None),
            ("yesterday", true, None),
        ] {
            let begin = Start::read(text, "of", is_stream).ok().map(|start| start.begin().position);
            assert_eq!(begin.as_deref(), at, "{text}");
        }
    }

    #[test]
    fn waits_grow_and_end() {
        let mut pauses = Pauses::new();
        let seconds = |pauses: &mut Pauses| pauses.next().as_secs();
        assert_eq!([(); 3].map(|()| seconds(&mut pauses)), [1, 2, 4]);
        let longest = (0..100).map(|_| seconds(&mut pauses)).last();
        assert!((300..=330).contains(&longest.unwrap()));
        pauses.succeed(Some(Duration::from_secs(3)));
        pauses.succeed(None);
        assert_eq!(seconds(&mut pauses), 3);
    }
}
