//! Leases on work that one process at a time must do.
//!
//! Order per incident, circuit breaker and rate limit of a destination live in the process that delivers to it, so
//! leases are on destinations and sources, never on single deliveries. The task that does the work acquires the lease,
//! holds it around the work, and stops when [`Lease::is_held`] turns false. With SQLite only one process can open the
//! data folder, so every lease is granted immediately and is never lost.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The name of work that one process at a time must do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaseName {
    /// Delivery to the destination of this name.
    Destination(String),
    /// Pulling from the source of this name.
    Source(String),
    /// Triage with the playbook of this name.
    Playbook(String),
    /// Mapping queued events again.
    Remap,
    /// Proofs of plugin versions.
    Proof,
    /// Notices about silent sources.
    Silence,
    /// Removal of old rows.
    Purge,
}

impl fmt::Display for LeaseName {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Destination(name) => write!(formatter, "destination/{name}"),
            Self::Source(name) => write!(formatter, "source/{name}"),
            Self::Playbook(name) => write!(formatter, "playbook/{name}"),
            Self::Remap => formatter.write_str("remap"),
            Self::Proof => formatter.write_str("proof"),
            Self::Silence => formatter.write_str("silence"),
            Self::Purge => formatter.write_str("purge"),
        }
    }
}

/// A source of leases.
pub trait Leases {
    /// Waits until no other process holds the lease of this name, and acquires it.
    fn acquire(&self, name: LeaseName) -> impl Future<Output = Lease> + Send;
}

/// A lease that this process holds. Dropping it releases it.
#[derive(Debug)]
#[must_use = "a lease is released when it is dropped"]
pub struct Lease {
    name: LeaseName,
    epoch: u64,
}

impl Lease {
    /// Returns the name of the work.
    pub fn name(&self) -> &LeaseName {
        &self.name
    }

    /// Returns whether this process still holds the lease. Work under a lost lease must stop.
    pub fn is_held(&self) -> bool {
        true
    }

    /// Returns the number of this grant. Each grant of a name has a larger one than the grants before, so that a result
    /// under an old epoch can be refused.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// The leases of a database that only one process can open. Epochs restart with each process. That is sufficient,
/// because no result of a process can arrive after its end.
#[derive(Debug, Default)]
pub(crate) struct LocalLeases {
    last_epoch: AtomicU64,
}

impl Leases for LocalLeases {
    async fn acquire(&self, name: LeaseName) -> Lease {
        Lease { name, epoch: self.last_epoch.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}
