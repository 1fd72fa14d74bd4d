//! The error of a write, and the reasons why the store cannot be used for a while.

use std::sync::Arc;

/// The reason why a write was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many reads or writes wait already, or a read took too long.
    #[error("the store is overloaded")]
    Overloaded,
    /// The database takes no writes at the moment: the disk is full, or another program has locked the database.
    #[error("the store cannot write: {0}")]
    Busy(Arc<str>),
    /// The write itself failed.
    #[error("the store failed: {0:#}")]
    Failed(Arc<anyhow::Error>),
}
