//! The options with which the host opens the store.

use hookmill_incident::words;
use std::time::Duration;

words!(
    /// The kind of a database that many hosts share. docs/SCALE.md lists what the others lack, and what is done instead.
    Profile {
        /// PostgreSQL.
        Postgres = "postgres",
        /// CockroachDB.
        CockroachDb = "cockroachdb",
        /// YugabyteDB.
        YugabyteDb = "yugabytedb",
    }
);

/// The host that opens a store.
#[derive(Clone, Debug)]
pub struct HostIdentity {
    /// Its id, new at each start.
    pub id: String,
    /// The name of its machine or container.
    pub name: String,
    /// Its version of Hookmill.
    pub version: String,
}

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
