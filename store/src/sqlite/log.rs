//! The write-ahead log: when it is copied into the database, and its bound.
//!
//! SQLite begins the log anew when all of it is in the database and nothing reads from it. A thread copies it while commits add
//! pages, again and again, until few are left, which the writer copies itself: no commit comes between.

use super::checkpoints::{Checkpoints, copy};
use super::database::empty_log;
use super::gate::Gate;
use anyhow::Result;
use rusqlite::Connection;
use rusqlite::hooks::Wal;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tracing::{debug, warn};

/// The size, in pages, from which the log is copied: few enough that a commit does not wait long for a disk that is busy with them.
const COPIED_AT: u32 = if cfg!(test) { 200 } else { 2_000 };
/// The size from which the writer waits for the thread: the disk takes no more.
const WAITED_FOR_AT: u32 = 8 * COPIED_AT;
/// The size from which the log is emptied although reads are under way: 94 MiB.
const EMPTIED_AT: u32 = 24_000;
/// The pages that the writer copies itself: most are the same few, so that this takes a few milliseconds.
const LAST_PAGES_MAX: u32 = COPIED_AT / 4;
/// The growth of a log that could not be begun anew, because something reads from it, until the next attempt.
const COPY_AGAIN_AFTER: u32 = 1_000;
/// The growth of a log that could not be emptied, because another program reads, until the next attempt.
const EMPTY_AGAIN_AFTER: u32 = 16_000;
/// The time that running reads have to end by themselves.
const GRACE: Duration = Duration::from_millis(250);

/// The write-ahead log, as the writer keeps it in bounds. All sizes are pages.
pub(super) struct WriteAheadLog {
    gate: Arc<Gate>,
    checkpoints: Checkpoints,
    committed: Arc<Committed>,
    /// The round through the log that the other values are about.
    round: u32,
    /// The pages that the thread has copied.
    copied: u32,
    /// The size from which the log is copied next.
    copied_at: u32,
    /// The size from which the log is emptied next.
    emptied_at: u32,
}

/// The log after the last commit of the writer.
#[derive(Default)]
struct Committed {
    size: AtomicU32,
    /// The times that SQLite has begun it anew.
    rounds: AtomicU32,
}

impl WriteAheadLog {
    /// Takes over the log of the connection that writes. `file` is the database.
    pub fn of(connection: &mut Connection, path: &Path, file: Arc<File>, gate: Arc<Gate>) -> Result<Self> {
        let committed = Arc::new(Committed::default());
        let hook = committed.clone();
        // It replaces the checkpoints that SQLite makes by itself in a COMMIT.
        connection.wal_hook(Some(move |_: &mut Wal, pages| {
            let size = u32::try_from(pages).unwrap_or(0);
            if size <= hook.size.swap(size, Ordering::Relaxed) {
                hook.rounds.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }))?;
        let checkpoints = Checkpoints::start(path, file)?;
        let (round, copied, copied_at, emptied_at) = (0, 0, COPIED_AT, EMPTIED_AT);
        Ok(Self { gate, checkpoints, committed, round, copied, copied_at, emptied_at })
    }

    /// Copies the log, or empties it, if it is time.
    pub fn bound(&mut self, connection: &Connection) {
        let size = self.committed.size.load(Ordering::Relaxed);
        let round = self.committed.rounds.load(Ordering::Relaxed);
        if round != self.round {
            (self.round, self.copied, self.copied_at, self.emptied_at) = (round, 0, COPIED_AT, EMPTIED_AT);
        }
        let is_awaited = size >= WAITED_FOR_AT;
        let ended = if is_awaited { self.checkpoints.wait() } else { self.checkpoints.ended() };
        match ended {
            None => {}
            // Of the round before.
            Some(Ok(copied)) if copied > size => {}
            Some(Ok(copied)) if copied + LAST_PAGES_MAX < size && !is_awaited => {
                // Without progress something reads from the log.
                self.copied_at = if copied > self.copied { size } else { size + COPY_AGAIN_AFTER };
                self.copied = copied;
            }
            Some(result) => {
                if let Err(error) = result.and_then(|_| copy(connection)) {
                    warn!("the write-ahead log cannot be copied into the database yet: {error:#}");
                }
                self.copied_at = size + COPY_AGAIN_AFTER;
            }
        }
        if size >= self.emptied_at {
            self.empty(connection, size);
        } else if size >= self.copied_at {
            self.checkpoints.request();
        }
    }

    fn empty(&mut self, connection: &Connection, size: u32) {
        match self.gate.without_reads(GRACE, || empty_log(connection)) {
            Ok(true) => {
                self.committed.size.store(0, Ordering::Relaxed);
                self.committed.rounds.fetch_add(1, Ordering::Relaxed);
                debug!("the write-ahead log of {size} pages was emptied");
            }
            Ok(false) => {
                warn!(
                    "the write-ahead log has {size} pages and cannot be emptied: another program reads the database, or a backup is made"
                );
                self.emptied_at = size + EMPTY_AGAIN_AFTER;
            }
            Err(error) => {
                warn!("the write-ahead log has {size} pages and cannot be emptied: {error:#}");
                self.emptied_at = size + EMPTY_AGAIN_AFTER;
            }
        }
    }

    /// Copies the log into the database at the end, so that the database alone is whole.
    pub fn end(&mut self, connection: &Connection) {
        self.checkpoints.wait();
        if let Err(error) = self.gate.without_reads(GRACE, || empty_log(connection)) {
            warn!("the write-ahead log stays beside the database: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LAST_PAGES_MAX, WAITED_FOR_AT, WriteAheadLog};
    use crate::StoreError;
    use crate::sqlite::gate::Gate;
    use crate::sqlite::readers::{Readers, long_reads};
    use crate::sqlite::wal_file::wal_path;
    use rusqlite::Connection;
    use std::fs::File;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Duration;
    use tokio::sync::oneshot;

    /// Counts for ever.
    const ENDLESS: &str = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r, t";

    fn database(path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.execute_batch("CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('first')").unwrap();
        connection
    }

    #[test]
    fn the_log_begins_anew_while_commits_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let mut connection = database(&path);
        let file = Arc::new(File::open(&path).unwrap());
        let mut log = WriteAheadLog::of(&mut connection, &path, file, Arc::default()).unwrap();
        let mut rows = 1;
        while log.round < 5 {
            connection.execute("INSERT INTO t VALUES (?)", ["x".repeat(10_000)]).unwrap();
            rows += 1;
            let size = log.committed.size.load(Ordering::Relaxed);
            assert!(size < WAITED_FOR_AT + LAST_PAGES_MAX, "{size} pages");
            log.bound(&connection);
        }
        log.end(&connection);
        assert_eq!(std::fs::metadata(wal_path(&path)).unwrap().len(), 0);
        let stored = connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
        assert_eq!(stored.unwrap(), rows);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn reads_that_do_not_end_are_ended_and_do_not_keep_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let mut connection = database(&path);
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
        let file = Arc::new(File::open(&path).unwrap());
        let mut log = WriteAheadLog::of(&mut connection, &path, file, gate.clone()).unwrap();
        log.emptied_at = 250;
        let size = || std::fs::metadata(wal_path(&path)).unwrap().len();
        while size() < 1 << 20 {
            connection.execute("INSERT INTO t VALUES (?)", ["x".repeat(100_000)]).unwrap();
        }
        log.bound(&connection);
        assert_eq!(size(), 0);
        for (scan, _) in scans {
            let error = scan.await.unwrap().unwrap_err();
            assert!(matches!(error.downcast_ref(), Some(StoreError::Overloaded)), "{error:#}");
        }
    }

    #[tokio::test]
    async fn a_read_that_takes_too_long_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        database(&path);
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
