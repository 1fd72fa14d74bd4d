//! Connections that only read.
//!
//! Reads by key and the reads of the host itself never wait for lists and scans, which have connections of their own.
//! The database ends a statement that takes too long.

use super::Address;
use crate::StoreError;
use crate::options::Profile;
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
    /// The kind of database.
    pub(super) profile: Profile,
}

impl Readers {
    /// Returns the connections to a database, which are made when they are needed, in the runtime of the caller.
    pub fn new(address: &Address) -> Result<Self> {
        Self::with_deadline(address, STATEMENT_MAX)
    }

    fn with_deadline(address: &Address, statement_max: Duration) -> Result<Self> {
        let pool = |connections| address.pool(connections, statement_max);
        let (short, long) = (pool(SHORT_READS_MAX)?, pool(LONG_READS_MAX)?);
        Ok(Self { short, long, runtime: Handle::current(), profile: address.profile })
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

#[cfg(test)]
mod tests {
    use super::{Readers, snapshot};
    use crate::StoreError;
    use crate::columns::{Cell, Cells};
    use crate::postgres::Address;
    use crate::postgres::query::{cell, raw_row};
    use crate::postgres::test_database::{address, migrated, profile, store, tls};
    use crate::reads::Reads;
    use hookmill_incident::EventStatus;
    use hookmill_test_postgres::Server;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::sleep;

    fn error_of<T>(result: anyhow::Result<T>) -> Option<StoreError> {
        result.err().and_then(|error| error.downcast().ok())
    }

    #[tokio::test]
    async fn a_statement_that_takes_too_long_is_ended() {
        let readers = Readers::with_deadline(&migrated().await, Duration::from_millis(50)).unwrap();
        let slow = raw_row(&**readers.short().await.unwrap(), "SELECT pg_sleep(60)", &[]).await;
        assert!(matches!(error_of(slow), Some(StoreError::Overloaded)));
        assert_eq!(readers.count_triage().await.unwrap(), 0, "others are not hindered");
    }

    #[tokio::test]
    async fn a_database_that_does_not_answer_is_away() {
        let readers = Readers::with_deadline(&migrated().await, Duration::ZERO).unwrap();
        let connection = readers.short().await.unwrap();
        let unanswered = raw_row(&**connection, "SELECT pg_sleep(60)", &[]).await;
        assert!(matches!(error_of(unanswered), Some(StoreError::Blocked)));
    }

    #[tokio::test]
    async fn a_database_that_is_away_has_no_reads_until_it_is_back() {
        let mut server = Server::start(&[]);
        let address = Address::parse(&server.new_database(), profile(), tls()).unwrap();
        let readers = Readers::new(&address).unwrap();
        let read = async || cell::<i64>(&**readers.short().await?, "SELECT 1::bigint", &[]).await;
        assert_eq!(read().await.unwrap(), 1);
        server.stop();
        for _ in 0..3 {
            assert!(matches!(error_of(read().await), Some(StoreError::Blocked)));
        }
        server.start_again();
        assert_eq!(read().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_snapshot_sees_the_same_rows_and_writes_nothing() {
        let readers = Readers::new(&migrated().await).unwrap();
        let (mut one, other) = (readers.short().await.unwrap(), readers.short().await.unwrap());
        let count = "SELECT count(*) FROM holds";
        let insert = "INSERT INTO holds (incident) VALUES (1)";
        let reading = snapshot(&mut one).await.unwrap();
        assert_eq!(cell::<i64>(&reading, count, &[]).await.unwrap(), 0);
        other.execute(insert, &[]).await.unwrap();
        assert_eq!(cell::<i64>(&reading, count, &[]).await.unwrap(), 0);
        assert!(reading.execute(insert, &[]).await.is_err());
        drop(reading);
        let row = raw_row(&**one, count, &[]).await.unwrap().unwrap();
        assert_eq!(row.cell(0).unwrap(), Cell::Integer(1));
    }

    #[tokio::test]
    async fn a_read_whose_caller_has_gone_does_not_hold_up_another() {
        let (address, folder) = (address(), tempfile::tempdir().unwrap());
        let (client, _) = address.connect().await.unwrap();
        let store = store(address, "one", folder.path()).await;
        let store = Arc::new(store);
        client.batch_execute("BEGIN; LOCK TABLE triage IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let blocked = tokio::spawn({
            let store = store.clone();
            async move { store.count_triage().await }
        });
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = \
                       (SELECT oid FROM pg_database WHERE datname = current_database())";
        let waiting = async || client.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0);
        while waiting().await == 0 {
            sleep(Duration::from_millis(5)).await;
        }
        blocked.abort();
        for _ in 0..3 {
            assert_eq!(store.count_events(EventStatus::Queued).await.unwrap(), 0);
        }
        assert_eq!(waiting().await, 1, "the others did not wait for the first read");
        client.batch_execute("ROLLBACK").await.unwrap();
        store.close();
    }
}
