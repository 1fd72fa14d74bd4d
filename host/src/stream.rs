//! Sends audit entries as Server-Sent Events to clients that follow them.
//!
//! One task reads committed entries once for all readers and keeps the newest as the bytes to send. A reader has a position
//! in the order of entry ids. Entries after the position are sent from the kept bytes or, if those start later, from pages
//! that are read for this reader alone. So there are neither gaps nor repeats, and a slow reader costs no memory. Without
//! readers nothing is read.
//!
//! A reader that does not receive is closed like any other connection (`listen/connections.rs`).

use crate::metrics::Metrics;
use anyhow::Result;
use bytes::Bytes;
use hookmill_incident::{AuditEntry, Operation};
use hookmill_store::Store;
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::VecDeque;
use std::io::Write;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};
use tracing::warn;
use uuid::Uuid;

/// The most readers at once.
pub const READERS_MAX: u32 = 1024;
/// The most bytes kept for all readers. A reader that falls further behind reads pages of its own.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most chunks kept for all readers.
const KEPT_PARTS_MAX: usize = 4096;
/// The size at which a chunk is complete; its last entry may exceed it.
const PART_BYTES: usize = 64 * 1024;
/// The most entries read for one chunk, including those that the filter excludes.
const PART_ENTRIES: usize = 256;
/// The most pages for single readers in memory at once; a page stays in memory until it is sent.
const PAGES_MAX: usize = 128;
/// The most pages read at the same time, so that many readers that reconnect together do not delay incoming payloads.
const PAGES_READ_AT_ONCE: usize = 2;
/// The interval of heartbeats, which send the reader its position.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// The longest connection of a reader; a new connection checks the token again.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The selection of entries to send; an empty list selects all.
#[derive(Clone, Debug, Default)]
pub struct StreamFilter {
    /// The sources of the incidents.
    pub sources: Vec<String>,
    /// The severities of the incidents after the operation.
    pub severities: Vec<String>,
    /// The event names: `create`, `update`, `delete`.
    pub events: Vec<String>,
}

/// The audit entries for all readers.
#[derive(Debug)]
pub struct Stream {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    kept: watch::Sender<Kept>,
    joined: Notify,
    readers_max: u32,
    places: Arc<Semaphore>,
    pages: Arc<Semaphore>,
    page_reads: Semaphore,
}

impl Stream {
    /// Creates a stream for at most `readers_max` readers.
    pub fn new(store: Arc<Store>, metrics: Arc<Metrics>, readers_max: u32) -> Self {
        let kept = watch::Sender::new(Kept::after(*store.watch_audit().borrow()));
        Self {
            store,
            metrics,
            kept,
            joined: Notify::new(),
            readers_max,
            places: Arc::new(Semaphore::new(readers_max as usize)),
            pages: Arc::new(Semaphore::new(PAGES_MAX)),
            page_reads: Semaphore::new(PAGES_READ_AT_ONCE),
        }
    }

    /// Returns the number of readers.
    pub fn readers(&self) -> i64 {
        i64::from(self.readers_max) - self.places.available_permits() as i64
    }

    /// Returns a reader of the entries after this id, or of new entries only. Returns `None` if there are too many
    /// readers.
    pub fn follow(self: &Arc<Self>, after: Option<Uuid>, filter: StreamFilter) -> Option<StreamReader> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let kept = self.kept.subscribe();
        self.joined.notify_one();
        let newest = *self.store.watch_audit().borrow();
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
        let mut newest = self.store.watch_audit();
        loop {
            if self.kept.receiver_count() == 0 {
                self.kept.send_replace(Kept::after(*newest.borrow()));
                self.joined.notified().await;
                self.kept.send_replace(Kept::after(*newest.borrow()));
            }
            let until = *newest.borrow_and_update();
            if let Err(error) = self.read_until(until).await {
                warn!("cannot read audit entries for the readers of the stream: {error:#}");
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
            let part = self.read(after, Arc::default()).await?;
            self.kept.send_modify(|kept| kept.add(part, until));
        }
    }

    async fn read(&self, after: Uuid, filter: Arc<StreamFilter>) -> Result<Chunk> {
        let part = Chunk { bytes: Vec::new(), entries: Vec::new(), looked_at: 0, to: after, is_last: true };
        self.store.audit_after(after, part, move |part, id, entry| part.add(id, entry, &filter)).await
    }

    /// Reads a page for a reader that is behind the kept entries, which begin after `until`. Returns its bytes and the
    /// reader's new position.
    async fn page(&self, after: Uuid, until: Uuid, filter: Arc<StreamFilter>) -> Result<(Bytes, Uuid)> {
        let room = self.pages.clone().acquire_owned().await?;
        let part = {
            let _turn = self.page_reads.acquire().await?;
            self.read(after, filter).await?
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

/// Entries that were read together, as the bytes to send.
struct Chunk {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    looked_at: usize,
    /// The last entry that was read, also if the filter excludes it.
    to: Uuid,
    /// Whether there was no entry after `to`.
    is_last: bool,
}

/// The end of an entry in the bytes of its chunk, and the values that filters compare.
#[derive(Debug)]
struct Entry {
    id: Uuid,
    end: usize,
    event: &'static str,
    source: Box<str>,
    severity: Box<str>,
}

/// The fields of an incident that filters compare.
#[derive(Default, Deserialize)]
struct Chosen {
    source: Box<str>,
    severity: Box<str>,
}

impl Chunk {
    fn add(&mut self, id: Uuid, audit: &AuditEntry, filter: &StreamFilter) -> ControlFlow<()> {
        let Chosen { source, severity } = serde_json::from_str(audit.object.get()).unwrap_or_default();
        let mut entry = Entry { id, end: 0, event: event_name(audit.operation), source, severity };
        self.to = id;
        self.looked_at += 1;
        if filter.matches(&entry) {
            self.bytes.extend_from_slice(format!("id: {id}\nevent: {}\ndata: ", entry.event).as_bytes());
            // These values always serialize, and writing to a `Vec` cannot fail.
            let _ = serde_json::to_writer(&mut self.bytes, audit);
            let _ = self.bytes.write_all(b"\n\n");
            entry.end = self.bytes.len();
            self.entries.push(entry);
        }
        if self.bytes.len() >= PART_BYTES || self.looked_at == PART_ENTRIES {
            self.is_last = false;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Returns the position after this chunk. All entries up to `until` were on disk before it was read.
    fn end(&self, until: Uuid) -> Uuid {
        if self.is_last { self.to.max(until) } else { self.to }
    }
}

/// Returns the event name of an operation.
fn event_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Creation => "create",
        Operation::Update => "update",
        Operation::Delete => "delete",
    }
}

impl StreamFilter {
    fn matches(&self, entry: &Entry) -> bool {
        let choices =
            [(&self.sources, &*entry.source), (&self.severities, &*entry.severity), (&self.events, entry.event)];
        choices.iter().all(|(allowed, word)| allowed.is_empty() || allowed.iter().any(|allowed| allowed == word))
    }
}

/// The newest entries, for all readers.
#[derive(Debug)]
struct Kept {
    parts: VecDeque<KeptChunk>,
    bytes: usize,
    /// The kept entries begin after this id.
    from: Uuid,
    /// The id of the last kept entry.
    to: Uuid,
    is_over: bool,
}

#[derive(Debug)]
struct KeptChunk {
    bytes: Bytes,
    entries: Vec<Entry>,
    to: Uuid,
}

/// The result of looking for a reader's next entries.
enum Found {
    /// Bytes to send, and the reader's position after them.
    Bytes(Bytes, Uuid),
    /// No entry up to this id matches the filter.
    Nothing(Uuid),
    /// The reader is behind the kept entries, which begin after this id.
    Behind(Uuid),
    /// The stream has ended.
    Over,
}

impl Kept {
    fn after(id: Uuid) -> Self {
        Self { parts: VecDeque::new(), bytes: 0, from: id, to: id, is_over: false }
    }

    fn add(&mut self, part: Chunk, until: Uuid) {
        let to = part.end(until);
        self.to = to;
        self.bytes += part.bytes.len();
        self.parts.push_back(KeptChunk { bytes: part.bytes.into_boxed_slice().into(), entries: part.entries, to });
        while self.bytes > KEPT_BYTES_MAX || self.parts.len() > KEPT_PARTS_MAX {
            let Some(oldest) = self.parts.pop_front() else { return };
            self.bytes -= oldest.bytes.len();
            self.from = oldest.to;
        }
    }

    /// Returns the next consecutive entries that match a reader's filter.
    fn next(&self, at: Uuid, filter: &StreamFilter) -> Found {
        if self.is_over {
            return Found::Over;
        }
        if at < self.from {
            return Found::Behind(self.from);
        }
        let first = self.parts.partition_point(|part| part.to <= at);
        let found = self.parts.range(first..).find_map(|part| part.next(at, filter));
        found.map_or(Found::Nothing(self.to), |(bytes, to)| Found::Bytes(bytes, to))
    }
}

impl KeptChunk {
    fn next(&self, at: Uuid, filter: &StreamFilter) -> Option<(Bytes, Uuid)> {
        let seen = self.entries.partition_point(|entry| entry.id <= at);
        let skipped = self.entries[seen..].iter().take_while(|entry| !filter.matches(entry)).count();
        let first = seen + skipped;
        let last = self.entries[first..].iter().take_while(|entry| filter.matches(entry)).last()?;
        let start = first.checked_sub(1).map_or(0, |before| self.entries[before].end);
        Some((self.bytes.slice(start..last.end), last.id))
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
        format!("id: {}\nevent: {name}\ndata: \"{}\"\n\n", self.at, Timestamp::now()).into()
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

#[cfg(test)]
mod tests {
    use super::*;
    use hookmill_incident::id::{self, IdSource};

    const ENTRY_BYTES: usize = KEPT_BYTES_MAX / 8;

    /// Returns a chunk of a creation and an update of `ENTRY_BYTES` bytes each: zeros, then ones.
    fn part(ids: &[Uuid]) -> Chunk {
        let entry = |(index, &id): (usize, &Uuid)| Entry {
            id,
            end: (index + 1) * ENTRY_BYTES,
            event: ["create", "update"][index],
            source: "lab".into(),
            severity: "high".into(),
        };
        let bytes = [vec![0; ENTRY_BYTES], vec![1; ENTRY_BYTES]].concat();
        Chunk { bytes, entries: ids.iter().enumerate().map(entry).collect(), looked_at: 2, to: ids[1], is_last: false }
    }

    #[test]
    fn the_newest_entries_are_kept_and_a_reader_behind_them_is_recognized() {
        let source = IdSource::after(0);
        let ids: Vec<Uuid> = (0..10).map(|_| source.next()).collect();
        let mut kept = Kept::after(id::before(0));
        ids.chunks(2).for_each(|ids| kept.add(part(ids), ids[1]));

        let updates = StreamFilter { events: vec!["update".into()], ..StreamFilter::default() };
        let [all, updates] = [&StreamFilter::default(), &updates];
        // Four of the five chunks fit.
        assert!(matches!(kept.next(id::before(0), all), Found::Behind(from) if from == ids[1]));
        assert!(matches!(kept.next(ids[0], updates), Found::Behind(from) if from == ids[1]));
        for (at, filter, expected, to) in [
            (ids[1], all, &[0, 1][..], ids[3]),
            (ids[2], all, &[1], ids[3]),
            (ids[3], all, &[0, 1], ids[5]),
            (ids[1], updates, &[1], ids[3]),
            (ids[2], updates, &[1], ids[3]),
            (ids[7], updates, &[1], ids[9]),
        ] {
            let Found::Bytes(bytes, reached) = kept.next(at, filter) else { unreachable!("nothing after {at}") };
            let expected: Vec<u8> = expected.iter().flat_map(|&byte| vec![byte; ENTRY_BYTES]).collect();
            assert!(bytes == expected && reached == to, "{at}");
        }
        assert!(matches!(kept.next(ids[9], all), Found::Nothing(to) if to == ids[9]));
        let others = StreamFilter { sources: vec!["other".into()], ..StreamFilter::default() };
        assert!(matches!(kept.next(ids[1], &others), Found::Nothing(to) if to == ids[9]));
    }
}
