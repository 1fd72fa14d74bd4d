//! Sends audit entries, or changes of events, as Server-Sent Events to clients that follow them.
//!
//! Each of the two has a stream of its own. One task reads committed entries once for all readers and keeps the newest as
//! the bytes to send. A reader has a position in the order of entry ids. Entries after the position are sent from the kept
//! bytes or, if those start later, from pages that are read for this reader alone. So there are neither gaps nor repeats,
//! and a slow reader costs no memory. Without readers nothing is read.
//!
//! A reader that does not receive is closed like any other connection (`listen/src/connections.rs`).

mod chunk;
mod feed;
mod kept;

pub use chunk::{StreamFilter, event_name};
pub use feed::Feed;

use crate::metrics::Metrics;
use anyhow::Result;
use bytes::Bytes;
use hookmill_incident::Clock;
use kept::{Found, Kept};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};
use tracing::warn;
use uuid::Uuid;

/// The maximum number of readers at once.
pub const READERS_MAX: u32 = 1024;
/// The maximum number of pages for single readers in memory at once; a page stays in memory until it is sent.
const PAGES_MAX: usize = 128;
/// The maximum number of pages read at the same time, so that many readers that reconnect together do not delay
/// incoming payloads.
const PAGES_READ_AT_ONCE: usize = 2;
/// The interval of heartbeats, which send the reader its position.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// The longest connection of a reader; a new connection checks the token again.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The places of readers, which all streams share.
#[derive(Clone, Debug)]
pub struct ReaderPlaces {
    places: Arc<Semaphore>,
    max: u32,
}

impl ReaderPlaces {
    /// Returns places for this many readers.
    pub fn new(max: u32) -> Self {
        Self { places: Arc::new(Semaphore::new(max as usize)), max }
    }

    /// Returns the number of readers.
    pub fn taken(&self) -> i64 {
        i64::from(self.max) - self.places.available_permits() as i64
    }
}

/// The entries of one feed for all readers.
#[derive(Debug)]
pub struct Stream {
    feed: Feed,
    clock: Clock,
    metrics: Arc<Metrics>,
    kept: watch::Sender<Kept>,
    joined: Notify,
    places: ReaderPlaces,
    pages: Arc<Semaphore>,
    page_reads: Semaphore,
}

impl Stream {
    /// Creates a stream of a feed, for readers that have a place.
    pub fn new(feed: Feed, clock: Clock, metrics: Arc<Metrics>, places: ReaderPlaces) -> Self {
        let kept = watch::Sender::new(Kept::after(*feed.watch().borrow()));
        Self {
            feed,
            clock,
            metrics,
            kept,
            joined: Notify::new(),
            places,
            pages: Arc::new(Semaphore::new(PAGES_MAX)),
            page_reads: Semaphore::new(PAGES_READ_AT_ONCE),
        }
    }

    /// Returns a reader of the entries after this id, or of new entries only. Returns `None` if there are too many
    /// readers.
    pub fn follow(self: &Arc<Self>, after: Option<Uuid>, filter: StreamFilter) -> Option<StreamReader> {
        let place = self.places.places.clone().try_acquire_owned().ok()?;
        let kept = self.kept.subscribe();
        self.joined.notify_one();
        let newest = *self.feed.watch().borrow();
        let now = Instant::now();
        Some(StreamReader {
            stream: self.clone(),
            kept,
            filter: Arc::new(filter),
            // A position after the newest entry comes from a store that was restored since, or from a clock that is ahead.
            at: after.map_or(newest, |after| after.min(newest)),
            heartbeat_at: now + HEARTBEAT,
            ends_at: now + LIFETIME,
            page: None,
            _place: place,
        })
    }

    /// Keeps committed entries while there are readers, until the host stops; then all readers end.
    pub async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = self.keep() => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        self.kept.send_modify(|kept| kept.is_over = true);
    }

    async fn keep(&self) {
        let mut newest = self.feed.watch();
        loop {
            if self.kept.receiver_count() == 0 {
                self.kept.send_replace(Kept::after(*newest.borrow()));
                self.joined.notified().await;
                self.kept.send_replace(Kept::after(*newest.borrow()));
            }
            let until = *newest.borrow_and_update();
            if let Err(error) = self.read_until(until).await {
                warn!("cannot read entries for the readers of a stream: {error:#}");
                self.kept.send_replace(Kept::after(until));
            }
            if newest.changed().await.is_err() {
                return;
            }
        }
    }

    async fn read_until(&self, until: Uuid) -> Result<()> {
        loop {
            let after = self.kept.borrow().to;
            if after >= until {
                return Ok(());
            }
            let part = self.feed.read(after, Arc::default()).await?;
            self.kept.send_modify(|kept| kept.add(part, until));
        }
    }

    /// Reads a page for a reader that is behind the kept entries, which begin after `until`. Returns its bytes and the
    /// reader's new position.
    async fn page(&self, after: Uuid, until: Uuid, filter: Arc<StreamFilter>) -> Result<(Bytes, Uuid)> {
        let room = self.pages.clone().acquire_owned().await?;
        let part = {
            let _turn = self.page_reads.acquire().await?;
            self.feed.read(after, filter).await?
        };
        self.metrics.stream_page();
        let to = part.end(until);
        Ok((Bytes::from_owner(PageBytes { bytes: part.bytes, _room: room }), to))
    }
}

/// A page that is being read, with the reader's position after it.
type PageRead = Pin<Box<dyn Future<Output = Result<(Bytes, Uuid)>> + Send>>;

/// Bytes for one reader, with a permit that is released when they are sent.
struct PageBytes {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for PageBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A client that follows the stream.
pub struct StreamReader {
    stream: Arc<Stream>,
    kept: watch::Receiver<Kept>,
    filter: Arc<StreamFilter>,
    /// The reader's position: all matching entries up to this id were sent.
    at: Uuid,
    heartbeat_at: Instant,
    ends_at: Instant,
    /// The page that is being read for this reader; reading may take longer than a heartbeat.
    page: Option<PageRead>,
    _place: OwnedSemaphorePermit,
}

impl StreamReader {
    /// Returns an event with this name and the reader's position as the id.
    pub fn mark(&self, name: &str) -> Bytes {
        format!("id: {}\nevent: {name}\ndata: \"{}\"\n\n", self.at, self.stream.clock.now()).into()
    }

    /// Returns the next bytes to send; `None` when the connection ends.
    ///
    /// # Errors
    /// Returns an error if the entries cannot be read.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let now = Instant::now();
            if now >= self.ends_at {
                return Ok(None);
            }
            if now >= self.heartbeat_at {
                self.heartbeat_at = now + HEARTBEAT;
                return Ok(Some(self.mark("heartbeat")));
            }
            let found = self.kept.borrow_and_update().next(self.at, &self.filter);
            let (bytes, to) = match found {
                Found::Bytes(bytes, to) => (bytes, to),
                Found::Behind(until) => {
                    let (stream, at, filter) = (self.stream.clone(), self.at, self.filter.clone());
                    let read = || Box::pin(async move { stream.page(at, until, filter).await }) as _;
                    let page = self.page.get_or_insert_with(read);
                    let read = tokio::select! {
                        read = page => read,
                        _ = self.kept.wait_for(|kept| kept.is_over) => return Ok(None),
                        () = sleep_until(self.heartbeat_at.min(self.ends_at)) => continue,
                    };
                    self.page = None;
                    read?
                }
                Found::Nothing(to) => {
                    self.at = self.at.max(to);
                    tokio::select! {
                        // This cannot fail: the reader keeps the stream, which owns the sender.
                        _ = self.kept.changed() => {}
                        () = sleep_until(self.heartbeat_at.min(self.ends_at)) => {}
                    }
                    continue;
                }
                Found::Over => return Ok(None),
            };
            self.at = to;
            if !bytes.is_empty() {
                self.heartbeat_at = Instant::now() + HEARTBEAT;
                return Ok(Some(bytes));
            }
        }
    }
}
