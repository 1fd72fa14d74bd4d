//! Checks of the database before it is used: a damaged or badly copied one is refused.
//!
//! SQLite opens a file that was cut off, and finds out when a page is needed. Until then the host would acknowledge events
//! on top of a database that cannot be read.

use super::wal_file::{WalFile, wal_path, word};
use crate::mark::how_to_accept;
use anyhow::{Context, Result, bail, ensure};
use rusqlite::Connection;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};
use tracing::info;

/// The time that the check of the pages may take at each start. Larger databases are checked in part; reads find out the
/// rest.
const CHECKED_FOR: Duration = Duration::from_secs(3);
const STEPS: i32 = 10_000;
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The advice to an operator whose database is refused.
const ADVICE: &str = "move the data folder away and run `hookmill restore BACKUP`; without a backup, docs/BACKUP.md shows how \
                      to recover what is readable";

/// Checks the files before SQLite opens them: SQLite would change them.
pub(super) fn check_files(path: &Path, accepts_loss: bool) -> Result<()> {
    let wal_path = wal_path(path);
    let wal = WalFile::read(&wal_path)?;
    let mut header = Vec::new();
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let bytes = file.metadata()?.len();
    file.by_ref().take(100).read_to_end(&mut header)?;
    // SQLite drops the locks of this process on the database when any descriptor of the file is closed, so this one must be
    // closed before SQLite opens the file.
    drop(file);
    if wal.dropped_transactions > 1 {
        let count = wal.dropped_transactions;
        ensure!(
            accepts_loss,
            "{} is damaged: after frame {} there are {count} transactions that SQLite would drop without a word; {ADVICE}. \
             To go on without these transactions, {}",
            wal_path.display(),
            wal.valid_frames,
            how_to_accept(path)
        );
    }
    if header.is_empty() {
        return Ok(());
    }
    ensure!(header.starts_with(MAGIC), "{} is not a database of SQLite; {ADVICE}", path.display());
    let page_bytes = match u64::from(word(&header, 16) >> 16) {
        1 => 65_536,
        bytes => bytes.max(512),
    };
    // The count in the header is of the last checkpoint. A checkpoint that was interrupted may have written it before the
    // pages, which are still in the log.
    let is_count_valid = word(&header, 24) == word(&header, 92);
    let pages = wal.database_pages.or(is_count_valid.then(|| word(&header, 28))).unwrap_or(0);
    let there = u32::try_from(bytes / page_bytes).unwrap_or(u32::MAX);
    let missing = (there + 1..=pages).filter(|page| !wal.pages.contains(page)).count();
    if missing > 0 {
        bail!("{} is cut off: {missing} of its {pages} pages are missing; {ADVICE}", path.display());
    }
    Ok(())
}

/// Checks all pages of a copy. A thorough check also compares indexes with their tables.
pub(super) fn check_copy(connection: &Connection, is_thorough: bool) -> Result<()> {
    let check = if is_thorough { "integrity_check" } else { "quick_check" };
    let found: rusqlite::Result<String> = connection.query_row(&format!("PRAGMA {check}(1)"), [], |row| row.get(0));
    let text = found.with_context(|| format!("the database is damaged: {check}"))?;
    ensure!(text == "ok", "the database is damaged: {check}: {}", text.trim());
    Ok(())
}

/// Checks the pages, as many as there is time for.
pub(super) fn check_pages(connection: &mut Connection) -> Result<()> {
    let until = Instant::now() + CHECKED_FOR;
    connection.progress_handler(STEPS, Some(move || Instant::now() >= until))?;
    let found: rusqlite::Result<String> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match found {
        Ok(text) => ensure!(text == "ok", "it is damaged: quick_check: {}; {ADVICE}", text.trim()),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {
            info!("the database is large: its pages were checked for {} s and not to the end", CHECKED_FOR.as_secs());
        }
        Err(error) => return Err(error).context(format!("it is damaged: quick_check failed; {ADVICE}")),
    }
    Ok(())
}
