//! What this host committed itself, which the task that follows other hosts leaves out.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The counters of deliveries, retries, queued events and triage requests, for which tasks wait.
pub(super) type TaskCounters = [i64; 4];

/// The groups of this host that were not looked at yet, with what they added to the counters. It was published already.
#[derive(Default)]
pub(super) struct OwnGroups(Mutex<BTreeMap<i64, TaskCounters>>);

impl OwnGroups {
    /// Adds a group that was committed.
    pub fn add(&self, number: i64, counters: TaskCounters) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number, counters);
    }

    /// Takes the groups up to a number, and returns what those after another one added.
    pub fn take(&self, after: i64, until: i64) -> TaskCounters {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let later = groups.split_off(&(until + 1));
        let taken = std::mem::replace(&mut *groups, later);
        let counters = taken.range(after + 1..).map(|(_, counters)| counters);
        counters
            .fold(TaskCounters::default(), |sum, counters| std::array::from_fn(|index| sum[index] + counters[index]))
    }
}
