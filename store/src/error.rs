//! The error of a write.

use std::sync::Arc;

/// The reason why a write was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many writes wait already.
    #[error("the store is overloaded")]
    Overloaded,
    /// The database failed: a full disk, a broken file.
    #[error("the store failed: {0:#}")]
    Failed(Arc<anyhow::Error>),
}
