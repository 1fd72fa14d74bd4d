//! The bounds of a record. Parts beyond them are left out or cut, and counted in `truncated`.
//!
//! Each group of parts has a share of the record, so that none takes the room of another. Sizes are those of the JSON.

use super::group::{Group, Room};
use super::{Incident, Note};
use crate::json_size::{cut, depth, text_bytes, value_bytes};
use crate::observation::TAG_BYTES_MAX;
use crate::{DetailMap, Observable, Technique, Triage};
use jiff::Timestamp;
use serde_json::Value;

const KIB: usize = 1024;

/// The maximum number of bytes that a record takes in JSON. The shares of all groups are less together.
pub const RECORD_BYTES_MAX: usize = 1024 * KIB;
/// The maximum number of bytes of a description, in JSON.
pub const DESCRIPTION_BYTES_MAX: usize = 64 * KIB;
/// The maximum number of bytes of a title, a category or an assignee, in JSON.
pub const WORDS_BYTES_MAX: usize = 4 * KIB;
/// The maximum number of bytes of a note, in JSON.
pub const NOTE_BYTES_MAX: usize = 16 * KIB;

const LINK_BYTES_MAX: usize = 16 * KIB;

const OBSERVABLE_VALUE_BYTES_MAX: usize = 8 * KIB;
const OBSERVABLE_MESSAGE_BYTES_MAX: usize = 4 * KIB;
const OBSERVABLE_TAGS_MAX: usize = 50;
/// The names and punctuation of an observable in JSON.
const OBSERVABLE_FRAME_BYTES: usize = 64;

const DETAILS_MAX: usize = 500;
const DETAILS_BYTES: usize = 320 * KIB;
const DETAIL_NAME_BYTES_MAX: usize = 256;
const DETAIL_BYTES_MAX: usize = 64 * KIB;
/// Deeper values stay as text: what reads them back has a bound on depth too.
const DETAIL_DEPTH_MAX: usize = 64;

const NOTES_MAX: usize = 500;
const NOTES_BYTES: usize = 128 * KIB;
/// The time, the names and the punctuation of a note in JSON.
const NOTE_FRAME_BYTES: usize = 80;

const PROBLEMS_MAX: usize = 32;
const PROBLEM_BYTES_MAX: usize = 512;

const TAGS: Group<String> = Group {
    items_max: 200,
    bytes_max: 64 * KIB,
    key: |tag| (tag, ""),
    bytes: |tag| 1 + text_bytes(tag),
    fits: |tag| tag.len() <= TAG_BYTES_MAX,
    merge: |_, _, _| 0,
};

const OBSERVABLES: Group<Observable> = Group {
    items_max: 1_000,
    bytes_max: 320 * KIB,
    key: |observable| (&observable.data_type, &observable.value),
    bytes: |Observable { data_type, value, message, tags, ioc: _ }| {
        let tags: usize = tags.iter().map(TAGS.bytes).sum();
        let message = message.as_deref().map_or(0, text_bytes);
        OBSERVABLE_FRAME_BYTES + text_bytes(data_type) + text_bytes(value) + message + tags
    },
    // A cut value would be another value.
    fits: |observable| {
        observable.data_type.len() <= TAG_BYTES_MAX && text_bytes(&observable.value) <= OBSERVABLE_VALUE_BYTES_MAX
    },
    merge: |known, seen, room| {
        known.ioc |= seen.ioc;
        if known.message.is_none() {
            known.message = seen.message.filter(|message| room.take(text_bytes(message)));
        }
        unite_labels(&mut known.tags, seen.tags, room)
    },
};

const TECHNIQUES: Group<Technique> = Group {
    items_max: 100,
    bytes_max: 32 * KIB,
    key: |technique| (&technique.id, ""),
    bytes: |technique| 32 + text_bytes(&technique.id) + technique.tactic.as_deref().map_or(0, text_bytes),
    fits: |technique| technique.id.len() <= TAG_BYTES_MAX,
    merge: |known, seen, room| {
        if known.tactic.is_none() {
            known.tactic = seen.tactic.filter(|tactic| room.take(text_bytes(tactic)));
        }
        0
    },
};

/// Adds new labels of one observable. Returns the number of those that were left out.
fn unite_labels(known: &mut Vec<String>, seen: Vec<String>, room: &mut Room) -> u64 {
    let mut left_out = 0;
    for label in seen {
        if known.contains(&label) {
            continue;
        }
        if known.len() < OBSERVABLE_TAGS_MAX && (TAGS.fits)(&label) && room.take((TAGS.bytes)(&label)) {
            known.push(label);
        } else {
            left_out += 1;
        }
    }
    left_out
}

impl Incident {
    /// Cuts single texts that are too long.
    pub(super) fn cut_texts(&mut self) {
        let mut count = |text: &mut String, max| self.truncated += u64::from(cut(text, max));
        count(&mut self.title, WORDS_BYTES_MAX);
        for (text, max) in [
            (&mut self.description, DESCRIPTION_BYTES_MAX),
            (&mut self.category, WORDS_BYTES_MAX),
            (&mut self.assignee, WORDS_BYTES_MAX),
        ] {
            text.iter_mut().for_each(|text| count(text, max));
        }
        // A cut address would lead somewhere else.
        if self.external_link.take_if(|link| text_bytes(link) > LINK_BYTES_MAX).is_some() {
            self.truncated += 1;
        }
    }

    /// Adds new tags, observables and techniques to the lists.
    pub(super) fn unite(&mut self, tags: Vec<String>, mut observables: Vec<Observable>, techniques: Vec<Technique>) {
        for observable in &mut observables {
            let labels = std::mem::take(&mut observable.tags);
            self.truncated += unite_labels(&mut observable.tags, labels, &mut Room::all());
            let cuts =
                observable.message.iter_mut().filter_map(|text| cut(text, OBSERVABLE_MESSAGE_BYTES_MAX).then_some(1));
            self.truncated += cuts.sum::<u64>();
        }
        self.truncated += TAGS.unite(&mut self.tags, tags);
        self.truncated += OBSERVABLES.unite(&mut self.observables, observables);
        self.truncated += TECHNIQUES.unite(&mut self.techniques, techniques);
    }

    /// Adds details, or replaces those of the same names.
    pub(super) fn put_details(&mut self, details: DetailMap) {
        if self.details.is_empty() && fit(&details) {
            self.details = details;
            return;
        }
        let mut room = Room::of(DETAILS_BYTES, self.details.iter().map(|(name, value)| detail_bytes(name, value)));
        for (name, value) in details.into_map() {
            let (value, is_cut) = bounded_detail(value);
            self.truncated += u64::from(is_cut);
            let known = self.details.get(&name).map(|known| detail_bytes(&name, known));
            let has_place = known.is_some() || self.details.len() < DETAILS_MAX;
            room.give(known.unwrap_or(0));
            if has_place && name.len() <= DETAIL_NAME_BYTES_MAX && room.take(detail_bytes(&name, &value)) {
                self.details.insert(name, value);
            } else {
                room.take(known.unwrap_or(0));
                self.truncated += 1;
            }
        }
    }

    /// Returns whether there is room for another note.
    pub fn has_room_for_note(&self, by: &str, text: &str) -> bool {
        let bytes = |by: &str, text: &str| NOTE_FRAME_BYTES + text_bytes(by) + text_bytes(text).min(NOTE_BYTES_MAX);
        let mut room = Room::of(NOTES_BYTES, self.notes.iter().map(|note| bytes(&note.by, &note.text)));
        self.notes.len() < NOTES_MAX && room.take(bytes(by, text))
    }

    /// Adds a note.
    pub(super) fn add_note(&mut self, at: Timestamp, by: &str, mut text: String) {
        if self.has_room_for_note(by, &text) {
            self.truncated += u64::from(cut(&mut text, NOTE_BYTES_MAX));
            self.notes.push(Note { at, by: by.to_owned(), text });
        } else {
            self.truncated += 1;
        }
    }

    /// Replaces the record of a playbook's work.
    pub fn put_triage(&mut self, mut triage: Triage) {
        self.truncated += triage.problems.len().saturating_sub(PROBLEMS_MAX) as u64;
        triage.problems.truncate(PROBLEMS_MAX);
        for problem in &mut triage.problems {
            self.truncated += u64::from(cut(problem, PROBLEM_BYTES_MAX));
        }
        if let Some(error) = &mut triage.error {
            self.truncated += u64::from(cut(&mut error.message, WORDS_BYTES_MAX));
        }
        self.triage = Some(triage);
    }
}

fn detail_bytes(name: &str, value: &Value) -> usize {
    2 + text_bytes(name) + value_bytes(value)
}

/// Returns whether details can be stored as they are.
fn fit(details: &DetailMap) -> bool {
    let mut room = Room::of(DETAILS_BYTES, std::iter::empty());
    let mut fits = |(name, value): (&String, &Value)| {
        name.len() <= DETAIL_NAME_BYTES_MAX && is_whole(value) && room.take(detail_bytes(name, value))
    };
    details.len() <= DETAILS_MAX && details.iter().all(&mut fits)
}

/// Returns whether a detail is stored without a cut.
fn is_whole(value: &Value) -> bool {
    depth(value, DETAIL_DEPTH_MAX) <= DETAIL_DEPTH_MAX && value_bytes(value) <= DETAIL_BYTES_MAX
}

/// Returns a detail as it is stored, and whether it was cut.
fn bounded_detail(value: Value) -> (Value, bool) {
    if is_whole(&value) {
        return (value, false);
    }
    let mut text = match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let is_cut = cut(&mut text, DETAIL_BYTES_MAX);
    (Value::String(text), is_cut)
}
