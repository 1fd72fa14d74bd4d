//! The state of one connection: which side has to act, and since when.
//!
//! The state is one atomic number. Requests write this number; it is read only when the listener looks for connections
//! to close. A connection that is asked to close checks its state again, so that a request that began in the meantime
//! is not lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The time that a shutdown leaves to a connection without a request in flight: an answer may still be on its way out.
pub const SHUTDOWN_PAUSE: Duration = Duration::from_secs(1);

// A state below AWAITS_BODY is the time since when the head of a request is awaited, in milliseconds of the listener's
// clock. The other states are one of these flags plus such a time, except WORKING. So states sort by the priority in
// which connections are closed: those without a request first, then the longest waiting first.

/// The flag of a connection whose client has to send the body of a request.
const AWAITS_BODY: u64 = 1 << 62;
/// The flag of a connection whose client has to read its answer.
const AWAITS_READER: u64 = 1 << 63;
/// The bits of the time.
const TIME: u64 = AWAITS_BODY - 1;
/// The state while the host works on a request.
const WORKING: u64 = u64::MAX;

/// The clock of one listener, shared by its connections, with whether the listener is shutting down.
#[derive(Clone, Debug)]
pub struct ListenerState {
    started: Instant,
    is_shutting_down: Arc<AtomicBool>,
}

/// The state of one connection.
#[derive(Debug)]
pub struct ConnectionState {
    listener: ListenerState,
    wait: AtomicU64,
    close: Notify,
}

/// The way in which a connection that is asked to close does so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// Immediately.
    Now,
    /// After the answer that is being sent, but no later than this time.
    Within(Duration),
    /// After the answer to the request in flight.
    AfterAnswer,
}

impl ListenerState {
    /// Starts the clock.
    pub fn start() -> Self {
        Self { started: Instant::now(), is_shutting_down: Arc::default() }
    }

    /// Makes every request the last one of its connection.
    pub fn shut_down(&self) {
        self.is_shutting_down.store(true, Ordering::Release);
    }

    /// Returns the time of the clock in milliseconds, this long ago.
    pub fn ms_before(&self, time: Duration) -> u64 {
        self.now_ms().saturating_sub(time.as_millis() as u64)
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

impl ConnectionState {
    /// Creates the state of a new connection, which awaits the head of its first request.
    pub fn new(listener: ListenerState) -> Self {
        Self { wait: AtomicU64::new(listener.now_ms()), listener, close: Notify::new() }
    }

    /// Records that the head of a request has arrived, and its body is awaited.
    pub fn set_awaiting_body(&self) {
        self.wait.store(AWAITS_BODY + self.listener.now_ms(), Ordering::Relaxed);
    }

    /// Records that the whole request has arrived.
    pub fn set_working(&self) {
        self.wait.store(WORKING, Ordering::Relaxed);
    }

    /// Records that the request is answered, and another one may follow.
    pub fn set_awaiting_head(&self) {
        self.wait.store(self.listener.now_ms(), Ordering::Relaxed);
    }

    /// Records that the client does not read its answer.
    pub fn set_stalled(&self) {
        let since = AWAITS_READER + self.listener.now_ms();
        let _ = self.wait.compare_exchange(WORKING, since, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Records that the client reads its answer.
    pub fn set_progressing(&self) {
        if (AWAITS_READER..WORKING).contains(&self.load()) {
            self.set_working();
        }
    }

    /// Returns whether the current request is the last one of its connection.
    pub fn is_shutting_down(&self) -> bool {
        self.listener.is_shutting_down.load(Ordering::Acquire)
    }

    /// Asks the connection to close.
    pub fn request_close(&self) {
        self.close.notify_one();
    }

    /// Waits until the connection is asked to close, and returns the way to close it.
    pub async fn close_requested(&self) -> Close {
        self.close.notified().await;
        match (self.load(), self.is_shutting_down()) {
            (0..AWAITS_BODY, true) => Close::Within(SHUTDOWN_PAUSE),
            (WORKING, _) | (AWAITS_BODY.., true) => Close::AfterAnswer,
            (..WORKING, false) => Close::Now,
        }
    }

    /// Waits until the answer in flight is not worth waiting for. In a shutdown, clients that read nothing have less
    /// time, because the listener no longer looks for overdue connections.
    pub async fn abandoned(&self) {
        loop {
            match tokio::time::timeout(SHUTDOWN_PAUSE, self.close_requested()).await {
                Ok(Close::AfterAnswer) => {}
                Ok(Close::Now) => return,
                Ok(Close::Within(time)) => return tokio::time::sleep(time).await,
                Err(_) if self.is_shutting_down() && self.is_overdue(self.listener.ms_before(SHUTDOWN_PAUSE)) => return,
                Err(_) => {}
            }
        }
    }

    /// Returns whether the client owes the head of a request, or reads nothing of its answer, since before this time.
    pub fn is_overdue(&self, before_ms: u64) -> bool {
        match self.load() {
            WORKING | AWAITS_BODY..AWAITS_READER => false,
            state => state & TIME < before_ms,
        }
    }

    /// Returns the priority for closing the connection, lowest first, if its client owes a part of a request since
    /// before this time.
    pub fn close_priority(&self, before_ms: u64) -> Option<u64> {
        let state = self.load();
        (state < AWAITS_READER && state & TIME < before_ms).then_some(state)
    }

    fn load(&self) -> u64 {
        self.wait.load(Ordering::Relaxed)
    }
}
