//! The error of a write.

use std::sync::Arc;

/// The reason why a write was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many writes wait already.
    #[error("too many writes wait for the store")]
    Busy,
    /// The store takes no writes any more.
    #[error("the store is closed")]
    Closed,
    /// The database failed: a full disk, a broken file.
    #[error("the store failed: {0:#}")]
    Failed(Arc<anyhow::Error>),
}
