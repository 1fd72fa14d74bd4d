//! Appends lines to a file.

use super::send_result::SendResult;
use anyhow::{Context, Result};
use hookmill_connection::{Code, Failure};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A file to which lines are appended. The file is opened for each line, so that it can be rotated.
#[derive(Debug)]
pub struct LineFile {
    path: PathBuf,
    lock: Arc<Mutex<()>>,
}

impl LineFile {
    /// Creates a destination for the file at a path, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self { path, lock: Arc::default() }
    }

    /// Appends a line.
    pub(super) async fn append(&self, line: Vec<u8>) -> SendResult {
        let (path, lock) = (self.path.clone(), self.lock.clone());
        let written = tokio::task::spawn_blocking(move || {
            let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
            append(&path, line).with_context(|| format!("cannot write {}", path.display()))
        });
        match written.await.map_err(anyhow::Error::from).flatten() {
            Ok(()) => SendResult::Arrived(None),
            Err(error) => SendResult::Failed(Failure::new(Code::File, format!("{error:#}"))),
        }
    }
}

/// Appends a line and syncs it to disk. An incomplete last line is ended first.
fn append(path: &Path, mut line: Vec<u8>) -> Result<()> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != *b"\n" {
        line.insert(0, b'\n');
    }
    line.push(b'\n');
    file.write_all(&line)?;
    file.sync_data()?;
    if is_new {
        // The directory entry of a new file must survive a power failure too.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
