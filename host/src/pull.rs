//! Sources that the host reads by itself, beside those that post to it: it connects, takes what is new and hands it to the
//! pipeline. How far a source was read is stored in the transaction that stores what was read.

mod endpoint;
mod items;
mod opencti;
mod poll;
mod since;
mod sse;
mod trial;

pub use endpoint::Endpoint;
pub use items::Pointer;
pub use opencti::OpenctiStream;
pub use poll::{Poll, Query};
pub use since::{SinceText, TimeFormat};

use crate::Host;
use hookmill_incident::{Event, Identity, Mapped, NamedValue};
use hookmill_incident::id::unix_ms;
use crate::receive::note;
use crate::source::Source;
use hookmill_store::{LastError, Position, StoreError};
use crate::verify::Verified;
use bytes::Bytes;
use hookmill_connection::{Code, Failure, with_jitter};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tracing::{debug, error, info, warn};

/// Items that are stored in one transaction.
const BATCH_ITEMS: usize = 64;
/// As many bytes are read ahead for one batch.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How long to wait after a first failure, and before a stream that ended is connected to again.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
/// How often to see whether the plugins are loaded.
const LOOK: Duration = Duration::from_millis(20);
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

    fn begin(&self) -> Position {
        let (ms, number) = self.at.unwrap_or((unix_ms(), 0));
        self.reached(if self.is_stream { format!("{ms}-{number}") } else { ms.to_string() })
    }

    fn reached(&self, at: String) -> Position {
        Position { start: self.text.clone(), at }
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

impl Host {
    /// Reads every source that is to be read, until told to stop.
    pub async fn pull_sources(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut changes = self.sources.changes();
        // What is read before there is a mapper only waits for one.
        while !self.loaded.is_settled() {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
        }
        let mut tasks = JoinSet::new();
        let mut running: BTreeMap<Arc<str>, (Arc<Source>, AbortHandle)> = BTreeMap::new();
        loop {
            let sources = self.sources.all();
            running.retain(|name, (source, task)| {
                let stays = sources.get(name).is_some_and(|now| Arc::ptr_eq(now, source));
                if !stays {
                    task.abort();
                }
                stays
            });
            for (name, source) in sources.iter() {
                if source.settings.pull.is_some() && !running.contains_key(name) {
                    let task = tasks.spawn(self.clone().pull(source.clone()));
                    running.insert(name.clone(), (source.clone(), task));
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
                    error!("a source is not read, and begun anew in {} s: {error}", DEFECT_PAUSE.as_secs());
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
    async fn pull(self: Arc<Self>, source: Arc<Source>) {
        let Some(pull) = &source.settings.pull else { return };
        let mut pauses = Pauses::new();
        loop {
            let read = match &pull.reader {
                Reader::Poll(poll) => poll.read(&self, &source, pull).await.inspect(|_| pauses.succeed(None)),
                Reader::Opencti(stream) => {
                    let read = stream.read(&self, &source, pull, &mut pauses).await;
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
        self.metrics.received(&source.name);
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
        self.metrics.error(&source.name, code);
        source.tally.count(|tally| tally.last_error = Some(LastError::now(code, message)));
    }

    /// Maps what was read, so many at once, and stores it batch by batch, the last together with how far that is. It comes
    /// to its end also when the source's task does not.
    async fn take(
        self: &Arc<Self>,
        source: &Arc<Source>,
        items: Vec<Item>,
        concurrency: usize,
        position: Option<Position>,
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
                let (host, source) = (self.clone(), source.clone());
                let taking = tokio::spawn(async move { host.take_batch(source, batch, concurrency, position).await });
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
        position: Option<Position>,
    ) -> Result<(), StoreError> {
        for _ in &batch {
            self.metrics.received(&source.name);
        }
        source.tally.count(|tally| tally.received += batch.len() as u64);
        let mapped = self.map_all(&source, batch, concurrency).await?;
        let was_tried: Vec<bool> = mapped.iter().map(|mapped| !mapped.tried.is_empty()).collect();
        let recorded = self.store.record_pulled(source.name.clone(), mapped, position).await?;
        debug!(source = %source.name, items = recorded.len(), "read");
        for (recorded, was_tried) in recorded.iter().zip(was_tried) {
            note(&self, &source, recorded);
            self.wake_for_new(recorded, was_tried);
        }
        Ok(())
    }

    /// In the order in which it was read.
    async fn map_all(
        self: &Arc<Self>,
        source: &Arc<Source>,
        batch: Vec<Item>,
        concurrency: usize,
    ) -> Result<Vec<Mapped>, StoreError> {
        let mut mapped: Vec<(usize, Mapped)> = Vec::with_capacity(batch.len());
        let mut under_way = JoinSet::new();
        for (index, item) in batch.into_iter().enumerate() {
            if under_way.len() >= concurrency {
                mapped.extend(ended(under_way.join_next().await)?);
            }
            let (host, verified) = (self.clone(), Verified::again(self.event_of(source, item), source.clone()));
            under_way.spawn(async move { (index, host.mappers.map(verified, 1).await) });
        }
        while !under_way.is_empty() {
            mapped.extend(ended(under_way.join_next().await)?);
        }
        mapped.sort_by_key(|(index, _)| *index);
        Ok(mapped.into_iter().map(|(_, mapped)| mapped).inspect(|mapped| self.mappers.remember(mapped)).collect())
    }

    fn event_of(&self, source: &Source, item: Item) -> Event {
        Event {
            id: self.store.new_id(),
            source: source.name.clone(),
            received_at: unix_ms(),
            content_type: Some("application/json".to_owned()),
            headers: Vec::new(),
            context: item.context,
            digest: item.digest,
            body: item.body,
            identity: Identity::Delivery(item.identity),
        }
    }
}

/// What a task came to; none when there was no task.
fn ended<T>(task: Option<Result<T, JoinError>>) -> Result<Option<T>, StoreError> {
    task.transpose().map_err(|defect| StoreError::Failed(Arc::new(defect.into())))
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
            let begin = Start::read(text, "of", is_stream).ok().map(|start| start.begin().at);
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
