//! The thread that copies the log into the database.
//!
//! Thousands of pages take as long as the disk needs for them, and the thread that writes goes on meanwhile. SQLite waits for the
//! disk only when it has copied the whole log, so the thread does so after each part: what it has copied is on disk.

use super::database;
use anyhow::Result;
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use tracing::error;

/// The thread. It ends with this.
#[derive(Debug)]
pub(super) struct Checkpoints {
    requests: Option<SyncSender<()>>,
    results: Receiver<Result<u32>>,
    is_running: bool,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Starts the thread, with a connection of its own. `file` is the database.
    pub fn start(path: &Path, file: Arc<File>) -> Result<Self> {
        let connection = database::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "synchronous", "full")?;
        let (requests, requested) = sync_channel(1);
        let (done, results) = sync_channel(1);
        let copy = move || copy(&connection).inspect(|_| sync(&file));
        let work = move || requested.iter().take_while(|()| done.send(copy()).is_ok()).for_each(drop);
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(work)?;
        Ok(Self { requests: Some(requests), results, is_running: false, thread: Some(thread) })
    }

    /// Makes the thread copy what is in the log, unless it is doing so.
    pub fn request(&mut self) {
        if !self.is_running
            && let Some(requests) = &self.requests
        {
            self.is_running = requests.try_send(()).is_ok();
        }
    }

    /// Returns the result of a request that ended since the last call.
    pub fn ended(&mut self) -> Option<Result<u32>> {
        let result = self.results.try_recv().ok()?;
        self.is_running = false;
        Some(result)
    }

    /// Waits for the end of a request, if there is one, and returns its result.
    pub fn wait(&mut self) -> Option<Result<u32>> {
        std::mem::take(&mut self.is_running).then(|| self.results.recv().ok()).flatten()
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.requests.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Copies as much of the log as no read and no other program prevents. Returns the number of its pages that are in the
/// database, or 0 if another program copies them.
pub(super) fn copy(connection: &Connection) -> Result<u32> {
    let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(2))?;
    Ok(u32::try_from(copied).unwrap_or(0))
}

/// Waits until the database is on disk. The process ends if that fails: the system may have dropped pages that SQLite does not
/// copy again, and the next start copies the whole log.
fn sync(file: &File) {
    if let Err(error) = file.sync_data() {
        error!("the disk does not take the database, so this host ends; the next start copies the log again: {error}");
        std::process::abort();
    }
}
