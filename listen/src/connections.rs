//! The open connections of one listener, each with a note since when the host waits for its client.
//!
//! The note is one atomic number that requests write and that is only read when somebody looks: now and then, and when a
//! new connection finds no room. Whoever is to be closed is told so and checks the note again, so that no request that
//! began meanwhile is cut off.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The share of all connections that is closed at once to make room, so that the look for them is paid for by many.
const SHARE_CLOSED: u32 = 16;
/// Nobody gives way before this: a client that has just connected, or is about to use its connection again, gets the time
/// for it even when all others have work.
const GRACE: Duration = Duration::from_millis(200);
/// How long to wait for room before looking again for connections that wait.
const ROOM_PAUSE: Duration = Duration::from_millis(20);
/// How long the end waits for a connection without a request in flight: an answer may still be on its way out.
const END_PAUSE: Duration = Duration::from_secs(1);

/// A note below this is the time since when the head of a request is waited for, in milliseconds of the listener's
/// clock; one from here on is this plus the time since when a body is.
const BODY: u64 = 1 << 62;
/// A note from here on is this plus the time since when a client takes nothing of its answer.
const ANSWER: u64 = 1 << 63;
/// The time in a note.
const TIME: u64 = BODY - 1;
/// The note while a request is worked on: it is the host's turn.
const WORKING: u64 = u64::MAX;

/// The open connections of one listener.
#[derive(Debug)]
pub(super) struct Connections {
    max: u32,
    room: Arc<Semaphore>,
    open: Mutex<OpenConnections>,
    clock: Instant,
    ending: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    by_age: BTreeMap<u64, Arc<Connection>>,
    next: u64,
}

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    clock: Instant,
    ending: Arc<AtomicBool>,
    waits_since: AtomicU64,
    close: Notify,
}

/// A connection's place among the open ones.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    age: u64,
    connection: Arc<Connection>,
    _room: OwnedSemaphorePermit,
}

/// How a connection that is told to close does so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// There and then.
    Now,
    /// When what it still sends has left, but not later than this.
    Within(Duration),
    /// When the request in flight has been answered.
    AfterAnswer,
}

impl Connections {
    /// None yet, and at most so many.
    pub fn new(max: u32) -> Self {
        Self {
            max,
            room: Arc::new(Semaphore::new(max as usize)),
            open: Mutex::default(),
            clock: Instant::now(),
            ending: Arc::default(),
        }
    }

    /// Whether another one needs room made for it.
    pub fn are_full(&self) -> bool {
        self.room.available_permits() == 0
    }

    /// Takes another one in, for which those that wait longest give way.
    pub async fn open(self: &Arc<Self>) -> Place {
        let room = loop {
            if let Ok(room) = self.room.clone().try_acquire_owned() {
                break room;
            }
            self.close_longest_waiting();
            if let Ok(Ok(room)) = tokio::time::timeout(ROOM_PAUSE, self.room.clone().acquire_owned()).await {
                break room;
            }
        };
        let connection = Arc::new(Connection {
            clock: self.clock,
            ending: self.ending.clone(),
            waits_since: AtomicU64::new(now(self.clock)),
            close: Notify::new(),
        });
        let mut open = self.lock();
        let age = open.next;
        open.next += 1;
        open.by_age.insert(age, connection.clone());
        Place { connections: self.clone(), age, connection, _room: room }
    }

    /// Closes those whose client has not sent the head of a request, or has taken nothing of an answer, for this long.
    pub fn close_overdue(&self, head_timeout: Duration) {
        let before = before(self.clock, head_timeout);
        let open = self.lock();
        let overdue = open.by_age.values().filter(|connection| connection.is_overdue(before));
        overdue.for_each(|connection| connection.close.notify_one());
    }

    /// Closes a share of those whose client is waited for: those without a request first, the longest waiting first.
    pub fn close_longest_waiting(&self) {
        let open = self.lock();
        let mut waiting: Vec<(u64, &Arc<Connection>)> =
            open.by_age.values().map(|connection| (connection.note(), connection)).collect();
        let before = before(self.clock, GRACE);
        waiting.retain(|(note, _)| *note < ANSWER && (*note & TIME) < before);
        let count = ((self.max / SHARE_CLOSED).max(1) as usize).min(waiting.len());
        if count < waiting.len() {
            waiting.select_nth_unstable_by_key(count, |(note, _)| *note);
        }
        waiting[..count].iter().for_each(|(_, connection)| connection.close.notify_one());
    }

    /// Closes all that have no request in flight, and waits for the others.
    pub async fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.lock().by_age.values().for_each(|connection| connection.close.notify_one());
        let _ = self.room.acquire_many(self.max).await;
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// The head of a request came; its body is waited for.
    pub fn awaits_body(&self) {
        self.waits_since.store(BODY + now(self.clock), Ordering::Relaxed);
    }

    /// Nothing of the request is missing.
    pub fn works(&self) {
        self.waits_since.store(WORKING, Ordering::Relaxed);
    }

    /// The request is answered; another may come.
    pub fn awaits_head(&self) {
        self.waits_since.store(now(self.clock), Ordering::Relaxed);
    }

    /// The client takes nothing of its answer.
    pub fn stalls(&self) {
        let since = ANSWER + now(self.clock);
        let _ = self.waits_since.compare_exchange(WORKING, since, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The client takes of its answer.
    pub fn moves(&self) {
        if (ANSWER..WORKING).contains(&self.note()) {
            self.works();
        }
    }

    /// Whether this request is its connection's last.
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Ends when the connection is to be closed, with how.
    pub async fn told_to_close(&self) -> Close {
        self.close.notified().await;
        match (self.note(), self.is_ending()) {
            (0..BODY, true) => Close::Within(END_PAUSE),
            (WORKING, _) | (BODY.., true) => Close::AfterAnswer,
            (..WORKING, false) => Close::Now,
        }
    }

    /// Ends when the answer in flight is not waited for any more. At the end, when nobody else looks for clients that take
    /// nothing, they have less time.
    pub async fn given_up(&self) {
        loop {
            match tokio::time::timeout(END_PAUSE, self.told_to_close()).await {
                Ok(Close::AfterAnswer) => {}
                Ok(Close::Now) => return,
                Ok(Close::Within(time)) => return tokio::time::sleep(time).await,
                Err(_) if self.is_ending() && self.is_overdue(before(self.clock, END_PAUSE)) => return,
                Err(_) => {}
            }
        }
    }

    /// Whether the head of a request, or that its client takes of an answer, is waited for since before this time.
    fn is_overdue(&self, before: u64) -> bool {
        match self.note() {
            WORKING | BODY..ANSWER => false,
            note => note & TIME < before,
        }
    }

    fn note(&self) -> u64 {
        self.waits_since.load(Ordering::Relaxed)
    }
}

impl Deref for Place {
    type Target = Arc<Connection>;

    fn deref(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().by_age.remove(&self.age);
    }
}

fn now(clock: Instant) -> u64 {
    clock.elapsed().as_millis() as u64
}

fn before(clock: Instant, time: Duration) -> u64 {
    now(clock).saturating_sub(time.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(place: &Place) -> Option<Close> {
        tokio::time::timeout(Duration::ZERO, place.told_to_close()).await.ok()
    }

    #[tokio::test]
    async fn those_that_wait_longest_give_way() {
        let connections = Arc::new(Connections::new(4));
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(connections.open().await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // The oldest works, the second waits for a body, the third has just been answered: the fourth waits longest.
        places[0].works();
        places[1].awaits_body();
        places[2].awaits_head();
        assert!(connections.are_full());
        connections.close_longest_waiting();
        for place in &places {
            assert_eq!(told(place).await, None, "{place:?} has just begun to wait");
        }
        tokio::time::sleep(GRACE * 2).await;
        for (given_up, kept) in [(3, &[0, 1, 2][..]), (2, &[0, 1]), (1, &[0])] {
            connections.close_longest_waiting();
            assert_eq!(told(&places[given_up]).await, Some(Close::Now));
            for &kept in kept {
                assert_eq!(told(&places[kept]).await, None);
            }
            places[given_up].works();
        }
        // All work: there is room when one of them ends, and not before.
        connections.close_longest_waiting();
        let waits = tokio::time::timeout(ROOM_PAUSE * 3, connections.open()).await;
        assert!(waits.is_err());
        places.pop();
        connections.open().await;
        assert_eq!(connections.lock().by_age.len(), 3);
    }

    #[tokio::test]
    async fn who_began_a_request_meanwhile_is_not_cut_off() {
        let connections = Arc::new(Connections::new(1));
        let place = connections.open().await;
        tokio::time::sleep(GRACE * 2).await;
        connections.close_longest_waiting();
        place.works();
        assert_eq!(told(&place).await, Some(Close::AfterAnswer));
    }

    #[tokio::test]
    async fn the_end_waits_for_what_is_in_flight() {
        let connections = Arc::new(Connections::new(8));
        let (idle, reading, working) = (connections.open().await, connections.open().await, connections.open().await);
        reading.awaits_body();
        working.works();
        let end = tokio::spawn({
            let connections = connections.clone();
            async move { connections.end().await }
        });
        assert_eq!(idle.told_to_close().await, Close::Within(END_PAUSE));
        assert_eq!(reading.told_to_close().await, Close::AfterAnswer);
        assert_eq!(working.told_to_close().await, Close::AfterAnswer);
        assert!(working.is_ending() && !end.is_finished());
        drop((idle, reading, working));
        end.await.unwrap();
    }

    #[tokio::test]
    async fn heads_are_not_waited_for_without_end() {
        let connections = Arc::new(Connections::new(2));
        let (idle, reading) = (connections.open().await, connections.open().await);
        reading.awaits_body();
        connections.close_overdue(Duration::from_secs(60));
        assert_eq!(told(&idle).await, None);
        tokio::time::sleep(Duration::from_millis(5)).await;
        connections.close_overdue(Duration::from_millis(1));
        assert_eq!((told(&idle).await, told(&reading).await), (Some(Close::Now), None));
    }

    #[tokio::test]
    async fn who_takes_nothing_is_not_waited_for_without_end() {
        let connections = Arc::new(Connections::new(2));
        let (stalled, moving) = (connections.open().await, connections.open().await);
        for place in [&stalled, &moving] {
            place.works();
            place.stalls();
        }
        moving.moves();
        tokio::time::sleep(Duration::from_millis(5)).await;
        connections.close_overdue(Duration::from_secs(60));
        connections.close_longest_waiting();
        assert_eq!((told(&stalled).await, told(&moving).await), (None, None));
        connections.close_overdue(Duration::from_millis(1));
        assert_eq!((told(&stalled).await, told(&moving).await), (Some(Close::Now), None));

        let end = tokio::spawn({
            let connections = connections.clone();
            async move { connections.end().await }
        });
        stalled.given_up().await;
        assert!(tokio::time::timeout(Duration::ZERO, moving.given_up()).await.is_err());
        drop((stalled, moving));
        end.await.unwrap();
    }
}
