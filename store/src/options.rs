//! The options with which the host opens the store.

use hookmill_incident::words;
use rustls::ClientConfig;
use std::fmt;
use std::sync::Arc;
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

words!(
    /// The kind of a database that many hosts share: what it lacks beside PostgreSQL is not used.
    Profile {
        /// PostgreSQL.
        Postgres = "postgres",
        /// CockroachDB, which has no notices.
        CockroachDb = "cockroachdb",
        /// YugabyteDB, which has no notices.
        YugabyteDb = "yugabytedb",
    }
);

impl Default for Profile {
    fn default() -> Self {
        Self::Postgres
    }
}

impl Profile {
    /// Returns whether commits of other hosts can be noticed with LISTEN and NOTIFY.
    pub(crate) fn has_notices(self) -> bool {
        self == Self::Postgres
    }
}

/// A database that many hosts share.
#[derive(Clone)]
pub struct SharedDatabase {
    /// The URL, `postgres://…`, which may have a password.
    pub url: String,
    /// What the database is.
    pub profile: Profile,
    /// How certificates are verified if the URL has `sslmode=require`.
    pub tls: Arc<ClientConfig>,
    /// The name under which this host is listed.
    pub host_name: String,
}

impl fmt::Debug for SharedDatabase {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("SharedDatabase").field("host_name", &self.host_name).finish_non_exhaustive()
    }
}
