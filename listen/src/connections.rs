//! The open connections of one listener, and the choice of those that are closed to make room for others.

use crate::connection_state::{ConnectionState, ListenerState};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The share of all connections that is closed together to make room, so that one search serves many new connections.
const SHARE_CLOSED: u32 = 16;
/// The time for which no connection is closed to make room. Even when all others are busy, a client that has just
/// connected, or is about to reuse its connection, has this long to send its request.
const GRACE: Duration = Duration::from_millis(200);
/// The time to wait for room before the next search for connections to close.
const ROOM_PAUSE: Duration = Duration::from_millis(20);

/// The open connections of one listener.
#[derive(Debug)]
pub struct Connections {
    max: u32,
    room: Arc<Semaphore>,
    open: Mutex<OpenConnections>,
    listener: ListenerState,
}

#[derive(Debug, Default)]
struct OpenConnections {
    by_age: BTreeMap<u64, Arc<ConnectionState>>,
    next: u64,
}

/// The slot of one open connection, which is free again when this value is dropped.
#[derive(Debug)]
pub struct Slot {
    connections: Arc<Connections>,
    age: u64,
    state: Arc<ConnectionState>,
    _room: OwnedSemaphorePermit,
}

impl Connections {
    /// Creates an empty set for at most `max` connections.
    pub fn new(max: u32) -> Self {
        Self {
            max,
            room: Arc::new(Semaphore::new(max as usize)),
            open: Mutex::default(),
            listener: ListenerState::start(),
        }
    }

    /// Returns whether a new connection has to wait for another one to close.
    pub fn are_full(&self) -> bool {
        self.room.available_permits() == 0
    }

    /// Adds a connection. When the set is full, the connections that wait longest are closed for the new one.
    pub async fn open(self: &Arc<Self>) -> Slot {
        let room = loop {
            if let Ok(room) = self.room.clone().try_acquire_owned() {
                break room;
            }
            self.close_longest_waiting();
            if let Ok(Ok(room)) = tokio::time::timeout(ROOM_PAUSE, self.room.clone().acquire_owned()).await {
                break room;
            }
        };
        let state = Arc::new(ConnectionState::new(self.listener.clone()));
        let mut open = self.lock();
        let age = open.next;
        open.next += 1;
        open.by_age.insert(age, state.clone());
        Slot { connections: self.clone(), age, state, _room: room }
    }

    /// Closes the connections whose client has not sent the head of a request, or has read nothing of an answer, for
    /// this long.
    pub fn close_overdue(&self, head_timeout: Duration) {
        let before_ms = self.listener.ms_before(head_timeout);
        let open = self.lock();
        open.by_age.values().filter(|state| state.is_overdue(before_ms)).for_each(|state| state.request_close());
    }

    /// Closes a share of the connections whose client owes a part of a request: those that owe the head first, and of
    /// these the longest waiting first.
    pub fn close_longest_waiting(&self) {
        let before_ms = self.listener.ms_before(GRACE);
        let open = self.lock();
        let candidates = open.by_age.values().filter_map(|state| Some((state.close_priority(before_ms)?, state)));
        let mut waiting: Vec<(u64, &Arc<ConnectionState>)> = candidates.collect();
        let count = ((self.max / SHARE_CLOSED).max(1) as usize).min(waiting.len());
        if count < waiting.len() {
            waiting.select_nth_unstable_by_key(count, |(priority, _)| *priority);
        }
        waiting[..count].iter().for_each(|(_, state)| state.request_close());
    }

    /// Closes all connections: those without a request in flight immediately, the others after the answer.
    pub async fn shut_down(&self) {
        self.listener.shut_down();
        self.lock().by_age.values().for_each(|state| state.request_close());
        let _ = self.room.acquire_many(self.max).await;
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Slot {
    type Target = Arc<ConnectionState>;

    fn deref(&self) -> &Arc<ConnectionState> {
        &self.state
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.lock().by_age.remove(&self.age);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection_state::{Close, SHUTDOWN_PAUSE};

    /// Returns the way in which a connection was asked to close, none if it was not.
    async fn asked(slot: &Slot) -> Option<Close> {
        tokio::time::timeout(Duration::ZERO, slot.close_requested()).await.ok()
    }

    #[tokio::test]
    async fn the_longest_waiting_are_closed_first() {
        let connections = Arc::new(Connections::new(4));
        let mut slots = Vec::new();
        for _ in 0..4 {
            slots.push(connections.open().await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // The first is working, the second awaits a body, the third was answered just now: the fourth waits longest.
        slots[0].set_working();
        slots[1].set_awaiting_body();
        slots[2].set_awaiting_head();
        assert!(connections.are_full());
        connections.close_longest_waiting();
        for slot in &slots {
            assert_eq!(asked(slot).await, None, "{slot:?} has only just begun to wait");
        }
        tokio::time::sleep(GRACE * 2).await;
        for (closed, kept) in [(3, &[0, 1, 2][..]), (2, &[0, 1]), (1, &[0])] {
            connections.close_longest_waiting();
            assert_eq!(asked(&slots[closed]).await, Some(Close::Now));
            for &kept in kept {
                assert_eq!(asked(&slots[kept]).await, None);
            }
            slots[closed].set_working();
        }
        // All connections are processing requests: there is no room until one ends.
        connections.close_longest_waiting();
        let waits = tokio::time::timeout(ROOM_PAUSE * 3, connections.open()).await;
        assert!(waits.is_err());
        slots.pop();
        connections.open().await;
        assert_eq!(connections.lock().by_age.len(), 3);
    }

    #[tokio::test]
    async fn a_request_that_began_in_the_meantime_is_answered() {
        let connections = Arc::new(Connections::new(1));
        let slot = connections.open().await;
        tokio::time::sleep(GRACE * 2).await;
        connections.close_longest_waiting();
        slot.set_working();
        assert_eq!(asked(&slot).await, Some(Close::AfterAnswer));
    }

    #[tokio::test]
    async fn a_shutdown_waits_for_requests_in_flight() {
        let connections = Arc::new(Connections::new(8));
        let (idle, reading, working) = (connections.open().await, connections.open().await, connections.open().await);
        reading.set_awaiting_body();
        working.set_working();
        let end = tokio::spawn({
            let connections = connections.clone();
            async move { connections.shut_down().await }
        });
        assert_eq!(idle.close_requested().await, Close::Within(SHUTDOWN_PAUSE));
        assert_eq!(reading.close_requested().await, Close::AfterAnswer);
        assert_eq!(working.close_requested().await, Close::AfterAnswer);
        assert!(working.is_shutting_down() && !end.is_finished());
        drop((idle, reading, working));
        end.await.unwrap();
    }

    #[tokio::test]
    async fn the_wait_for_a_head_is_limited() {
        let connections = Arc::new(Connections::new(2));
        let (idle, reading) = (connections.open().await, connections.open().await);
        reading.set_awaiting_body();
        connections.close_overdue(Duration::from_secs(60));
        assert_eq!(asked(&idle).await, None);
        tokio::time::sleep(Duration::from_millis(5)).await;
        connections.close_overdue(Duration::from_millis(1));
        assert_eq!((asked(&idle).await, asked(&reading).await), (Some(Close::Now), None));
    }

    #[tokio::test]
    async fn the_wait_for_a_client_that_reads_nothing_is_limited() {
        let connections = Arc::new(Connections::new(2));
        let (stalled, moving) = (connections.open().await, connections.open().await);
        for slot in [&stalled, &moving] {
            slot.set_working();
            slot.set_stalled();
        }
        moving.set_progressing();
        tokio::time::sleep(Duration::from_millis(5)).await;
        connections.close_overdue(Duration::from_secs(60));
        connections.close_longest_waiting();
        assert_eq!((asked(&stalled).await, asked(&moving).await), (None, None));
        connections.close_overdue(Duration::from_millis(1));
        assert_eq!((asked(&stalled).await, asked(&moving).await), (Some(Close::Now), None));

        let end = tokio::spawn({
            let connections = connections.clone();
            async move { connections.shut_down().await }
        });
        stalled.abandoned().await;
        assert!(tokio::time::timeout(Duration::ZERO, moving.abandoned()).await.is_err());
        drop((stalled, moving));
        end.await.unwrap();
    }
}
