//! The backups of a schedule in their folder, named by their times.

use super::archive::Archive;
use anyhow::{Context, Result};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use tracing::warn;

const PREFIX: &str = "hookmill-";
const SUFFIX: &str = ".tar";
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// A backup that is complete.
#[derive(Clone, Debug)]
pub(super) struct Retained {
    pub path: PathBuf,
    pub created_at: Timestamp,
    pub bytes: u64,
}

/// Returns the name of a backup of this time.
pub(super) fn file_name(at: Timestamp) -> String {
    format!("{PREFIX}{}{SUFFIX}", at.strftime(TIME))
}

/// Returns the complete backups in a folder, the newest first. Files that are cut off are left out, and so are those with
/// other names.
pub(super) fn list(folder: &Path) -> Result<Vec<Retained>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut found: Vec<Retained> = entries.flatten().filter_map(|entry| complete(&entry.path())).collect();
    found.sort_by_key(|backup| std::cmp::Reverse(backup.created_at));
    Ok(found)
}

/// Removes all complete backups but the one that was just made and the newest others, `keep` together. The clock may have
/// been ahead when an older one was made. Returns an error if the folder cannot be read.
pub(super) fn keep_newest(folder: &Path, keep: usize, made: &Path) -> Result<()> {
    let others = list(folder)?.into_iter().filter(|backup| backup.path != made);
    for old in others.skip(keep.saturating_sub(1)) {
        if let Err(error) = std::fs::remove_file(&old.path) {
            warn!("cannot remove the old backup {}: {error}", old.path.display());
        }
    }
    Ok(())
}

fn complete(path: &Path) -> Option<Retained> {
    let time = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    DateTime::strptime(TIME, time).ok()?.to_zoned(TimeZone::UTC).ok()?;
    let bytes = std::fs::metadata(path).ok()?.len();
    let archive = Archive::open(path).ok().filter(|archive| archive.expected_bytes == bytes)?;
    Some(Retained { path: path.to_owned(), created_at: archive.manifest.created_at, bytes })
}
