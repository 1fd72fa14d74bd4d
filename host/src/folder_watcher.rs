//! Notices of the file system that something changed in a folder.
//!
//! A notice is only a hint: some file systems send none, and some are lost. Code that waits for a notice also looks on
//! a timer.

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tokio::sync::mpsc;

/// A watch on one folder.
#[derive(Debug)]
pub struct FolderWatcher {
    watcher: RecommendedWatcher,
    inode: Option<u64>,
    notices: mpsc::Receiver<()>,
}

impl FolderWatcher {
    /// Returns a watcher that does not watch a folder yet.
    ///
    /// # Errors
    /// Returns an error if the system offers no notices.
    pub fn new() -> notify::Result<Self> {
        let (sender, notices) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Reading a file or a folder causes a notice too. If the channel is full, a notice is already waiting.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                let _ = sender.try_send(());
            }
        })?;
        Ok(Self { watcher, inode: None, notices })
    }

    /// Watches the folder that is at this path now. The folder may have been replaced since the last call.
    ///
    /// # Errors
    /// Returns an error if the folder exists and cannot be watched.
    pub fn follow(&mut self, path: &Path) -> notify::Result<()> {
        let inode = std::fs::metadata(path).ok().map(|metadata| metadata.ino());
        if inode == self.inode {
            return Ok(());
        }
        let _ = self.watcher.unwatch(path);
        self.inode = None;
        if inode.is_some() {
            self.watcher.watch(path, RecursiveMode::NonRecursive)?;
            self.inode = inode;
        }
        Ok(())
    }

    /// Waits for the next notice.
    pub async fn changed(&mut self) {
        // The watcher keeps the sender, so that the channel stays open.
        let _ = self.notices.recv().await;
    }
}

/// Waits for the next notice, or forever without a watcher.
pub async fn changed(watcher: Option<&mut FolderWatcher>) {
    match watcher {
        Some(watcher) => watcher.changed().await,
        None => std::future::pending().await,
    }
}
