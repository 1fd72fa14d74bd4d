//! Entries that are read at once, as the bytes that readers get.

use hookmill_incident::{AuditEntry, Operation};
use hookmill_store::Listed;
use serde::Deserialize;
use std::ops::ControlFlow;
use uuid::Uuid;

/// The size at which a chunk is complete; its last entry may exceed it.
const PART_BYTES: usize = 64 * 1024;
/// The most entries read for one chunk, including those that the filter excludes.
pub(super) const PART_ENTRIES: usize = 256;
/// The name of the event that asks a reader to read the list again. No filter excludes it.
pub(super) const RESET: &str = "reset";

/// The selection of entries to send; an empty list selects all.
#[derive(Clone, Debug, Default)]
pub struct StreamFilter {
    /// The sources of the incidents or events.
    pub sources: Vec<String>,
    /// The severities of the incidents after the operation, or the statuses of the events.
    pub classes: Vec<String>,
    /// The names of the events of the stream, such as `create`.
    pub events: Vec<String>,
}

/// Entries that were read at once.
pub(super) struct Chunk {
    pub bytes: Vec<u8>,
    pub entries: Vec<ChunkEntry>,
    pub looked_at: usize,
    /// The last entry that was looked at.
    pub to: Uuid,
    /// Whether there was nothing after it.
    pub is_last: bool,
}

/// The end of an entry in the bytes of its chunk, and the fields that filters compare.
#[derive(Debug)]
pub(super) struct ChunkEntry {
    pub id: Uuid,
    pub end: usize,
    pub event: &'static str,
    pub source: Box<str>,
    pub class: Box<str>,
}

/// The fields of an incident that filters compare.
#[derive(Default, Deserialize)]
struct Chosen {
    source: Box<str>,
    severity: Box<str>,
}

impl Chunk {
    /// Returns a chunk that starts after an entry.
    pub fn after(id: Uuid) -> Self {
        Self { bytes: Vec::new(), entries: Vec::new(), looked_at: 0, to: id, is_last: true }
    }

    /// Adds an entry with its data in JSON if it is selected, until the chunk is full.
    pub fn add(&mut self, mut entry: ChunkEntry, data: &str, filter: &StreamFilter) -> ControlFlow<()> {
        let id = entry.id;
        if filter.matches(&entry) {
            self.bytes
                .extend_from_slice(format!("id: {}\nevent: {}\ndata: {data}\n\n", entry.id, entry.event).as_bytes());
            entry.end = self.bytes.len();
            self.entries.push(entry);
        }
        self.pass(id)
    }

    /// Looks at an entry that is not sent.
    pub fn pass(&mut self, id: Uuid) -> ControlFlow<()> {
        self.to = id;
        self.looked_at += 1;
        if self.bytes.len() >= PART_BYTES || self.looked_at == PART_ENTRIES {
            self.is_last = false;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Returns the position after the chunk. `until` is an id up to which all entries were on disk before the read.
    pub fn end(&self, until: Uuid) -> Uuid {
        if self.is_last { self.to.max(until) } else { self.to }
    }
}

/// Returns an audit entry with its data.
pub(super) fn of_audit(id: Uuid, audit: &Listed<AuditEntry>) -> (ChunkEntry, String) {
    // These values always serialize.
    let (event, chosen, data): (_, Chosen, _) = match audit {
        Ok(audit) => {
            let chosen = serde_json::from_str(audit.object.get()).unwrap_or_default();
            (event_name(audit.operation), chosen, serde_json::to_string(audit).unwrap_or_default())
        }
        Err(unreadable) => ("unreadable", Chosen::default(), serde_json::to_string(unreadable).unwrap_or_default()),
    };
    (ChunkEntry { id, end: 0, event, source: chosen.source, class: chosen.severity }, data)
}

/// Returns the name of an entry's event.
pub fn event_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Creation => "create",
        Operation::Update => "update",
        Operation::Delete => "delete",
    }
}

impl StreamFilter {
    pub(super) fn matches(&self, entry: &ChunkEntry) -> bool {
        let choices = [(&self.sources, &*entry.source), (&self.classes, &*entry.class), (&self.events, entry.event)];
        entry.event == RESET
            || choices.iter().all(|(allowed, word)| allowed.is_empty() || allowed.iter().any(|allowed| allowed == word))
    }
}
