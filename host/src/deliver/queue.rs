//! The task of one destination: reads due deliveries from the store and attempts them, as many concurrently as the
//! destination allows.

use super::activity::Activity;
use super::attempt::{AttemptResult, attempt};
use super::context::DeliveryContext;
use super::destination::Destination;
use super::queue_reader::Reading;
use super::queue_state::{POLL_INTERVAL, QueueState};
use super::record::{STORE_PAUSE, Unrecorded, record};
use crate::tasks::lease;
use anyhow::Result;
use hookmill_store::{DueDeliveries, Lease, LeaseName, Next, QueueRead};
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::{self, JoinError};
use tokio::time::sleep_until;
use tracing::{info, warn};

/// The interval of checking, after a start, whether the plugins are loaded, for a destination with a notifier.
const PLUGINS_PAUSE: Duration = Duration::from_millis(100);
/// The number of deliveries read from the store in one go, per concurrent attempt.
const READ_AHEAD: usize = 8;
/// The maximum number of deliveries read in one go; each of them has its message in memory.
const READ_MAX: usize = 64;
/// Results that may wait for the disk; after a crash their deliveries are attempted again.
const UNRECORDED_MAX: usize = 256;

/// The task of one destination.
pub(super) struct Queue {
    pub destination: Arc<Destination>,
    pub activity: Arc<Mutex<Activity>>,
    pub context: Arc<DeliveryContext>,
}

impl Queue {
    /// Delivers until `stopped` is set, then waits for running attempts and records them.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let name = LeaseName::Destination(self.destination.name.clone());
        while let Some(lease) = lease(&self.context.store, name.clone(), &mut stopped).await {
            self.run_under(&Arc::new(lease), &mut stopped).await;
        }
    }

    /// Delivers until the lease ends or `stopped` is set. Attempts end when the lease is lost.
    async fn run_under(&self, lease: &Arc<Lease>, stopped: &mut watch::Receiver<bool>) {
        let store = &self.context.store;
        let mut state = QueueState::new();
        // Watched before the first read, so that nothing is missed between the two.
        let name = &self.destination.name;
        let (mut deliveries, mut retries) = (store.watch_deliveries(name), store.watch_retries(name));
        while !*stopped.borrow() && lease.goes_on() {
            self.begin(&mut state, lease);
            self.start_recording(&mut state, lease);
            tokio::select! {
                Some(done) = state.attempts.join_next_with_id() => self.end_attempt(&mut state, done),
                Some(ended) = state.recording.join_next() => state.finish_recording(ended),
                read = next_read(&mut state.reading) => self.end_read(&mut state, read),
                _ = deliveries.changed() => state.is_stale = true,
                _ = retries.changed() => {
                    state.is_stale = true;
                    state.breaker.retry_now();
                    self.update_activity(|activity| activity.set_breaker(&state.breaker));
                }
                () = sleep_until(state.read_at.into()) => {
                    state.start_over();
                    state.read_in(POLL_INTERVAL);
                }
                () = lease.ended() => {}
                _ = stopped.changed() => {}
            }
        }
        while !state.attempts.is_empty() || state.unrecorded_count() > 0 {
            self.start_recording(&mut state, lease);
            tokio::select! {
                Some(done) = state.attempts.join_next_with_id() => self.end_attempt(&mut state, done),
                Some(ended) = state.recording.join_next() => state.finish_recording(ended),
            }
        }
    }

    fn end_attempt(&self, state: &mut QueueState, done: Result<(task::Id, Option<AttemptResult>), JoinError>) {
        let (task, result) = match done {
            Ok((task, result)) => (task, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some((id, attempts)) = state.in_progress.remove(&task) else { return };
        let now = self.context.store.clock().now_ms();
        let result = result.unwrap_or_else(|_| Some(AttemptResult::panicked(&self.destination, id, attempts, now)));
        let Some(result) = result else { return };
        let before = state.breaker.paused_until();
        state.breaker.record(&result, Instant::now());
        self.update_activity(|activity| activity.record(&result.attempted.attempt, &state.breaker));
        if let Some(until) = state.breaker.paused_until().filter(|until| Some(*until) != before) {
            let seconds = until.saturating_duration_since(Instant::now()).as_secs_f64().round();
            info!(destination = self.destination.name, "destination paused for {seconds} s");
        }
        state.is_gone |= result.is_gone;
        state.unrecorded.push(Unrecorded { result, failures: state.breaker.failures() });
    }

    fn update_activity(&self, update: impl FnOnce(&mut Activity)) {
        update(&mut self.activity.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Records all unrecorded results together, unless a recording is in progress.
    fn start_recording(&self, state: &mut QueueState, lease: &Lease) {
        if state.unrecorded.is_empty() || !state.recording.is_empty() {
            return;
        }
        let results = std::mem::take(&mut state.unrecorded);
        state.being_recorded.extend(results.iter().map(|unrecorded| unrecorded.result.attempted.delivery));
        let (destination, context, under) = (self.destination.clone(), self.context.clone(), lease.grant().clone());
        state.recording.spawn(async move {
            record(&destination, &results, &under, &context).await;
            results.iter().all(|unrecorded| unrecorded.result.attempted.next == Next::Delivered)
        });
    }

    /// Returns whether the destination is being disabled. Its waiting deliveries become dead letters; only retries that are
    /// requested afterwards are sent.
    fn is_being_disabled(&self, state: &QueueState) -> bool {
        state.is_gone || (!state.recording.is_empty() && self.context.store.is_disabled(&self.destination.name))
    }

    fn end_read(&self, state: &mut QueueState, read: Result<DueDeliveries>) {
        state.reading = None;
        match read {
            Ok(due) => {
                state.has_waiting |= due.has_waiting;
                state.more_after = due.more_after;
                state.ready.extend(due.deliveries);
                if state.more_after.is_none() {
                    let wait = due.next_at.map(|at| {
                        Duration::from_millis((at - self.context.store.clock().now_ms()).max(0).unsigned_abs())
                    });
                    state.read_in(wait.unwrap_or(POLL_INTERVAL));
                }
            }
            Err(error) => {
                warn!(destination = self.destination.name, "cannot read due deliveries: {error:#}");
                state.more_after = None;
                state.read_in(STORE_PAUSE);
            }
        }
    }

    /// Starts ready deliveries, as many as the destination allows, and reads more.
    fn begin(&self, state: &mut QueueState, lease: &Arc<Lease>) {
        if self.destination.waits_for_plugins(&self.context.loaded) {
            return state.read_in(PLUGINS_PAUSE);
        }
        if self.is_being_disabled(state) {
            state.ready.clear();
            return state.start_over();
        }
        let concurrency = match state.breaker.concurrency(self.destination.concurrency, Instant::now()) {
            Ok(concurrency) => concurrency,
            Err(wait) => {
                // After the pause the queue is read from its front.
                state.ready.clear();
                state.start_over();
                return state.read_in(wait);
            }
        };
        match self.start_attempts(state, lease, concurrency) {
            Ok(()) => self.start_read(state, concurrency),
            Err(wait) => state.read_in(wait),
        }
    }

    /// Starts attempts.
    ///
    /// # Errors
    /// Returns the wait that the rate limit requires as an error.
    fn start_attempts(&self, state: &mut QueueState, lease: &Arc<Lease>, concurrency: usize) -> Result<(), Duration> {
        while state.in_progress.len() < concurrency
            && state.unrecorded_count() < UNRECORDED_MAX
            && let Some(delivery) = state.ready.pop_front()
        {
            if let Err(wait) = self.destination.rate_limit.take() {
                state.ready.push_front(delivery);
                return Err(wait);
            }
            let id = (delivery.id, delivery.attempts);
            let (destination, context, lease) = (self.destination.clone(), self.context.clone(), lease.clone());
            let task =
                state.attempts.spawn(async move { lease.while_held(attempt(&destination, delivery, &context)).await });
            state.in_progress.insert(task.id(), id);
        }
        Ok(())
    }

    fn start_read(&self, state: &mut QueueState, concurrency: usize) {
        let limit = (READ_AHEAD * concurrency).min(READ_MAX);
        let has_more = state.more_after.is_some() || (state.is_stale && state.ready.is_empty());
        if !has_more || state.ready.len() >= limit / 2 || state.reading.is_some() {
            return;
        }
        state.has_waiting &= state.more_after.is_some();
        // A read that continues after a position misses new deliveries before that position, so the state stays stale.
        state.is_stale &= state.more_after.is_some();
        let after = state.more_after.unwrap_or_default();
        let (destination, now) = (self.destination.name.clone(), self.context.store.clock().now_ms());
        let without = state.known_ids();
        state.reading = Some(self.context.queues.request(QueueRead { destination, now, after, limit, without }));
    }
}

/// Waits for what is being read, if anything is.
async fn next_read(reading: &mut Option<Reading>) -> Result<DueDeliveries> {
    match reading {
        Some(reading) => reading.await?,
        None => pending().await,
    }
}
