//! Reads the bodies of requests within limits: on the size, time and progress of each, on the memory of all together,
//! and on the share of that memory that unverified senders may use.

mod unfinished;

pub use unfinished::BodyOrigin;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use unfinished::{PROGRESS_TIMEOUT, UnfinishedBodies, UnfinishedBody};

/// The least memory of a body: the first piece keeps a read buffer of this size alive.
const BODY_BYTES_MIN: usize = 8 * 1024;
/// The time a body waits for memory that other bodies use.
const MEMORY_TIMEOUT: Duration = Duration::from_millis(500);
/// The time between two searches for bodies that have to give way.
const ROOM_PAUSE: Duration = Duration::from_millis(20);

/// The reason why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body is larger than allowed.
    #[error("the payload is larger than {bytes_max} bytes")]
    TooLarge {
        /// The largest allowed body, in bytes.
        bytes_max: usize,
    },
    /// The body took too long.
    #[error("the body took longer than {0:?}")]
    Timeout(Duration),
    /// The body arrived too slowly.
    #[error("the body arrived too slowly: less than 16 KiB in {PROGRESS_TIMEOUT:?}")]
    TooSlow,
    /// The connection ended before the body was complete.
    #[error("the body ended before it was complete")]
    Incomplete,
    /// Other bodies use all of the memory, or the share of this sender.
    #[error("the host is overloaded; try again later")]
    Overloaded,
}

/// The limits that the bodies of all requests share.
#[derive(Debug)]
pub struct Bodies {
    memory: Arc<Semaphore>,
    timeout: Duration,
    unfinished: UnfinishedBodies,
}

/// A body that was read. It keeps its part of the memory until it is dropped, which is when its request ends.
#[derive(Debug)]
pub struct ReadBody {
    /// The bytes of the body.
    pub bytes: Bytes,
    memory: Option<OwnedSemaphorePermit>,
}

/// A body while it is read.
struct BodyReading<'b> {
    bodies: &'b Bodies,
    unfinished: Option<UnfinishedBody<'b>>,
    memory: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Limits the memory of all bodies together, and the time of each.
    pub fn new(memory_bytes: usize, timeout: Duration) -> Self {
        let memory = Arc::new(Semaphore::new(memory_bytes));
        Self { memory, timeout, unfinished: UnfinishedBodies::new(memory_bytes) }
    }

    /// Reads a body to its end.
    ///
    /// A body takes memory when its bytes arrive, not for the length that its headers declare. Declaring a length costs
    /// the sender nothing, and a few requests that send no bytes could reserve the memory of all others.
    ///
    /// # Errors
    /// Returns an error if the body is larger than `bytes_max`, too slow or incomplete, or there is not enough memory.
    pub async fn read(
        &self,
        origin: BodyOrigin,
        headers: &HeaderMap,
        body: Body,
        bytes_max: usize,
    ) -> Result<ReadBody, BodyError> {
        let declared =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|length| length > bytes_max) {
            return Err(BodyError::TooLarge { bytes_max });
        }
        match timeout(self.timeout, self.collect(origin, body, declared.unwrap_or(bytes_max), bytes_max)).await {
            Ok(result) => result,
            Err(_) => Err(BodyError::Timeout(self.timeout)),
        }
    }

    /// Reads a body that has `expected_bytes` at most, as far as its sender declared that.
    async fn collect(
        &self,
        origin: BodyOrigin,
        mut body: Body,
        expected_bytes: usize,
        bytes_max: usize,
    ) -> Result<ReadBody, BodyError> {
        let mut reading = BodyReading { bodies: self, unfinished: None, memory: None };
        let mut first = Bytes::new();
        let mut whole = Vec::new();
        loop {
            // Most bodies have arrived when they are read. Only the others are added to the unfinished ones.
            let ready = body.frame().now_or_never();
            let frame = match (ready, &reading.unfinished) {
                (Some(frame), _) => frame,
                (None, None) => {
                    let unfinished = self.unfinished.add(origin.clone(), bytes_max);
                    reading.wait_in_share(&unfinished, reading.taken()).await?;
                    reading.unfinished = Some(unfinished);
                    continue;
                }
                (None, Some(unfinished)) => tokio::select! {
                    frame = timeout_at(unfinished.deadline().into(), body.frame()) => {
                        frame.map_err(|_| BodyError::TooSlow)?
                    }
                    () = unfinished.gives_way() => return Err(BodyError::Overloaded),
                },
            };
            let Some(frame) = frame else { break };
            let Ok(chunk) = frame.map_err(|_| BodyError::Incomplete)?.into_data() else { continue };
            let length = first.len() + whole.len() + chunk.len();
            if length > bytes_max {
                return Err(BodyError::TooLarge { bytes_max });
            }
            // Most bodies arrive in one piece, which needs no copy.
            if length == chunk.len() {
                reading.grow_to(length.max(BODY_BYTES_MIN)).await?;
                first = chunk;
                continue;
            }
            if whole.capacity() < length {
                let capacity = (2 * whole.capacity()).min(expected_bytes).max(length);
                reading.grow_to(capacity).await?;
                whole.reserve_exact(capacity - whole.len());
            }
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&chunk);
            if let Some(unfinished) = &mut reading.unfinished {
                unfinished.received(chunk.len());
            }
        }
        let bytes = if whole.is_empty() { first } else { whole.into() };
        Ok(ReadBody { bytes, memory: reading.memory })
    }

    /// Takes memory for the unpacked form of a body.
    ///
    /// # Errors
    /// Returns an error if there is not enough memory.
    pub async fn make_room(&self, body: &mut ReadBody, bytes: usize) -> Result<(), BodyError> {
        let mut reading = BodyReading { bodies: self, unfinished: None, memory: body.memory.take() };
        let taken = reading.grow_to(reading.taken() + bytes).await;
        body.memory = reading.memory;
        taken
    }
}

impl BodyReading<'_> {
    /// Returns the bytes that the body has taken.
    fn taken(&self) -> usize {
        self.memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Takes memory until the body has this many bytes.
    async fn grow_to(&mut self, bytes: usize) -> Result<(), BodyError> {
        let more = bytes.saturating_sub(self.taken());
        if let Some(unfinished) = &self.unfinished {
            self.wait_in_share(unfinished, more).await?;
        }
        let permits = u32::try_from(more).unwrap_or(u32::MAX);
        let taken = match self.bodies.memory.clone().try_acquire_many_owned(permits) {
            Ok(taken) => taken,
            Err(_) => self.wait_for_memory(permits).await?,
        };
        match &mut self.memory {
            Some(memory) => memory.merge(taken),
            None => self.memory = Some(taken),
        }
        Ok(())
    }

    /// Waits until the share of the sender has room.
    async fn wait_in_share(&self, unfinished: &UnfinishedBody<'_>, bytes: usize) -> Result<(), BodyError> {
        let end = Instant::now() + MEMORY_TIMEOUT;
        while !unfinished.take(bytes) {
            if Instant::now() >= end {
                return Err(BodyError::Overloaded);
            }
            unfinished.make_room_in_share(bytes);
            sleep(ROOM_PAUSE).await;
        }
        Ok(())
    }

    /// Waits until other bodies end or give way.
    async fn wait_for_memory(&self, permits: u32) -> Result<OwnedSemaphorePermit, BodyError> {
        let mut taking = std::pin::pin!(self.bodies.memory.clone().acquire_many_owned(permits));
        let end = Instant::now() + MEMORY_TIMEOUT;
        while Instant::now() < end {
            self.bodies.unfinished.make_room(permits as usize);
            if let Ok(Ok(taken)) = timeout(ROOM_PAUSE, &mut taking).await {
                return Ok(taken);
            }
        }
        Err(BodyError::Overloaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_keeps_its_memory_until_it_is_dropped() {
        let bodies = Bodies::new(3 * BODY_BYTES_MIN, Duration::from_secs(60));
        let read = async |bytes: usize| {
            bodies.read(BodyOrigin::default(), &HeaderMap::new(), Body::from(vec![0; bytes]), 100_000).await
        };
        let first = read(2 * BODY_BYTES_MIN).await.unwrap();
        // A small body takes the whole buffer that it keeps alive.
        let small = read(1).await.unwrap();
        assert!(matches!(read(1).await, Err(BodyError::Overloaded)));
        drop(small);
        assert_eq!(read(BODY_BYTES_MIN).await.unwrap().bytes.len(), BODY_BYTES_MIN);
        drop(first);
        assert_eq!(read(3 * BODY_BYTES_MIN).await.unwrap().bytes.len(), 3 * BODY_BYTES_MIN);
    }

    #[tokio::test]
    async fn a_body_in_pieces_takes_what_is_allocated() {
        let bodies = Bodies::new(1 << 20, Duration::from_secs(60));
        let pieces = (0..40).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![1; 1000])));
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let read = bodies.read(BodyOrigin::default(), &HeaderMap::new(), body, 100_000).await.unwrap();
        let taken = read.memory.as_ref().unwrap().num_permits();
        assert_eq!(read.bytes.len(), 40_000);
        assert!((40_000..=80_000).contains(&taken), "{taken}");
    }
}
