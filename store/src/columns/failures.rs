//! The failures of events in quarantine, and the groups that they make.

use crate::rows::{QuarantineCause, QuarantineGroup};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use uuid::Uuid;

/// The different failures that are grouped, the newest ones: so many are read in a fraction of a second.
pub(crate) const FAILURES_MAX: i64 = 10_000;

/// What the row of a failed event says about the failure: the code, the tried versions in JSON, and the message.
pub(crate) type Failure<'a> = [Option<&'a str>; 3];

/// Returns the cause of a failure. An event of another version of Hookmill, or a damaged one, has none; the list of events
/// shows it.
pub(crate) fn cause([code, tried, message]: Failure) -> Option<QuarantineCause> {
    let tried: Vec<String> = serde_json::from_str(tried?).ok()?;
    Some(QuarantineCause::new(code?.parse().ok()?, &tried, message.unwrap_or_default()))
}

/// Groups that are collected. Keys stand for events.
#[derive(Default)]
pub(crate) struct Groups(BTreeMap<QuarantineCause, Group>);

/// A group without its cause.
pub(crate) struct Group {
    count: u64,
    sources: BTreeSet<String>,
    /// From the oldest event to the newest one.
    pub keys: RangeInclusive<i64>,
}

impl Groups {
    /// Adds events of one source with the same failure.
    pub fn add(&mut self, failure: Failure, source: String, count: u64, keys: RangeInclusive<i64>) {
        let Some(cause) = cause(failure) else { return };
        let new = || Group { count: 0, sources: BTreeSet::new(), keys: keys.clone() };
        let group = self.0.entry(cause).or_insert_with(new);
        group.count += count;
        group.keys = *keys.start().min(group.keys.start())..=*keys.end().max(group.keys.end());
        group.sources.insert(source);
    }

    /// Returns the groups whose newest event has a key below `before`, the one with the newest event first, and the place
    /// of the next ones.
    pub fn page(self, before: Option<i64>, limit: usize) -> (Vec<(QuarantineCause, Group)>, Option<i64>) {
        let is_after = |group: &Group| before.is_none_or(|before| *group.keys.end() < before);
        let mut listed: Vec<_> = self.0.into_iter().filter(|(_, group)| is_after(group)).collect();
        listed.sort_by_key(|(_, group)| Reverse(*group.keys.end()));
        let next = (listed.len() > limit).then(|| *listed[limit - 1].1.keys.end());
        listed.truncate(limit);
        (listed, next)
    }
}

impl Group {
    /// Returns the group with its cause, its oldest and its newest event, each with its time of arrival.
    pub fn with(self, cause: QuarantineCause, oldest: (Uuid, i64), newest: (Uuid, i64)) -> QuarantineGroup {
        QuarantineGroup { cause, count: self.count, sources: self.sources, oldest, newest }
    }
}

/// The events of one group that are collected.
pub(crate) struct Members<'a> {
    group: &'a str,
    /// Whether a cause is that of the group: events with the same message come one after the other.
    last: Option<([Option<String>; 3], bool)>,
    known: BTreeMap<QuarantineCause, bool>,
    keys: Vec<i64>,
}

impl<'a> Members<'a> {
    /// Begins with the id of a group.
    pub fn of(group: &'a str) -> Self {
        Self { group, last: None, known: BTreeMap::new(), keys: Vec::new() }
    }

    /// Adds an event if it is of the group.
    pub fn add(&mut self, failure: Failure, key: i64) {
        let is_same = self.last.as_ref().is_some_and(|(last, _)| last.each_ref().map(Option::as_deref) == failure);
        if !is_same {
            let is_of_group = cause(failure).is_some_and(|cause| self.is_cause_of_group(cause));
            self.last = Some((failure.map(|text| text.map(str::to_owned)), is_of_group));
        }
        if self.last.as_ref().is_some_and(|(_, is_of_group)| *is_of_group) {
            self.keys.push(key);
        }
    }

    fn is_cause_of_group(&mut self, cause: QuarantineCause) -> bool {
        let known = self.known.get(&cause).copied();
        known.unwrap_or_else(|| {
            let is_of_group = cause.group_id() == self.group;
            self.known.insert(cause, is_of_group);
            is_of_group
        })
    }

    /// Returns the keys of the oldest events, and the place of the next ones.
    pub fn page(mut self, limit: usize) -> (Vec<i64>, Option<i64>) {
        self.keys.sort_unstable();
        let next = (self.keys.len() > limit).then(|| self.keys[limit - 1]);
        self.keys.truncate(limit);
        (self.keys, next)
    }
}
