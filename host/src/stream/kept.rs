//! The newest entries, kept for all readers.

use super::chunk::{Chunk, ChunkEntry, StreamFilter};
use bytes::Bytes;
use std::collections::VecDeque;
use uuid::Uuid;

/// The maximum number of bytes kept for all readers. A reader that falls further behind reads pages of its own.
const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most chunks kept for all readers.
const KEPT_PARTS_MAX: usize = 4096;

/// The newest entries, for all readers.
#[derive(Debug)]
pub(super) struct Kept {
    parts: VecDeque<KeptChunk>,
    bytes: usize,
    /// The kept entries begin after this id.
    from: Uuid,
    /// … up to this one.
    pub to: Uuid,
    /// Whether no reader is sent anything more.
    pub is_over: bool,
}

#[derive(Debug)]
struct KeptChunk {
    bytes: Bytes,
    entries: Vec<ChunkEntry>,
    to: Uuid,
}

/// The next bytes for a reader, or their absence.
pub(super) enum Found {
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
    /// Returns a buffer that keeps nothing yet and begins after an entry.
    pub fn after(id: Uuid) -> Self {
        Self { parts: VecDeque::new(), bytes: 0, from: id, to: id, is_over: false }
    }

    /// Adds a chunk and drops the oldest ones that there is no room for.
    pub fn add(&mut self, part: Chunk, until: Uuid) {
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

    /// Returns the next entries in a row that a reader wants.
    pub fn next(&self, at: Uuid, filter: &StreamFilter) -> Found {
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

#[cfg(test)]
mod tests {
    use super::*;
    use hookmill_incident::id::{self, IdSource};

    const ENTRY_BYTES: usize = KEPT_BYTES_MAX / 8;

    /// Returns a chunk of a creation and an update of `ENTRY_BYTES` bytes each: zeros, then ones.
    fn part(ids: &[Uuid]) -> Chunk {
        let entry = |(index, &id): (usize, &Uuid)| ChunkEntry {
            id,
            end: (index + 1) * ENTRY_BYTES,
            event: ["create", "update"][index],
            source: "lab".into(),
            class: "high".into(),
        };
        let bytes = [vec![0; ENTRY_BYTES], vec![1; ENTRY_BYTES]].concat();
        Chunk { bytes, entries: ids.iter().enumerate().map(entry).collect(), looked_at: 2, to: ids[1], is_last: false }
    }

    #[test]
    fn the_newest_entries_are_kept_and_who_is_behind_them_is_told_so() {
        let source = IdSource::after(0);
        let ids: Vec<Uuid> = (0..10).map(|_| source.next(0)).collect();
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
