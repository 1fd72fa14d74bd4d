//! Makes a data folder of a backup.

use super::keys::Lock;
use super::make::check_key;
use super::manifest::{DATABASE, KeyState, MARK, Manifest, VERSIONS};
use super::pace::Pace;
use super::verify::{Verified, verify};
use crate::release::trust::signature_path;
use crate::vault::{KEY_FILE, KEY_VARIABLE, Vault};
use anyhow::{Context, Result, bail, ensure};
use hookmill_incident::Clock;
use hookmill_store::private_files::{private_folder, replace_file};
use hookmill_store::{Dedup, EpochChanges, NewEpoch, Policy, Store, begin_epoch, lock_without_database};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The incident numbers that are left out by default.
pub const SKIPPED_NUMBERS: u32 = 1000;
/// The folder, in the data folder, into which a backup is unpacked.
const UNPACKED: &str = ".restore";

/// The options of a restore.
#[derive(Debug)]
pub struct RestoreOptions {
    /// The backup.
    pub file: PathBuf,
    /// The data folder, which must not have a database.
    pub data_dir: PathBuf,
    /// The plugins folder, if live plugins that are missing there are to be copied into it.
    pub plugins_dir: Option<PathBuf>,
    /// The secret that opens the key of the vault.
    pub lock: Option<Lock>,
    /// Permission to restore without the key that is in the backup.
    pub without_keys: bool,
    /// The count of incident numbers to leave out.
    pub skipped_numbers: u32,
}

/// The result of a restore.
#[derive(Debug)]
pub struct Restored {
    /// The content of the backup.
    pub manifest: Manifest,
    /// The number of pending deliveries that became dead letters.
    pub dead_deliveries: usize,
    /// The number of triage requests that were ended.
    pub ended_triages: usize,
    /// The plugins that were copied into the plugins folder.
    pub plugins: Vec<String>,
    /// Remarks on missing parts and remaining work.
    pub warnings: Vec<String>,
}

/// Restores a backup. Until the end, the data folder has no database, so that no host starts on a half of it.
///
/// # Errors
/// Returns an error if the data folder has a database or a running host, or the backup is damaged.
pub async fn restore(options: &RestoreOptions, pace: &mut Pace<'_>) -> Result<Restored> {
    let data_dir = &options.data_dir;
    ensure!(options.file.is_file(), "there is no file {}", options.file.display());
    let mut made = Made::in_folder(data_dir);
    private_folder(data_dir)?;
    let lock = lock_without_database(data_dir)?;
    let unpacked = Unpacked::make(data_dir)?;
    let verified = verify(&options.file, &unpacked.0, options.lock.as_ref(), pace)?;
    if let Some(faults) = verified.faults() {
        bail!("{} is damaged or cannot be opened, and nothing is restored: {faults}", options.file.display());
    }
    ensure!(
        verified.key.is_some() || options.without_keys || !has_sealed_key(&verified.manifest),
        "the keys in the backup are {}; give the passphrase or the key file, or --without-keys to restore without them",
        verified.manifest.keys.as_str().replace('_', " ")
    );
    let mut warnings = verified.manifest.warnings.clone();
    let key = key_to_write(data_dir, &verified, &mut warnings)?;

    pace.begin("preparing the database", 0);
    // The mark in the backup is of the database as it was; the restored one gets an identity of its own.
    std::fs::remove_file(unpacked.path(MARK))?;
    let clock = Clock::default();
    let backup_at = verified.manifest.created_at.as_millisecond();
    let epoch = NewEpoch { backup_at, now: clock.now_ms(), skipped_numbers: options.skipped_numbers };
    let EpochChanges { dead_deliveries, ended_triages } = begin_epoch(&unpacked.0, epoch)?;
    let skipped_triages = skip_triage(&unpacked.0, backup_at, clock).await?;

    let plugins = copy_live_plugins(options, &unpacked, &verified.manifest, &mut warnings)?;
    if let Some(key) = key {
        replace_file(data_dir, &data_dir.join(KEY_FILE), format!("{key}\n").as_bytes())?;
    }
    unpacked.put_in_place(data_dir)?;
    made.keep();
    drop(lock);
    let ended_triages = ended_triages + skipped_triages;
    Ok(Restored { manifest: verified.manifest, dead_deliveries, ended_triages, plugins, warnings })
}

fn has_sealed_key(manifest: &Manifest) -> bool {
    matches!(manifest.keys, KeyState::Passphrase | KeyState::KeyFile)
}

/// Returns the key that is to be written into the data folder.
fn key_to_write(data_dir: &Path, verified: &Verified, warnings: &mut Vec<String>) -> Result<Option<String>> {
    let there = Vault::key(data_dir)?;
    match (&verified.key, there) {
        (Some(key), None) => Ok(Some(key.clone())),
        (Some(key), Some((there, place))) => {
            ensure!(*key == there, "{place} has another key than the backup; remove or correct it");
            Ok(None)
        }
        (None, there) => {
            let sources = verified.copy.as_ref().map_or(&[][..], |copy| &copy.sources);
            let opens = match &there {
                Some((key, _)) => check_key(key, sources),
                None => check_key_is_not_needed(sources.iter().map(|source| source.secrets.len()).sum()),
            };
            if let Err(error) = opens {
                warnings.push(format!(
                    "{error:#}: before the start, put the key into {} or {KEY_VARIABLE}, or set new secrets with `hookmill \
                     webhook rotate`",
                    data_dir.join(KEY_FILE).display()
                ));
            }
            Ok(None)
        }
    }
}

fn check_key_is_not_needed(secrets: usize) -> Result<()> {
    ensure!(secrets == 0, "there is no key for {secrets} secrets of registered sources");
    Ok(())
}

async fn skip_triage(folder: &Path, backup_at: i64, clock: Clock) -> Result<usize> {
    const QUEUE: usize = 16;
    // No event arrives, so the policy does not matter.
    let dedup = Dedup { retention: Duration::ZERO, window: Duration::ZERO };
    let policy = Policy { dedup, reopen_within: Duration::ZERO };
    let store = Store::open(folder, QUEUE, policy, Box::new(|_, _| {}), clock)?;
    let skipped = store.skip_triage(backup_at).await?;
    store.put_mark().await?;
    tokio::task::spawn_blocking(move || store.close()).await?;
    Ok(skipped)
}

/// Copies live plugins into the plugins folder if they are missing there, or returns a remark on them.
fn copy_live_plugins(
    options: &RestoreOptions,
    unpacked: &Unpacked,
    manifest: &Manifest,
    warnings: &mut Vec<String>,
) -> Result<Vec<String>> {
    let Some(folder) = &options.plugins_dir else { return Ok(Vec::new()) };
    private_folder(folder)?;
    let mut copied = Vec::new();
    for plugin in manifest.plugins.iter().filter(|plugin| plugin.live) {
        let to = folder.join(format!("{}.wasm", plugin.name));
        if to.exists() {
            continue;
        }
        if !plugin.kept {
            warnings.push(format!("the live plugin `{}` is not in the backup", plugin.name));
            continue;
        }
        let from = unpacked.path(&plugin.part_name());
        if let Ok(signature) = std::fs::read(signature_path(&from)) {
            replace_file(folder, &signature_path(&to), &signature)?;
        }
        replace_file(folder, &to, &std::fs::read(from)?)?;
        copied.push(plugin.name.clone());
    }
    Ok(copied)
}

/// The folder and the lock that a restore makes, which are removed when this value is dropped, unless they are kept.
struct Made(Vec<PathBuf>);

impl Made {
    /// Returns what a restore into a data folder will make, because it is not there.
    fn in_folder(data_dir: &Path) -> Self {
        Self([data_dir.join("lock"), data_dir.to_owned()].into_iter().filter(|path| !path.exists()).collect())
    }

    fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.0 {
            // A folder in which something else was put stays.
            let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir(path));
        }
    }
}

/// The folder of the unpacked parts, which is removed when this value is dropped.
struct Unpacked(PathBuf);

impl Unpacked {
    /// Makes the folder, and removes the files of a restore that was killed.
    fn make(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(UNPACKED);
        if path.symlink_metadata().is_ok() {
            std::fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        private_folder(&path)?;
        Ok(Self(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Moves everything into the data folder, the database last.
    fn put_in_place(&self, data_dir: &Path) -> Result<()> {
        let wal = self.path("hookmill.db-wal");
        let is_empty = std::fs::metadata(wal).map_or(true, |metadata| metadata.len() == 0);
        ensure!(is_empty, "the restored database was not closed; restore it again");
        let versions = data_dir.join(VERSIONS);
        private_folder(&versions)?;
        for entry in std::fs::read_dir(self.path(VERSIONS))? {
            let entry = entry?;
            std::fs::rename(entry.path(), versions.join(entry.file_name()))?;
        }
        File::open(&versions)?.sync_all()?;
        std::fs::rename(self.path(MARK), data_dir.join(MARK))?;
        File::open(data_dir)?.sync_all()?;
        File::open(self.path(DATABASE))?.sync_all()?;
        std::fs::rename(self.path(DATABASE), data_dir.join(DATABASE))?;
        Ok(File::open(data_dir)?.sync_all()?)
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // The next restore removes files that cannot be removed now.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
