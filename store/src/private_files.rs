//! Files and folders that only their owner can change.

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Creates a folder that only its owner can enter.
///
/// # Errors
/// Returns an error if the folder exists and other users can write in it, or if it cannot be created.
pub fn private_folder(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create the folder {}", path.display()))?;
    refuse_writable_by_others(path)
}

/// Opens the file in a data folder that a host locks while it runs.
pub(crate) fn lock_file(data_dir: &Path) -> Result<File> {
    private_file(&data_dir.join("lock"))
}

/// Returns why a data folder cannot be opened, whose lock another process holds.
pub(crate) fn in_use(data_dir: &Path) -> String {
    format!("the data folder {} is in use by another hookmill; stop that first", data_dir.display())
}

/// Replaces a file through a temporary file in the folder. After a crash the file is the old or the new one as a whole;
/// after the return it is the new one.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub fn replace_file(folder: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder).context("cannot create a temporary file")?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The new name is in the folder, which is synchronised on its own.
    File::open(folder)?.sync_all().with_context(|| format!("cannot write the folder {}", folder.display()))
}

/// Returns the digest of a file's content, and goes back to its beginning.
///
/// # Errors
/// Returns an error if the file cannot be read.
pub fn digest(file: &mut File) -> std::io::Result<[u8; 32]> {
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    file.rewind()?;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            bytes => digest.update(&buffer[..bytes]),
        }
    }
    file.rewind()?;
    Ok(digest.finalize().into())
}

/// Checks that other users cannot write in a folder: they could replace the plugins in it.
///
/// # Errors
/// Returns an error if they can, or if the folder cannot be read.
pub fn refuse_writable_by_others(path: &Path) -> Result<()> {
    let metadata =
        std::fs::metadata(path).with_context(|| format!("cannot read the permissions of {}", path.display()))?;
    let (mode, owner, own) = (metadata.mode(), metadata.uid(), rustix::process::geteuid().as_raw());
    ensure!(
        owner == own || owner == 0,
        "{} belongs to user {owner}, who can write to it; run `chown {own} {}`",
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

/// Opens a file for reading and writing, and creates it with access for its owner only if it is missing.
///
/// # Errors
/// Returns an error if the file cannot be opened.
pub fn private_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).with_context(|| format!("cannot open {}", path.display()))
}
