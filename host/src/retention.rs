//! Removes old rows in the background: in short writes with pauses between them, so that payloads are not delayed.

use crate::host::Host;
use crate::metrics::Metrics;
use crate::tasks::{lease, paced, pause};
use anyhow::Result;
use hookmill_incident::STEADY_FOR;
use hookmill_store::{Lease, LeaseName, Removed, Retention, Store, StoreError, StoredKind};
use std::mem::replace;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

/// By the clock of the host.
const PASS_EVERY: Duration = Duration::from_secs(60 * 60);
const RETRY_AFTER: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(1);
const STEADY_MINUTES: u64 = STEADY_FOR.as_secs() / 60;

/// Removes what is older than its retention, and counts that are no longer shown, until the host stops.
pub async fn remove_old_rows(host: Arc<Host>, retention: Retention, mut stopped: watch::Receiver<bool>) {
    let store = &host.store;
    let (mut due_ms, mut is_waiting) = (i64::MIN, false);
    loop {
        let now_ms = store.clock().now_ms();
        // A clock that went back must not put the next pass off.
        if now_ms >= due_ms || due_ms - now_ms > PASS_EVERY.as_millis() as i64 {
            let Some(lease) = lease(store, LeaseName::Purge, &mut stopped).await else { return };
            let work = Pass { store, metrics: &host.metrics, lease: &lease, stopped: &stopped };
            let next = match work.run(&retention).await {
                Ok(End::Done) => {
                    is_waiting = false;
                    host.metrics.retention_done(store.clock().now_ms() / 1000);
                    host.metrics.retention_pass("done");
                    PASS_EVERY
                }
                Ok(End::Clock) => {
                    if !replace(&mut is_waiting, true) {
                        info!("retention removes nothing until the clock has kept pace for {STEADY_MINUTES} minutes");
                    }
                    host.metrics.retention_pass("clock");
                    RETRY_AFTER
                }
                // Nothing is wrong, and the next pass continues.
                Ok(End::Interrupted) => RETRY_AFTER,
                Err(error) => {
                    warn!("old rows cannot be removed, will try again: {error:#}");
                    host.metrics.retention_pass("failed");
                    RETRY_AFTER
                }
            };
            due_ms = now_ms + next.as_millis() as i64;
        }
        if !pause(LOOK_EVERY, &mut stopped).await {
            return;
        }
    }
}

/// The end of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Everything that is old was removed.
    Done,
    /// The clock may be wrong.
    Clock,
    /// The host stops, or another one has the lease.
    Interrupted,
}

/// One look at everything that is old.
struct Pass<'a> {
    store: &'a Store,
    metrics: &'a Metrics,
    lease: &'a Lease,
    stopped: &'a watch::Receiver<bool>,
}

impl Pass<'_> {
    async fn run(&self, retention: &Retention) -> Result<End, StoreError> {
        while self.goes_on() && paced(self.store.purge_counts(self.lease.grant())).await? {}
        let (mut removed, mut is_clock_steady) = (Removed::default(), true);
        for kind in Retention::KINDS {
            if let Some(age) = retention.age(kind) {
                is_clock_steady &= self.remove(kind, age, &mut removed).await?;
            }
        }
        if !removed.0.is_empty() {
            info!("retention removed {removed}");
        }
        while self.goes_on() && paced(self.store.release_pages(self.lease.grant())).await? {}
        Ok(match (self.goes_on(), is_clock_steady) {
            (false, _) => End::Interrupted,
            (true, false) => End::Clock,
            (true, true) => End::Done,
        })
    }

    /// Removes the rows of one kind. Returns whether the clock is right.
    async fn remove(&self, kind: StoredKind, age: Duration, all: &mut Removed) -> Result<bool, StoreError> {
        let Some(before) = self.store.aged_key(age) else { return Ok(false) };
        let mut from = None;
        while self.goes_on() {
            let pruned = paced(self.store.prune(self.lease.grant(), kind, before, from)).await?;
            for (kind, count) in &pruned.removed.0 {
                self.metrics.retention_removed(kind.as_str(), count.rows as u64);
            }
            all.merge(&pruned.removed);
            from = pruned.next;
            if from.is_none() {
                break;
            }
        }
        Ok(true)
    }

    fn goes_on(&self) -> bool {
        !*self.stopped.borrow() && self.lease.goes_on()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookmill_incident::Clock;
    use hookmill_store::{Dedup, Leases, Policy};
    use std::time::Instant;

    #[tokio::test]
    async fn a_pass_that_the_stop_of_the_host_interrupts_is_not_done() {
        let folder = tempfile::tempdir().unwrap();
        let policy = Policy {
            dedup: Dedup { retention: Duration::ZERO, window: Duration::ZERO },
            reopen_within: Duration::ZERO,
        };
        let clock = Clock::steady_since(Instant::now().checked_sub(STEADY_FOR).unwrap());
        let store = Store::open(folder.path(), 16, policy, Box::new(|_, _| {}), clock).unwrap();
        let lease = store.acquire(LeaseName::Purge).await;
        let (stop, stopped) = watch::channel(false);
        let pass = Pass { store: &store, metrics: &Metrics::default(), lease: &lease, stopped: &stopped };
        let retention = Retention { events: Some(Duration::ZERO), ..Retention::default() };
        assert_eq!(pass.run(&retention).await.unwrap(), End::Done);
        stop.send_replace(true);
        assert_eq!(pass.run(&retention).await.unwrap(), End::Interrupted);
    }
}
