//! Leases on work that one process at a time must do.
//!
//! Order per incident, circuit breaker and rate limit of a destination live in the process that delivers to it, so
//! leases are on destinations and sources, never on single deliveries. The task that does the work acquires the lease,
//! holds it around the work, begins nothing when [`Lease::goes_on`] turns false, and stops when [`Lease::is_held`] does.
//! Results are written under the [`Grant`] of the lease. A process that was stopped for a while does not know yet that
//! its lease was granted to another one; the writer does, and refuses its results.
//!
//! With SQLite only one process can open the data folder, so every lease is granted immediately and is never lost.

use std::fmt;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Instant;
use tokio::sync::{Notify, watch};

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

/// One grant of a lease. Writes carry it, so that a result under an old grant is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The name of the work.
    pub name: Arc<LeaseName>,
    /// The number of the grant. Each grant of a name has a larger one than the grants before.
    pub epoch: u64,
}

/// A lease that this process holds. Dropping it releases it.
#[derive(Debug)]
#[must_use = "a lease is released when it is dropped"]
pub struct Lease {
    grant: Grant,
    /// None: the lease never ends.
    tenure: Option<watch::Receiver<Tenure>>,
    /// Dropped after `tenure`, so that a release finds one holder less.
    _on_release: Option<NotifyOnDrop>,
}

/// The end of a lease, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tenure {
    /// When the lease ends, unless it is renewed.
    pub until: Instant,
    /// Whether the lease is to be released soon, because another process waits for it.
    pub is_asked_for: bool,
}

#[derive(Debug)]
struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Lease {
    /// Returns a lease that ends with its tenure. Its release notifies `released`.
    pub(crate) fn new(grant: Grant, tenure: watch::Receiver<Tenure>, released: Arc<Notify>) -> Self {
        Self { grant, tenure: Some(tenure), _on_release: Some(NotifyOnDrop(released)) }
    }

    /// Returns the grant, for the writes of the work.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Returns whether this process still holds the lease. Work under a lost lease must stop.
    pub fn is_held(&self) -> bool {
        self.tenure.as_ref().is_none_or(|tenure| Instant::now() < tenure.borrow().until)
    }

    /// Returns whether further work may begin. Otherwise the holder finishes what has begun and drops the lease.
    pub fn goes_on(&self) -> bool {
        self.is_held() && self.tenure.as_ref().is_none_or(|tenure| !tenure.borrow().is_asked_for)
    }

    /// Waits until [`Lease::goes_on`] is false.
    pub async fn ended(&self) {
        self.wait(Self::goes_on).await;
    }

    /// Waits until [`Lease::is_held`] is false.
    async fn lost(&self) {
        self.wait(Self::is_held).await;
    }

    async fn wait(&self, is_valid: impl Fn(&Self) -> bool) {
        let Some(mut tenure) = self.tenure.clone() else { return pending().await };
        while is_valid(self) {
            let until = tenure.borrow_and_update().until;
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                // The sender is dropped with the store: the lease ends with its time then.
                Ok(()) = tenure.changed() => {}
            }
        }
    }

    /// Does work while the lease is held. Returns `None` if the lease is lost before the work ends. After a pause of the
    /// whole process, the work does not take another step under a lease that was lost in the meantime.
    pub async fn while_held<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let expired = poll_fn(|_| if self.is_held() { Poll::Pending } else { Poll::Ready(()) });
        tokio::select! {
            biased;
            () = expired => None,
            () = self.lost() => None,
            done = work => Some(done),
        }
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
        let grant = Grant { name: Arc::new(name), epoch: self.last_epoch.fetch_add(1, Ordering::Relaxed) + 1 };
        Lease { grant, tenure: None, _on_release: None }
    }
}
