//! The task of one destination: takes what is due from the store, as much at once as the destination may get.

use super::attempt::{Office, Tried, attempt, record};
use super::destination::Destination;
use anyhow::{Error, Result};
use hookmill_connection::with_jitter;
use hookmill_incident::timestamp::unix_ms;
use hookmill_store::{DueDeliveries, DueDelivery, Health, QueuePosition};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::sleep_until;
use tracing::{info, warn};
use uuid::Uuid;

/// How often to look without being told: the clock that says what is due may be set.
const LOOK: Duration = Duration::from_secs(60);
/// How long to wait for the plugins at the start, before a destination's notifier is looked for again.
const PLUGINS_PAUSE: Duration = Duration::from_millis(100);
/// How long to wait when the store cannot be read or written.
pub(super) const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Deliveries that are read from the store at once, per attempt that may be under way.
const READ_AHEAD: usize = 8;

/// The most of them: each holds what it tells of.
const READ_MAX: usize = 64;
/// Attempts that may wait for the disk while others are made; a host that is killed makes them once more.
const UNRECORDED_MAX: usize = 256;

/// Failures in a row after which a destination is left alone for a while, with one attempt at the end of it.
pub(super) const FAILURES: u32 = 10;
const PAUSE_MIN: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);

/// Leaves a destination alone that takes nothing, so that what waits for it costs nothing meanwhile.
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    pause: Duration,
    closed_until: Option<Instant>,
}

impl Breaker {
    /// How many attempts may be under way, or how long there may be none.
    fn room(&self, concurrency: usize, now: Instant) -> Result<usize, Duration> {
        match self.closed_until.filter(|until| *until > now) {
            Some(until) => Err(until - now),
            None if self.failures >= FAILURES => Ok(1),
            None => Ok(concurrency),
        }
    }

    fn hear(&mut self, tried: &Tried, now: Instant) {
        match tried.attempted.health {
            Health::Well => *self = Self::default(),
            Health::Unknown => {}
            Health::Failing => {
                self.failures += 1;
                // Those that were under way when it closed say nothing new.
                if self.failures >= FAILURES && self.closed_until.is_none_or(|until| until <= now) {
                    self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                    self.closed_until = Some(now + with_jitter(self.pause));
                }
                if let Some(asked) = tried.retry_after {
                    self.closed_until = self.closed_until.max(Some(now + asked.min(PAUSE_MAX)));
                }
            }
        }
    }
}

/// The task of one destination.
pub(super) struct Queue {
    pub destination: Arc<Destination>,
    pub office: Arc<Office>,
    /// Ends the pause of the destination.
    pub retry_now: Arc<Notify>,
}

/// What the task has in hand.
struct Hand {
    ready: VecDeque<DueDelivery>,
    /// What is being read from the store, while what is ready is sent.
    reading: JoinSet<Result<DueDeliveries>>,
    /// Where the store has more that is due than was read.
    more_after: Option<QueuePosition>,
    /// Whether the store may have something since it was read.
    is_stale: bool,
    /// When to look again.
    look_at: Instant,
    /// With the attempts that were made before.
    under_way: HashMap<task::Id, (Uuid, u32)>,
    attempts: JoinSet<Tried>,
    /// Made, and to be recorded when those before are.
    tried: Vec<Tried>,
    /// Until they are on disk they are not begun again either.
    being_recorded: Vec<Uuid>,
    recording: JoinSet<()>,
    breaker: Breaker,
    /// The receiver asks not to be called again, and that is not recorded yet.
    is_gone: bool,
}

impl Hand {
    fn new() -> Self {
        Self {
            ready: VecDeque::new(),
            reading: JoinSet::new(),
            more_after: None,
            is_stale: true,
            look_at: Instant::now() + LOOK,
            under_way: HashMap::new(),
            attempts: JoinSet::new(),
            tried: Vec::new(),
            being_recorded: Vec::new(),
            recording: JoinSet::new(),
            breaker: Breaker::default(),
            is_gone: false,
        }
    }

    /// Reads from the front of the queue when it reads next.
    fn start_over(&mut self) {
        self.reading = JoinSet::new();
        (self.more_after, self.is_stale) = (None, true);
    }

    /// What was recorded is on disk.
    fn recorded(&mut self) {
        self.being_recorded.clear();
        self.is_stale = true;
        self.is_gone &= !self.tried.is_empty();
    }

    /// Everything that is not to be begun again.
    fn ids(&self) -> HashSet<Uuid> {
        let under_way = self.under_way.values().map(|(id, _)| *id);
        let ready = self.ready.iter().map(|delivery| delivery.id);
        let tried = self.tried.iter().map(|tried| tried.attempted.delivery);
        under_way.chain(ready).chain(tried).chain(self.being_recorded.iter().copied()).collect()
    }

    fn unrecorded(&self) -> usize {
        self.tried.len() + self.being_recorded.len()
    }

    fn look_in(&mut self, wait: Duration) {
        self.look_at = Instant::now() + wait.min(LOOK);
    }
}

impl Queue {
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut hand = Hand::new();
        let mut deliveries = self.office.store.watch_deliveries();
        while !*stopped.borrow() {
            self.begin(&mut hand);
            self.have_recorded(&mut hand);
            tokio::select! {
                Some(done) = hand.attempts.join_next_with_id() => self.end(&mut hand, done),
                Some(_) = hand.recording.join_next() => hand.recorded(),
                Some(read) = hand.reading.join_next() => self.take(&mut hand, read.map_err(Error::from).flatten()),
                _ = deliveries.changed() => hand.is_stale = true,
                () = self.retry_now.notified() => (hand.is_stale, hand.breaker.closed_until) = (true, None),
                () = sleep_until(hand.look_at.into()) => {
                    hand.start_over();
                    hand.look_in(LOOK);
                }
                _ = stopped.changed() => {}
            }
        }
        while !hand.attempts.is_empty() || hand.unrecorded() > 0 {
            self.have_recorded(&mut hand);
            tokio::select! {
                Some(done) = hand.attempts.join_next_with_id() => self.end(&mut hand, done),
                Some(_) = hand.recording.join_next() => hand.recorded(),
            }
        }
    }

    /// Takes note of an attempt.
    fn end(&self, hand: &mut Hand, done: Result<(task::Id, Tried), JoinError>) {
        let (task, tried) = match done {
            Ok((task, tried)) => (task, Some(tried)),
            Err(error) => (error.id(), None),
        };
        let Some((id, attempts)) = hand.under_way.remove(&task) else { return };
        let mut tried = tried.unwrap_or_else(|| Tried::broken(&self.destination, id, attempts));
        let was_closed = hand.breaker.closed_until;
        hand.breaker.hear(&tried, Instant::now());
        tried.failures = hand.breaker.failures;
        if hand.breaker.closed_until.is_some() && hand.breaker.closed_until != was_closed {
            let pause = hand.breaker.closed_until.map(|until| until.saturating_duration_since(Instant::now()));
            let seconds = pause.unwrap_or_default().as_secs();
            info!(destination = self.destination.name, "destination left alone for {seconds} s");
        }
        hand.is_gone |= tried.is_gone;
        hand.tried.push(tried);
    }

    /// Has what was made recorded, all of it at once, while others are made.
    fn have_recorded(&self, hand: &mut Hand) {
        if hand.tried.is_empty() || !hand.recording.is_empty() {
            return;
        }
        let tried = std::mem::take(&mut hand.tried);
        hand.being_recorded.extend(tried.iter().map(|tried| tried.attempted.delivery));
        let (destination, office) = (self.destination.clone(), self.office.clone());
        hand.recording.spawn(async move { record(&destination, &tried, &office).await });
    }

    /// What waits is given up then; only what somebody asks for afterwards is sent.
    fn is_being_disabled(&self, hand: &Hand) -> bool {
        hand.is_gone || (!hand.recording.is_empty() && self.office.store.is_disabled(&self.destination.name))
    }

    /// Takes what was read from the store.
    fn take(&self, hand: &mut Hand, read: Result<DueDeliveries>) {
        match read {
            Ok(due) => {
                hand.more_after = due.more_after;
                hand.ready.extend(due.deliveries);
                if hand.more_after.is_none() {
                    let wait = due.next_at.map(|at| Duration::from_millis((at - unix_ms()).max(0).unsigned_abs()));
                    hand.look_in(wait.unwrap_or(LOOK));
                }
            }
            Err(error) => {
                warn!(destination = self.destination.name, "cannot look for deliveries: {error:#}");
                hand.more_after = None;
                hand.look_in(STORE_PAUSE);
            }
        }
    }

    /// Begins what is due, as far as there is room, and has more of it read.
    fn begin(&self, hand: &mut Hand) {
        let (destination, office) = (&self.destination, &self.office);
        if destination.waits_for_plugins() && !office.loaded.is_settled() {
            return hand.look_in(PLUGINS_PAUSE);
        }
        if self.is_being_disabled(hand) {
            hand.ready.clear();
            return hand.start_over();
        }
        let concurrency = match hand.breaker.room(destination.concurrency, Instant::now()) {
            Ok(concurrency) => concurrency,
            Err(wait) => {
                // What is tried next is what is due then.
                hand.ready.clear();
                hand.start_over();
                return hand.look_in(wait);
            }
        };
        while hand.under_way.len() < concurrency
            && hand.unrecorded() < UNRECORDED_MAX
            && let Some(delivery) = hand.ready.pop_front()
        {
            if let Err(wait) = destination.rate_limit.take() {
                hand.ready.push_front(delivery);
                return hand.look_in(wait);
            }
            let id = (delivery.id, delivery.attempts);
            let (destination, office) = (destination.clone(), office.clone());
            let task = hand.attempts.spawn(async move { attempt(&destination, delivery, &office).await });
            hand.under_way.insert(task.id(), id);
        }
        let limit = (READ_AHEAD * concurrency).min(READ_MAX);
        let has_more = hand.more_after.is_some() || (hand.is_stale && hand.ready.is_empty());
        if has_more && hand.ready.len() < limit / 2 && hand.reading.is_empty() {
            // A read that goes on does not see what is new in front of it.
            hand.is_stale &= hand.more_after.is_some();
            let after = hand.more_after.unwrap_or_default();
            let (store, name, without) = (office.store.clone(), destination.name.clone(), hand.ids());
            hand.reading.spawn(async move { store.due_deliveries(name, unix_ms(), after, limit, without).await });
        }
    }
}
