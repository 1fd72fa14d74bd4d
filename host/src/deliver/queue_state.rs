//! The state of one destination's queue.

use super::attempt::AttemptResult;
use super::breaker::Breaker;
use super::queue_reader::Reading;
use super::record::Unrecorded;
use hookmill_store::{DueDelivery, QueuePosition};
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};
use tokio::task::{self, JoinError, JoinSet};
use uuid::Uuid;

/// The interval of reading the store without a signal: a change of the system clock can make deliveries due.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(60);

/// The state of one destination's queue.
pub(super) struct QueueState {
    pub ready: VecDeque<DueDelivery>,
    /// More from the store, which is read while ready deliveries are sent.
    pub reading: Option<Reading>,
    /// The position in the store after which more deliveries are due.
    pub more_after: Option<QueuePosition>,
    /// Whether the store may have deliveries that were not read.
    pub is_stale: bool,
    /// Whether the last read from the front left out deliveries that are to be read when attempts were recorded.
    pub has_waiting: bool,
    /// The time of the next read without a signal.
    pub read_at: Instant,
    /// The deliveries of running attempts, with their number of earlier attempts.
    pub in_progress: HashMap<task::Id, (Uuid, u32)>,
    /// None: the lease was lost before the attempt ended.
    pub attempts: JoinSet<Option<AttemptResult>>,
    /// Results to record when the recording in progress has ended.
    pub unrecorded: Vec<Unrecorded>,
    /// Deliveries whose results are not on disk yet; they must not be attempted again.
    pub being_recorded: Vec<Uuid>,
    /// Whether all deliveries whose results are being recorded are delivered.
    pub recording: JoinSet<bool>,
    pub breaker: Breaker,
    /// Whether the receiver answered 410 Gone and that is not recorded yet.
    pub is_gone: bool,
}

impl QueueState {
    pub fn new() -> Self {
        Self {
            ready: VecDeque::new(),
            reading: None,
            more_after: None,
            is_stale: true,
            has_waiting: false,
            read_at: Instant::now() + POLL_INTERVAL,
            in_progress: HashMap::new(),
            attempts: JoinSet::new(),
            unrecorded: Vec::new(),
            being_recorded: Vec::new(),
            recording: JoinSet::new(),
            breaker: Breaker::default(),
            is_gone: false,
        }
    }

    /// Makes the next read start at the front of the queue.
    pub fn start_over(&mut self) {
        (self.reading, self.more_after, self.is_stale) = (None, None, true);
    }

    /// Notes that a recording is on disk. A read that is under way may not see it, and one that continues after a position
    /// passes over what the recording released before that.
    pub fn finish_recording(&mut self, ended: Result<bool, JoinError>) {
        let all_are_delivered = ended.unwrap_or(false);
        self.being_recorded.clear();
        let is_reading = self.reading.is_some() || self.more_after.is_some();
        self.is_stale |= !all_are_delivered || self.has_waiting || is_reading;
        self.is_gone &= !self.unrecorded.is_empty();
    }

    /// Returns the deliveries that must not be read again.
    pub fn known_ids(&self) -> HashSet<Uuid> {
        let in_progress = self.in_progress.values().map(|(id, _)| *id);
        let ready = self.ready.iter().map(|delivery| delivery.id);
        let unrecorded = self.unrecorded.iter().map(|unrecorded| unrecorded.result.attempted.delivery);
        in_progress.chain(ready).chain(unrecorded).chain(self.being_recorded.iter().copied()).collect()
    }

    /// Returns the number of results that are not on disk.
    pub fn unrecorded_count(&self) -> usize {
        self.unrecorded.len() + self.being_recorded.len()
    }

    /// Schedules the next read without a signal.
    pub fn read_in(&mut self, wait: Duration) {
        self.read_at = Instant::now() + wait.min(POLL_INTERVAL);
    }
}
