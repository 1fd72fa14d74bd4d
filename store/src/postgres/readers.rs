//! Connections that only read.
//!
//! Reads by key and the reads of the host itself never wait for lists and scans, which have connections of their own.
//! The database ends a statement that takes too long.

use super::Address;
use crate::StoreError;
use anyhow::Result;
use deadpool_postgres::{Object, Pool, PoolError, TimeoutType};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_postgres::{Client, IsolationLevel, Transaction};

/// Reads by key, and those of the host itself, at once.
const SHORT_READS_MAX: usize = 12;
/// Lists and scans at once.
const LONG_READS_MAX: usize = 4;
/// The longest time that a statement may take.
const STATEMENT_MAX: Duration = Duration::from_secs(10);

/// The reading connections.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    short: Pool,
    long: Pool,
    /// The runtime of the connections, for reads from threads outside.
    pub(super) runtime: Handle,
}

impl Readers {
    /// Returns the connections to a database, which are made when they are needed, in the runtime of the caller.
    pub fn new(address: &Address) -> Result<Self> {
        let pool = |connections| address.pool(connections, STATEMENT_MAX);
        Ok(Self { short: pool(SHORT_READS_MAX)?, long: pool(LONG_READS_MAX)?, runtime: Handle::current() })
    }

    /// Returns a connection for a read of rows by their keys, or of few rows of an index.
    pub async fn short(&self) -> Result<Object> {
        connection(&self.short).await
    }

    /// Returns a connection for a list, or for counts.
    pub async fn long(&self) -> Result<Object> {
        connection(&self.long).await
    }
}

async fn connection(pool: &Pool) -> Result<Object> {
    pool.get().await.map_err(|error| match error {
        PoolError::Timeout(TimeoutType::Wait) => StoreError::Overloaded.into(),
        PoolError::Timeout(_) | PoolError::Backend(_) | PoolError::PostCreateHook(_) => StoreError::Blocked.into(),
        other => other.into(),
    })
}

/// Begins several statements that see the same rows. Nothing is written: the transaction ends when it is dropped.
pub(super) async fn snapshot(connection: &mut Object) -> Result<Transaction<'_>> {
    let client: &mut Client = connection;
    let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    begin.start().await.map_err(|_| StoreError::Blocked.into())
}
