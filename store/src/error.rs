//! The error of a write or a read.

use std::sync::Arc;

/// The reason why a write was not made, or a read has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many reads wait already, or a read took too long.
    #[error("too many reads of the store, or a read that takes too long")]
    Overloaded,
    /// Too many writes wait already.
    #[error("too many writes wait for the store")]
    Busy,
    /// The disk is full, or another program has locked the database.
    #[error("the database accepts no writes at the moment")]
    Blocked,
    /// The store takes no writes any more.
    #[error("the store is closed")]
    Closed,
    /// Another process has the lease under which the write was made.
    #[error("another host does this work now")]
    LeaseLost,
    /// The write itself failed.
    #[error("the store failed: {0:#}")]
    Failed(Arc<anyhow::Error>),
}
