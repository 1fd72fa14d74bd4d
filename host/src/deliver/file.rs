//! Appends lines to a file, or writes them to a pipe or a device.

use super::send_result::SendResult;
use anyhow::{Context, Error, Result, bail};
use hookmill_connection::{Code, Failure};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// The limit for writing to a pipe whose reader is slow.
const PIPE_TIMEOUT: Duration = Duration::from_secs(30);

/// A file to which lines are appended. The file is opened for each line, so that it can be rotated.
#[derive(Debug)]
pub struct LineFile {
    path: PathBuf,
    lock: Mutex<()>,
}

impl LineFile {
    /// Creates a destination for the file at a path, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self { path, lock: Mutex::default() }
    }

    /// Appends a line.
    pub(super) async fn append(&self, mut line: Vec<u8>) -> SendResult {
        line.push(b'\n');
        let _guard = self.lock.lock().await;
        match self.write(line).await.with_context(|| format!("cannot write {}", self.path.display())) {
            Ok(()) => SendResult::Arrived(None),
            Err(error) => SendResult::Failed(Failure::new(Code::File, format!("{error:#}"))),
        }
    }

    async fn write(&self, line: Vec<u8>) -> Result<()> {
        let path = self.path.clone();
        let kind = tokio::fs::metadata(&path).await.ok().map(|known| known.file_type());
        match kind {
            Some(kind) if kind.is_fifo() => write_to_pipe(&path, &line).await,
            Some(kind) if kind.is_socket() => write_to_standard(&path, &line),
            // A device cannot be synced.
            Some(kind) if !kind.is_file() => {
                let write = move || Ok(OpenOptions::new().write(true).open(path)?.write_all(&line)?);
                tokio::task::spawn_blocking(write).await.map_err(Error::from).flatten()
            }
            _ => tokio::task::spawn_blocking(move || append(&path, line)).await.map_err(Error::from).flatten(),
        }
    }
}

async fn write_to_pipe(path: &Path, line: &[u8]) -> Result<()> {
    let mut sender = pipe::OpenOptions::new().open_sender(path).context("this pipe has no reader")?;
    timeout(PIPE_TIMEOUT, sender.write_all(line)).await.context("the reader of this pipe is too slow")??;
    Ok(())
}

/// Writes to this process's own output, which cannot be opened by its path if a service manager made it a socket.
fn write_to_standard(path: &Path, line: &[u8]) -> Result<()> {
    match path.to_str() {
        Some("/dev/stdout") => io::stdout().lock().write_all(line)?,
        Some("/dev/stderr") => io::stderr().lock().write_all(line)?,
        _ => bail!("it is a socket"),
    }
    Ok(())
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
    file.write_all(&line)?;
    file.sync_data()?;
    if is_new {
        // The directory entry of a new file must survive a power failure too.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
