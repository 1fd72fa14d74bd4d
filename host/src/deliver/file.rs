//! Appends lines to a file.

use super::attempt::Sent;
use anyhow::{Context, Result};
use hookmill_connection::{Code, Failure};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A file that lines are appended to. It is opened for each, so that it can be rotated.
#[derive(Debug)]
pub struct LineFile {
    path: PathBuf,
    turn: Arc<Mutex<()>>,
}

impl LineFile {
    /// The file at a path, which need not be there.
    pub fn new(path: PathBuf) -> Self {
        Self { path, turn: Arc::default() }
    }

    pub(super) async fn append(&self, line: Vec<u8>) -> Sent {
        let (path, turn) = (self.path.clone(), self.turn.clone());
        let written = tokio::task::spawn_blocking(move || {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            append(&path, line).with_context(|| format!("cannot write {}", path.display()))
        });
        match written.await.map_err(anyhow::Error::from).flatten() {
            Ok(()) => Sent::Arrived(None),
            Err(error) => Sent::Failed(Failure::new(Code::File, format!("{error:#}"))),
        }
    }
}

/// On disk when it returns. A line that was only half written before is ended first.
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
        // Its name has to outlive a power cut too.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
