//! Entries that are read at once, as the bytes that readers get.

use hookmill_incident::{AuditEntry, Operation};
use hookmill_store::Listed;
use serde::Deserialize;
use std::io::Write;
use std::ops::ControlFlow;
use uuid::Uuid;

/// The size at which a chunk is complete; its last entry may exceed it.
const PART_BYTES: usize = 64 * 1024;
/// The most entries read for one chunk, including those that the filter excludes.
const PART_ENTRIES: usize = 256;

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
    pub severity: Box<str>,
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

    /// Adds an entry if it is selected, until the chunk is full.
    pub fn add(&mut self, id: Uuid, audit: &Listed<AuditEntry>, filter: &StreamFilter) -> ControlFlow<()> {
        let (event, chosen) = match audit {
            Ok(audit) => (event_name(audit.operation), serde_json::from_str(audit.object.get()).unwrap_or_default()),
            Err(_) => ("unreadable", Chosen::default()),
        };
        let mut entry = ChunkEntry { id, end: 0, event, source: chosen.source, severity: chosen.severity };
        self.to = id;
        self.looked_at += 1;
        if filter.matches(&entry) {
            self.bytes.extend_from_slice(format!("id: {id}\nevent: {}\ndata: ", entry.event).as_bytes());
            // These values always serialize, and writing to a `Vec` cannot fail.
            let _ = match audit {
                Ok(audit) => serde_json::to_writer(&mut self.bytes, audit),
                Err(unreadable) => serde_json::to_writer(&mut self.bytes, unreadable),
            };
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

    /// Returns the position after the chunk. `until` is an id up to which all entries were on disk before the read.
    pub fn end(&self, until: Uuid) -> Uuid {
        if self.is_last { self.to.max(until) } else { self.to }
    }
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
        let choices =
            [(&self.sources, &*entry.source), (&self.severities, &*entry.severity), (&self.events, entry.event)];
        choices.iter().all(|(allowed, word)| allowed.is_empty() || allowed.iter().any(|allowed| allowed == word))
    }
}
