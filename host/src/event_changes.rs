//! New events and changes of their status in the order of their commits, and refused requests among them, for clients that
//! follow them.
//!
//! The rows do not have this order, so the newest changes are remembered in memory. A client whose position is older, or from
//! before the host's last start, is asked to read the list again.

use crate::refusals::{Refusals, RefusedRequests};
use hookmill_store::Store;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

/// The number of changes that are remembered.
const CHANGES_MAX: usize = 20_000;
/// The interval at which refused requests become changes. Between two of these, requests of one entry are one change.
const REFUSALS_INTERVAL: Duration = Duration::from_secs(1);
/// The maximum number of refused requests that become changes at once; the newest ones do.
const REFUSALS_AT_ONCE: usize = 64;

/// A change that clients follow.
#[derive(Clone, Debug)]
pub enum EventChange {
    /// An event is new, or its status changed.
    Event(Uuid),
    /// Requests were refused.
    Refusal(Arc<RefusedRequests>),
}

/// The newest changes.
#[derive(Debug)]
pub struct EventChanges {
    store: Arc<Store>,
    refusals: Arc<Refusals>,
    remembered: Mutex<Remembered>,
    newest: watch::Sender<Uuid>,
}

#[derive(Debug)]
struct Remembered {
    /// The changes with their positions, the newest last.
    changes: VecDeque<(Uuid, EventChange)>,
    /// The remembered changes are those after this position.
    from: Uuid,
}

impl EventChanges {
    /// Begins now. Positions are ids, so those of an earlier start come before.
    pub fn new(store: Arc<Store>, refusals: Arc<Refusals>) -> Self {
        let from = store.new_id();
        let remembered = Mutex::new(Remembered { changes: VecDeque::new(), from });
        Self { store, refusals, remembered, newest: watch::Sender::new(from) }
    }

    /// Watches the position of the newest change.
    pub fn watch(&self) -> watch::Receiver<Uuid> {
        self.newest.subscribe()
    }

    /// Returns at most `limit` changes after a position, or `None` if not all of them are remembered.
    pub fn after(&self, position: Uuid, limit: usize) -> Option<Vec<(Uuid, EventChange)>> {
        let remembered = self.lock();
        if position < remembered.from {
            return None;
        }
        let first = remembered.changes.partition_point(|(at, _)| *at <= position);
        Some(remembered.changes.range(first..).take(limit).cloned().collect())
    }

    /// Remembers changes until the host stops.
    pub async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut events = self.store.watch_events();
        let mut tick = tokio::time::interval(REFUSALS_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = events.recv() => match changed {
                    Ok(Some(ids)) => self.add(ids.iter().copied().map(EventChange::Event)),
                    Ok(None) | Err(RecvError::Lagged(_)) => self.forget(),
                    Err(RecvError::Closed) => return,
                },
                _ = tick.tick() => {
                    let changed = self.refusals.take_changed(REFUSALS_AT_ONCE);
                    self.add(changed.into_iter().map(|refused| EventChange::Refusal(Arc::new(refused))));
                }
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
        }
    }

    fn add(&self, changes: impl Iterator<Item = EventChange>) {
        let mut remembered = self.lock();
        let Remembered { changes: kept, from } = &mut *remembered;
        kept.extend(changes.map(|change| (self.store.new_id(), change)));
        let beyond = kept.len().saturating_sub(CHANGES_MAX);
        if let Some((last, _)) = kept.drain(..beyond).next_back() {
            *from = last;
        }
        let newest = kept.back().map_or(*from, |(at, _)| *at);
        drop(remembered);
        self.newest.send_if_modified(|known| std::mem::replace(known, newest) != newest);
    }

    /// Forgets all changes, because some were missed.
    fn forget(&self) {
        let mut remembered = self.lock();
        *remembered = Remembered { changes: VecDeque::new(), from: self.store.new_id() };
        let from = remembered.from;
        drop(remembered);
        self.newest.send_replace(from);
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
