//! Sends audit entries as Server-Sent Events to clients that follow them.
//!
//! One task reads committed entries once for all readers and keeps the newest as the bytes to send. A reader has a position
//! in the order of entry ids. Entries after the position are sent from the kept bytes or, if those start later, from pages
//! that are read for this reader alone. So there are neither gaps nor repeats, and a slow reader costs no memory. Without
//! readers nothing is read.
//!
//! A reader that does not receive is closed like any other connection (`listen/src/connections.rs`).

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
/// What is kept for all readers: as far as one that reads as fast as others is ever behind.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The same in parts, each of which was read at once.
const KEPT_PARTS_MAX: usize = 4096;
/// How much is read at once; the last entry may reach beyond it.
const PART_BYTES: usize = 64 * 1024;
/// How many entries are looked at at once.
const PART_ENTRIES: usize = 256;
/// Pages for single readers that may be in memory at once, until they have been sent.
const PAGES_MAX: usize = 128;
/// How many of them are read at the same time: many that come back together must not hold up what arrives.
const PAGES_READ_AT_ONCE: usize = 2;
/// The interval of heartbeats, which send the reader its position.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// The longest connection of a reader; a new connection checks the token again.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The selection of entries to send; an empty list selects all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of these sources.
    pub sources: Vec<String>,
    /// Of incidents with these severities after the operation.
    pub severities: Vec<String>,
    /// With these names of events.
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
    /// A stream for so many readers.
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

    /// Follows the entries after this id, or from now on. Returns `None` if there are too many readers.
    pub fn follow(self: &Arc<Self>, after: Option<Uuid>, filter: Filter) -> Option<StreamReader> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let kept = self.kept.subscribe();
        self.joined.notify_one();
        let newest = *self.store.watch_audit().borrow();
        let now = Instant::now();
        Some(StreamReader {
            stream: self.clone(),
            kept,
            filter: Arc::new(filter),
            // What is newer than everything is from a store that this one was restored behind, or a clock that is ahead.
            at: after.map_or(newest, |after| after.min(newest)),
            heartbeat_at: now + HEARTBEAT,
            ends_at: now + LIFETIME,
            page: None,
            _place: place,
        })
    }

    /// Keeps what is committed for those who follow, until the host stops; then no reader is sent anything more.
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
                warn!("what happens to incidents cannot be read for those who follow it: {error:#}");
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

    async fn read(&self, after: Uuid, filter: Arc<Filter>) -> Result<Chunk> {
        let part = Chunk { bytes: Vec::new(), entries: Vec::new(), looked_at: 0, to: after, is_last: true };
        self.store.audit_after(after, part, move |part, id, entry| part.add(id, entry, &filter)).await
    }

    /// What is sent to a reader that is behind what is kept, which begins after `until`.
    async fn page(&self, after: Uuid, until: Uuid, filter: Arc<Filter>) -> Result<(Bytes, Uuid)> {
        let room = self.pages.clone().acquire_owned().await?;
        let part = {
            let _turn = self.page_reads.acquire().await?;
            self.read(after, filter).await?
        };
        self.metrics.stream_page();
        let to = part.end(until);
        Ok((Bytes::from_owner(Page { bytes: part.bytes, _room: room }), to))
    }
}

/// A page on its way, and up to which entry it reaches.
type PageRead = Pin<Box<dyn Future<Output = Result<(Bytes, Uuid)>> + Send>>;

/// Bytes for one reader, with the room that they take up until they are sent.
struct Page {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Entries that were read at once.
struct Chunk {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    looked_at: usize,
    /// The last entry that was looked at.
    to: Uuid,
    /// Whether there was nothing after it.
    is_last: bool,
}

/// Where an entry ends in the bytes of its part, and what it is chosen by.
#[derive(Debug)]
struct Entry {
    id: Uuid,
    end: usize,
    event: &'static str,
    source: Box<str>,
    severity: Box<str>,
}

/// What of an incident its entries are chosen by.
#[derive(Default, Deserialize)]
struct Chosen {
    source: Box<str>,
    severity: Box<str>,
}

impl Chunk {
    fn add(&mut self, id: Uuid, audit: &AuditEntry, filter: &Filter) -> ControlFlow<()> {
        let Chosen { source, severity } = serde_json::from_str(audit.object.get()).unwrap_or_default();
        let mut entry = Entry { id, end: 0, event: event_name(audit.operation), source, severity };
        self.to = id;
        self.looked_at += 1;
        if filter.matches(&entry) {
            self.bytes.extend_from_slice(format!("id: {id}\nevent: {}\ndata: ", entry.event).as_bytes());
            // Values have JSON, and a Vec takes what it is given.
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

    /// How far it reaches, when all until there was on disk before it was read.
    fn end(&self, until: Uuid) -> Uuid {
        if self.is_last { self.to.max(until) } else { self.to }
    }
}

/// The name of an entry's event.
fn event_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Creation => "create",
        Operation::Update => "update",
        Operation::Delete => "delete",
    }
}

impl Filter {
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
    /// All entries after this one are here …
    from: Uuid,
    /// … up to this one.
    to: Uuid,
    is_over: bool,
}

#[derive(Debug)]
struct KeptChunk {
    bytes: Bytes,
    entries: Vec<Entry>,
    to: Uuid,
}

/// What is there for a reader.
enum Found {
    /// These bytes, which reach until this entry.
    Bytes(Bytes, Uuid),
    /// Nothing that it wants until this entry.
    Nothing(Uuid),
    /// It is behind what is kept, which begins after this entry.
    Behind(Uuid),
    /// Nothing comes any more.
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

    /// The next entries in a row that a reader wants.
    fn next(&self, at: Uuid, filter: &Filter) -> Found {
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
    fn next(&self, at: Uuid, filter: &Filter) -> Option<(Bytes, Uuid)> {
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
    filter: Arc<Filter>,
    /// Everything until this entry was sent, or is not wanted.
    at: Uuid,
    heartbeat_at: Instant,
    ends_at: Instant,
    /// A page that is being read for it, over as many heartbeats as that takes.
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
                        // The stream, and with it what sends, is as long there as this is.
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

    /// Two entries, a creation and an update, of so many bytes each: zeros, then ones.
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
    fn the_newest_entries_are_kept_and_who_is_behind_them_is_told_so() {
        let source = IdSource::after(0);
        let ids: Vec<Uuid> = (0..10).map(|_| source.next()).collect();
        let mut kept = Kept::after(id::before(0));
        ids.chunks(2).for_each(|ids| kept.add(part(ids), ids[1]));

        let updates = Filter { events: vec!["update".into()], ..Filter::default() };
        let [all, updates] = [&Filter::default(), &updates];
        // Of five parts there is room for four.
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
        let others = Filter { sources: vec!["other".into()], ..Filter::default() };
        assert!(matches!(kept.next(ids[1], &others), Found::Nothing(to) if to == ids[9]));
    }
}
