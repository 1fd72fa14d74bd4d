//! Counts of what happens, by minute.

use crate::clock::WriteClock;
use crate::rows::CountKind;
use std::collections::BTreeMap;

pub(super) const MINUTE_MS: i64 = 60_000;

/// Counts that are not written yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts(pub BTreeMap<CountKey, u64>);

/// One thing that is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CountKey {
    /// In minutes since the Unix epoch.
    pub minute: i64,
    pub kind: CountKind,
    /// The source or the destination.
    pub name: String,
    pub result: &'static str,
}

impl Counts {
    /// Counts something that happened now.
    pub fn add(&mut self, clock: &WriteClock, kind: CountKind, name: &str, result: &'static str, count: u64) {
        if count > 0 {
            let key = CountKey { minute: clock.now_ms() / MINUTE_MS, kind, name: name.to_owned(), result };
            *self.0.entry(key).or_default() += count;
        }
    }
}
