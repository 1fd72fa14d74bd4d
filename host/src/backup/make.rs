//! Makes a backup, also beside a running host.

use super::archive::{self, Content};
use super::keys::Lock;
use super::manifest::{DATABASE, KEYS, KeptPlugin, KeyState, MARK, Manifest, Part};
use super::pace::Pace;
use super::work_folder::WorkFolder;
use crate::release::trust::signature_path;
use crate::vault::{KEY_FILE, KEY_VARIABLE, Vault, secret_label};
use anyhow::{Context, Result, ensure};
use hookmill_incident::Clock;
use hookmill_store::{DatabaseCopy, SourceRow, copy_database, inspect_copy};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The growth of the database's log from which the copy hurries, whatever its rate.
const LOG_GROWTH_WITH_RATE: u64 = 256 * 1024 * 1024;

/// The sources of a backup.
#[derive(Clone, Debug)]
pub struct MakeOptions {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The secret that seals the key of the vault; without one, the key is left out.
    pub lock: Option<Lock>,
    /// The clock that gives the time of the backup.
    pub clock: Clock,
}

/// A backup that was made.
#[derive(Debug)]
pub struct Made {
    /// The content of the backup.
    pub manifest: Manifest,
    /// The size of the file.
    pub bytes: u64,
    /// The time that it took.
    pub took: Duration,
}

/// Makes a backup and replaces the file with it. Until then, an older backup of this name stays whole. Blocks.
///
/// # Errors
/// Returns an error if something cannot be read or written. No unfinished file is left.
pub fn make(options: &MakeOptions, file: &Path, pace: &mut Pace) -> Result<Made> {
    let started = Instant::now();
    ensure!(file.file_name().is_some() && !file.is_dir(), "{} is not the name of a file", file.display());
    let parent = file.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let work = WorkFolder::make(parent)?;
    let created_at = Timestamp::from_second(options.clock.now().as_second())?;
    pace.begin("copying the database", 0);
    copy_database(&options.data_dir, &work.database(), &mut |step| {
        pace.reach(step.copied_bytes, step.total_bytes, step.log_growth_bytes > LOG_GROWTH_WITH_RATE)
    })?;
    pace.begin("checking the copy", 0);
    let copy = inspect_copy(&work.database(), false)
        .with_context(|| format!("the copy of {} cannot be used", options.data_dir.join(DATABASE).display()))?;
    let key = Vault::key(&options.data_dir)?;
    let mut parts = Parts { manifest: Manifest::new(created_at, copy.schema, KeyState::NotMade), contents: Vec::new() };
    let (bytes, sha256) = archive::digest(&mut File::open(work.database())?, pace)?;
    parts.manifest.rows = copy.rows.clone();
    parts.add_bytes(MARK, copy.mark.clone());
    parts.add_key(options, key, &copy.sources, &sha256)?;
    // Before the database, which takes long: a running host may remove the files of old versions.
    parts.add_plugins(&options.data_dir, &copy)?;
    parts.add(DATABASE, bytes, sha256, Content::File(work.database()));
    let Parts { manifest, contents } = parts;
    let write = || -> Result<u64> {
        let bytes = archive::write(&work.archive(), &manifest, contents, pace)?;
        std::fs::rename(work.archive(), file)?;
        File::open(parent)?.sync_all()?;
        Ok(bytes)
    };
    let bytes = write().with_context(|| format!("cannot write {}", file.display()))?;
    Ok(Made { manifest, bytes, took: started.elapsed() })
}

/// Checks that a key opens the secrets of all sources.
pub(crate) fn check_key(key: &str, sources: &[SourceRow]) -> Result<()> {
    let vault = Vault::with_key(key)?;
    for source in sources {
        for secret in &source.secrets {
            let opened = vault.unseal(&secret_label(&source.name, secret.id), &secret.sealed);
            ensure!(opened.is_ok(), "the key does not open the secrets of the source `{}`", source.name);
        }
    }
    Ok(())
}

/// The parts so far.
struct Parts {
    manifest: Manifest,
    contents: Vec<Content>,
}

impl Parts {
    fn add(&mut self, name: &str, bytes: u64, sha256: String, content: Content) {
        self.manifest.parts.push(Part { name: name.to_owned(), bytes, sha256 });
        self.contents.push(content);
    }

    fn add_bytes(&mut self, name: &str, bytes: Vec<u8>) {
        self.add(name, bytes.len() as u64, hex::encode(Sha256::digest(&bytes)), Content::Bytes(bytes));
    }

    fn add_key(
        &mut self,
        options: &MakeOptions,
        key: Option<(String, String)>,
        sources: &[SourceRow],
        database_sha256: &str,
    ) -> Result<()> {
        let secrets: usize = sources.iter().map(|source| source.secrets.len()).sum();
        let Some(lock) = &options.lock else {
            self.manifest.keys = KeyState::LeftOut;
            self.manifest.warnings.push(format!(
                "the key is left out: a restore needs {KEY_FILE} or {KEY_VARIABLE} from elsewhere to read {secrets} secrets of \
                 registered sources"
            ));
            return Ok(());
        };
        let Some((key, place)) = key else {
            ensure!(
                secrets == 0,
                "{} has no {KEY_FILE}, and {secrets} secrets of registered sources need a key; set {KEY_VARIABLE} as for \
                 `hookmill serve`",
                options.data_dir.display()
            );
            return Ok(());
        };
        check_key(&key, sources).with_context(|| format!("{place} is not the one of `hookmill serve`"))?;
        self.manifest.keys = match lock {
            Lock::Passphrase(_) => KeyState::Passphrase,
            Lock::Key(_) => KeyState::KeyFile,
        };
        let sealed = lock.seal(&key, database_sha256)?;
        self.add_bytes(KEYS, sealed);
        Ok(())
    }

    /// Adds the files of the versions that were live. A running host removes old ones at any time.
    fn add_plugins(&mut self, data_dir: &Path, copy: &DatabaseCopy) -> Result<()> {
        for row in &copy.versions {
            let version = row.plugin.clone();
            let live = self.manifest.plugins.last().is_none_or(|before| before.name != version.name);
            let (name, version, sha256) = (version.name, version.version, version.sha256);
            let mut plugin = KeptPlugin { name, version, sha256, live, kept: false };
            let path = data_dir.join(plugin.part_name());
            let file = std::fs::read(&path);
            match file.map(|bytes| (bytes.len() as u64, hex::encode(Sha256::digest(&bytes)))) {
                Ok((bytes, sha256)) if sha256 == plugin.sha256 => {
                    plugin.kept = true;
                    if let Ok(signature) = std::fs::read(signature_path(&path)) {
                        self.add_bytes(&format!("{}.sig", plugin.part_name()), signature);
                    }
                    self.add(&plugin.part_name(), bytes, sha256, Content::File(path));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !live => {}
                Ok(_) => self.warn(&path, "was changed"),
                Err(error) => self.warn(&path, &format!("cannot be read: {error}")),
            }
            self.manifest.plugins.push(plugin);
        }
        Ok(())
    }

    fn warn(&mut self, path: &Path, problem: &str) {
        self.manifest.warnings.push(format!("the kept plugin {} {problem}; it is left out", path.display()));
    }
}
