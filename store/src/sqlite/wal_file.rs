//! The write-ahead log as a file, looked at before SQLite opens it.
//!
//! SQLite ends the log at the first frame with a wrong checksum, and drops everything after that frame without an error:
//! after a crash that is a transaction which was not finished. If finished transactions follow, the file was damaged or
//! copied badly, and events that were acknowledged would be lost. The format is described at
//! <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The magic number of a log whose checksums are made of little-endian words; with the last bit set, of big-endian words.
const MAGIC: u32 = 0x377f_0682;

/// Returns the path of the log of a database.
pub(super) fn wal_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// The part of the log that SQLite reads, and the part that it drops.
#[derive(Debug, Default, PartialEq)]
pub(super) struct WalFile {
    /// The pages that finished transactions of the valid part have written.
    pub pages: BTreeSet<u32>,
    /// The number of pages of the database after the last of these transactions.
    pub database_pages: Option<u32>,
    /// The number of frames before the first one that is not valid.
    pub valid_frames: usize,
    /// The number of transactions after that frame.
    pub dropped_transactions: usize,
}

impl WalFile {
    /// Reads the log; one that is missing is empty.
    pub fn read(path: &Path) -> Result<Self> {
        match File::open(path) {
            Ok(file) => Self::parse(&mut BufReader::with_capacity(1 << 20, file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
        .with_context(|| format!("cannot read {}", path.display()))
    }

    fn parse(file: &mut impl Read) -> Result<Self> {
        let mut wal = Self::default();
        let mut header = [0; HEADER_BYTES];
        if !fill(file, &mut header)? {
            return Ok(wal);
        }
        let magic = word(&header, 0);
        let mut checksum = Checksum { is_big_endian: magic & 1 == 1, sum: (0, 0) };
        checksum.add(&header[..24]);
        let mut is_valid = magic & !1 == MAGIC && checksum.is(&header[24..]);
        let page_bytes = match word(&header, 8) {
            bytes if bytes.is_power_of_two() && (512..=65_536).contains(&bytes) => bytes as usize,
            _ => 4096,
        };
        let mut salts = header[16..24].to_vec();
        let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
        let mut open = Vec::new();
        while fill(file, &mut frame)? {
            // A header that is not valid says nothing about the frames: then the first frame decides which ones belong together.
            if !is_valid && wal.valid_frames + wal.dropped_transactions == 0 && open.is_empty() && salts != frame[8..16]
            {
                salts = frame[8..16].to_vec();
            }
            if salts != frame[8..16] {
                // The rest is of an earlier round through the file.
                break;
            }
            let (page, database_pages) = (word(&frame, 0), word(&frame, 4));
            if is_valid {
                checksum.add(&frame[..8]);
                checksum.add(&frame[FRAME_HEADER_BYTES..]);
                is_valid = checksum.is(&frame[16..24]);
            }
            if !is_valid {
                wal.dropped_transactions += usize::from(database_pages != 0);
                continue;
            }
            wal.valid_frames += 1;
            open.push(page);
            if database_pages != 0 {
                wal.pages.extend(open.drain(..));
                wal.database_pages = Some(database_pages);
            }
        }
        Ok(wal)
    }
}

/// The checksum of a log, over everything before.
struct Checksum {
    is_big_endian: bool,
    sum: (u32, u32),
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let words = bytes.chunks_exact(8).map(|chunk| {
            let [a, b, c, d, e, f, g, h] = *chunk else { return (0, 0) };
            let (first, second) = ([a, b, c, d], [e, f, g, h]);
            match self.is_big_endian {
                true => (u32::from_be_bytes(first), u32::from_be_bytes(second)),
                false => (u32::from_le_bytes(first), u32::from_le_bytes(second)),
            }
        });
        self.sum = words.fold(self.sum, |(one, two), (first, second)| {
            let one = one.wrapping_add(first).wrapping_add(two);
            (one, two.wrapping_add(second).wrapping_add(one))
        });
    }

    /// Returns whether these eight bytes are the checksum.
    fn is(&self, bytes: &[u8]) -> bool {
        (word(bytes, 0), word(bytes, 4)) == self.sum
    }
}

/// Returns a big-endian word.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Fills the whole buffer. Returns `false` at the end of the file.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::WalFile;
    use rusqlite::Connection;

    /// Returns a log of these transactions, with the number of frames before each.
    fn log(transactions: usize) -> (Vec<u8>, Vec<usize>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        connection.execute_batch("CREATE TABLE t (x TEXT)").unwrap();
        let wal = folder.path().join("test.db-wal");
        let mut frames = Vec::new();
        for _ in 0..transactions {
            frames.push(WalFile::read(&wal).unwrap().valid_frames);
            connection.execute("INSERT INTO t VALUES (?)", ["x".repeat(9_000)]).unwrap();
        }
        (std::fs::read(wal).unwrap(), frames)
    }

    fn parse(bytes: &[u8]) -> WalFile {
        WalFile::parse(&mut &*bytes).unwrap()
    }

    #[test]
    fn a_whole_log_is_valid_and_a_torn_last_transaction_is_dropped() {
        let (bytes, frames) = log(5);
        let whole = parse(&bytes);
        assert_eq!((whole.valid_frames * 4120 + 32, whole.dropped_transactions), (bytes.len(), 0));
        assert_eq!(whole.database_pages, whole.pages.last().copied());
        // Torn within the last transaction.
        let torn = parse(&bytes[..bytes.len() - 5_000]);
        assert_eq!(torn.dropped_transactions, 0);
        let mut damaged = bytes.clone();
        damaged[32 + frames[4] * 4120 + 2_000] ^= 1;
        assert_eq!((parse(&damaged).valid_frames, parse(&damaged).dropped_transactions), (frames[4], 1));
        assert_eq!(parse(&[]), WalFile::default());
        assert_eq!(parse(&[0; 100_000]), WalFile::default());
    }

    #[test]
    fn transactions_after_changed_bytes_are_counted() {
        let (bytes, frames) = log(5);
        for (at, dropped) in [(32 + frames[1] * 4120 + 100, 4), (32 + frames[1] * 4120 + 20, 4), (20, 6), (3, 6)] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert_eq!(parse(&damaged).dropped_transactions, dropped, "byte {at}");
        }
    }

    #[test]
    fn frames_of_an_earlier_round_are_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.execute_batch("CREATE TABLE t (x TEXT)").unwrap();
        for _ in 0..20 {
            connection.execute("INSERT INTO t VALUES (?)", ["x".repeat(9_000)]).unwrap();
        }
        connection.execute_batch("PRAGMA wal_checkpoint(RESTART); INSERT INTO t VALUES ('new')").unwrap();
        let wal = WalFile::read(&folder.path().join("test.db-wal")).unwrap();
        assert_eq!((wal.valid_frames, wal.dropped_transactions), (1, 0));
    }
}
