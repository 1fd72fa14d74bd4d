//! The options with which the host opens the store.

use std::time::Duration;

/// The rules by which repeats are recognised and incidents are reopened.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The recognition of repeats.
    pub dedup: Dedup,
    /// The time after its end in which a vendor can reopen an incident.
    pub reopen_within: Duration,
}

/// The recognition of repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dedup {
    /// The time for which an event is recognised by its signed time or its sender's delivery id.
    pub retention: Duration,
    /// The time for which an event without these is recognised by its body alone.
    pub window: Duration,
}

/// A function that is called after each commit with the number of writes in it and its duration.
pub type OnCommit = Box<dyn Fn(usize, Duration) + Send>;
