//! Keeps reads from holding up the log.
//!
//! SQLite cannot begin its write-ahead log anew while a read uses an older snapshot. Reads that overlap for ever would
//! make the log grow for ever. When it has grown too much, the writer closes the gate, lets the running reads end, ends
//! those that do not, empties the log and opens the gate again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The gate that every read passes.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
    ends_reads: AtomicBool,
}

#[derive(Debug, Default)]
struct GateState {
    is_closed: bool,
    reads: usize,
}

/// A read that is under way.
pub(super) struct Entered<'a>(&'a Gate);

impl Gate {
    /// Waits until the gate is open. Blocks.
    pub fn enter(&self) -> Entered<'_> {
        let mut state = self.lock();
        while state.is_closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.reads += 1;
        Entered(self)
    }

    /// Returns whether running reads must end now.
    pub fn ends_reads(&self) -> bool {
        self.ends_reads.load(Ordering::Relaxed)
    }

    /// Runs `work` while no read is under way. Reads that do not end within `grace` are ended.
    pub fn without_reads<T>(&self, grace: Duration, work: impl FnOnce() -> T) -> T {
        self.lock().is_closed = true;
        self.wait_for_reads(grace);
        self.ends_reads.store(true, Ordering::Relaxed);
        self.wait_for_reads(grace);
        let result = work();
        self.ends_reads.store(false, Ordering::Relaxed);
        self.lock().is_closed = false;
        self.changed.notify_all();
        result
    }

    fn wait_for_reads(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        let mut state = self.lock();
        while state.reads > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.lock().reads -= 1;
        self.0.changed.notify_all();
    }
}
