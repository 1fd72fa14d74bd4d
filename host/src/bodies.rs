//! Reads the bodies of requests within limits: on the size and time of each, and on the memory of all together.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The memory that is reserved for a declared length before the bytes arrive.
const RESERVED_BYTES_MAX: usize = 16 * 1024;
/// The time a body waits for memory that other bodies use.
const MEMORY_TIMEOUT: Duration = Duration::from_millis(500);

/// The reason why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body is larger than allowed.
    #[error("the payload is larger than {bytes_max} bytes")]
    TooLarge {
        /// The largest allowed body, in bytes.
        bytes_max: usize,
    },
    /// The body arrived too slowly.
    #[error("the body took longer than {0:?}")]
    Timeout(Duration),
    /// The connection ended before the body was complete.
    #[error("the body ended before it was complete")]
    Incomplete,
    /// Other bodies use all of the memory.
    #[error("the host is overloaded; try again later")]
    Overloaded,
}

/// The limits that the bodies of all requests share.
#[derive(Debug)]
pub struct Bodies {
    memory: Arc<Semaphore>,
    timeout: Duration,
}

/// A body that was read. It keeps its share of the memory until it is dropped, which is when its request ends.
#[derive(Debug)]
pub struct ReadBody {
    /// The bytes of the body.
    pub bytes: Bytes,
    memory: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Limits the memory of all bodies together, and the time of each.
    pub fn new(memory_bytes: usize, timeout: Duration) -> Self {
        Self { memory: Arc::new(Semaphore::new(memory_bytes)), timeout }
    }

    /// Reads a body to its end.
    ///
    /// A body takes memory when its bytes arrive, not for the length that its headers declare. Declaring a length costs
    /// the sender nothing, and a few requests that send no bytes could reserve the memory of all others.
    ///
    /// # Errors
    /// Returns an error if the body is larger than `bytes_max`, too slow or incomplete, or there is not enough memory.
    pub async fn read(&self, headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<ReadBody, BodyError> {
        let declared =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|length| length > bytes_max) {
            return Err(BodyError::TooLarge { bytes_max });
        }
        match tokio::time::timeout(self.timeout, self.collect(body, declared.unwrap_or(0), bytes_max)).await {
            Ok(result) => result,
            Err(_) => Err(BodyError::Timeout(self.timeout)),
        }
    }

    async fn collect(&self, mut body: Body, declared: usize, bytes_max: usize) -> Result<ReadBody, BodyError> {
        let mut memory: Option<OwnedSemaphorePermit> = None;
        let mut first = Bytes::new();
        let mut whole = BytesMut::new();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| BodyError::Incomplete)?;
            let Ok(chunk) = frame.into_data() else { continue };
            length += chunk.len();
            if length > bytes_max {
                return Err(BodyError::TooLarge { bytes_max });
            }
            self.take_memory(&mut memory, chunk.len()).await?;
            // Most bodies arrive in one piece, which needs no copy.
            if length == chunk.len() {
                first = chunk;
                continue;
            }
            if whole.is_empty() {
                whole.reserve(declared.min(RESERVED_BYTES_MAX).max(length));
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&chunk);
        }
        let bytes = if whole.is_empty() { first } else { whole.freeze() };
        Ok(ReadBody { bytes, memory })
    }

    /// Takes memory for the unpacked form of a body.
    ///
    /// # Errors
    /// Returns an error if there is not enough memory.
    pub async fn make_room(&self, body: &mut ReadBody, bytes: usize) -> Result<(), BodyError> {
        self.take_memory(&mut body.memory, bytes).await
    }

    async fn take_memory(&self, held: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), BodyError> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let taking = self.memory.clone().acquire_many_owned(permits);
        let Ok(Ok(more)) = tokio::time::timeout(MEMORY_TIMEOUT, taking).await else {
            return Err(BodyError::Overloaded);
        };
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }
}
