//! The bound of the write-ahead log.

use super::database::empty_log;
use super::gate::Gate;
use super::wal_file::wal_path;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, warn};

/// The size of the log from which it is emptied although reads are under way. Without reads SQLite begins the log anew at
/// a third of this size.
const LOG_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// The growth of a log that could not be emptied, because another program reads, until the next attempt.
const LOG_BYTES_STEP: u64 = 64 * 1024 * 1024;
/// The time that running reads have to end by themselves.
const GRACE: Duration = Duration::from_millis(250);

/// The write-ahead log, as the writer keeps it in bounds.
pub(super) struct WriteAheadLog {
    path: PathBuf,
    gate: Arc<Gate>,
    bytes_max: u64,
    /// The size from which the log is emptied next.
    next_bytes: u64,
}

impl WriteAheadLog {
    /// Returns the log of a database.
    pub fn of(database: &Path, gate: Arc<Gate>) -> Self {
        Self { path: wal_path(database), gate, bytes_max: LOG_BYTES_MAX, next_bytes: LOG_BYTES_MAX }
    }

    /// Empties the log if it is too large.
    pub fn bound(&mut self, connection: &Connection) {
        let bytes = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        if bytes < self.next_bytes {
            return;
        }
        self.next_bytes = self.bytes_max;
        match self.gate.without_reads(GRACE, || empty_log(connection)) {
            Ok(true) => debug!("the write-ahead log of {bytes} bytes was emptied"),
            Ok(false) => {
                warn!(
                    "the write-ahead log has {bytes} bytes and cannot be emptied: another program reads the database, or a backup is made"
                );
                self.next_bytes = bytes + LOG_BYTES_STEP;
            }
            Err(error) => {
                warn!("the write-ahead log has {bytes} bytes and cannot be emptied: {error:#}");
                self.next_bytes = bytes + LOG_BYTES_STEP;
            }
        }
    }

    /// Copies the log into the database at the end, so that the database alone is whole.
    pub fn end(&self, connection: &Connection) {
        if let Err(error) = self.gate.without_reads(GRACE, || empty_log(connection)) {
            warn!("the write-ahead log stays beside the database: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WriteAheadLog;
    use crate::StoreError;
    use crate::sqlite::gate::Gate;
    use crate::sqlite::readers::{Readers, long_reads};
    use crate::sqlite::wal_file::wal_path;
    use rusqlite::Connection;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::oneshot;

    /// Counts for ever.
    const ENDLESS: &str = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r, t";

    #[tokio::test(flavor = "multi_thread")]
    async fn reads_that_do_not_end_are_ended_and_do_not_keep_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.execute_batch("CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('first')").unwrap();
        let gate = Arc::new(Gate::default());
        let readers = Readers::new(path.clone(), gate.clone(), Duration::from_secs(60));
        let mut scans = Vec::new();
        for _ in 0..long_reads() {
            let (started, has_started) = oneshot::channel();
            let readers = readers.clone();
            let scan = tokio::spawn(async move {
                let scan = readers.scan(move |connection| {
                    let _ = started.send(());
                    Ok(connection.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))?)
                });
                scan.await
            });
            scans.push((scan, has_started));
        }
        for (_, has_started) in &mut scans {
            has_started.await.unwrap();
        }
        let mut log =
            WriteAheadLog { bytes_max: 1 << 20, next_bytes: 1 << 20, ..WriteAheadLog::of(&path, gate.clone()) };
        let size = || std::fs::metadata(wal_path(&path)).unwrap().len();
        while size() < 1 << 20 {
            connection.execute("INSERT INTO t VALUES (?)", ["x".repeat(100_000)]).unwrap();
        }
        log.bound(&connection);
        assert_eq!(size(), 0);
        assert_eq!(log.next_bytes, 1 << 20);
        for (scan, _) in scans {
            let error = scan.await.unwrap().unwrap_err();
            assert!(matches!(error.downcast_ref(), Some(StoreError::Overloaded)), "{error:#}");
        }
    }

    #[tokio::test]
    async fn a_read_that_takes_too_long_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('first')")
            .unwrap();
        let readers = Readers::new(path, Arc::default(), Duration::from_millis(20));
        let endless = |connection: &Connection| Ok(connection.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))?);
        let error = readers.scan(endless).await.unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(StoreError::Overloaded)), "{error:#}");
        // Its connection is used again, without its deadline.
        let rows = readers
            .scan(|connection| Ok(connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))?));
        assert_eq!(rows.await.unwrap(), 1);
    }
}
