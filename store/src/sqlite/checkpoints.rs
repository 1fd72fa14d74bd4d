//! The thread that copies the log into the database.
//!
//! Thousands of pages take as long as the disk needs for them, and the thread that writes goes on meanwhile.

use super::database;
use anyhow::Result;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// The thread. It ends with this.
#[derive(Debug)]
pub(super) struct Checkpoints {
    requests: Option<SyncSender<()>>,
    results: Receiver<Result<u32>>,
    is_running: bool,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Starts the thread, with a connection of its own.
    pub fn start(path: &Path) -> Result<Self> {
        let connection = database::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let (requests, requested) = sync_channel(1);
        let (done, results) = sync_channel(1);
        let work = move || requested.iter().take_while(|()| done.send(copy(&connection)).is_ok()).for_each(drop);
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
/// database, if no other program copies them.
pub(super) fn copy(connection: &Connection) -> Result<u32> {
    let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(2))?;
    Ok(u32::try_from(copied).unwrap_or(0))
}
