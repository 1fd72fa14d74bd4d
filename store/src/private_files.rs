//! Files and folders that only their owner can change.

use anyhow::{Context, Result, ensure};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Makes a folder that only its owner can enter.
///
/// # Errors
/// When it is there and other users can write in it.
pub fn private_folder(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))?;
    refuse_writable_by_others(path)
}

/// Puts a file of the folder in the place of the one that is there, whole and on disk.
///
/// # Errors
/// When it cannot be written.
pub fn replace_file(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder).context("cannot make a file")?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// # Errors
/// When other users can write in the folder: they could replace what is run.
pub fn refuse_writable_by_others(path: &Path) -> Result<()> {
    let metadata = std::fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    let (mode, owner, own) = (metadata.mode(), metadata.uid(), rustix::process::geteuid().as_raw());
    ensure!(
        owner == own || owner == 0,
        "{} belongs to user {owner}, who can write in it; run `chown {own} {}`",
        path.display(),
        path.display()
    );
    ensure!(
        mode & 0o022 == 0,
        "other users can write in {} (mode {:03o}); run `chmod go-w {}`",
        path.display(),
        mode & 0o777,
        path.display()
    );
    Ok(())
}

/// Opens a file for reading and writing that only its owner can read, and creates it if it is missing.
///
/// # Errors
/// Returns an error if it cannot be opened.
pub fn private_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).with_context(|| format!("cannot open {}", path.display()))
}
