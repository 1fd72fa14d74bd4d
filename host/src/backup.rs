//! Backups: one file with everything that the data folder holds and that cannot be made again.
//!
//! - `archive` is the file: a tar archive whose first entry is the `manifest`; `keys` seals the key of the vault.
//! - `make` writes one beside a running host, `verify` checks one, `restore` makes a data folder of one.
//! - `schedule` is the task that makes them at intervals; `retained` keeps the newest ones.
//!
//! Nothing here changes a data folder that has a database.

mod archive;
mod keys;
mod make;
mod manifest;
mod pace;
mod restore;
mod restored_database;
mod retained;
mod schedule;
mod verify;
mod work_folder;

pub use archive::read_manifest;
pub use keys::{Lock, LockFile, PASSPHRASE_VARIABLE};
pub(crate) use make::check_key;
pub use make::{Made, MakeOptions, make};
pub use manifest::{KeyState, Manifest};
pub use pace::{BYTES_PER_SECOND, Pace, Progress};
pub use restore::{RestoreOptions, Restored, SKIPPED_NUMBERS, restore};
pub use restored_database::{RestoredDatabase, begin_restored};
pub use schedule::{BackupState, BackupTask, LastBackup, LastFailure, Schedule};
pub use verify::{Finding, Outcome, Verified, verify};
