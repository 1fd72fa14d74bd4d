//! `hookmill backup`, `hookmill verify` and `hookmill restore`.

mod lock_options;
mod progress;

use crate::data_folder::DataFolder;
use crate::text::{bytes, clean, table, utc};
use anyhow::{Context, Result, bail};
use clap::Args;
use hookmill_host::backup::{
    BYTES_PER_SECOND, MakeOptions, Manifest, Outcome, RestoreOptions, Restored, RestoredDatabase, SKIPPED_NUMBERS,
    begin_restored, make, read_manifest, restore, verify,
};
use hookmill_incident::Clock;
use lock_options::LockOptions;
use serde_json::json;
use std::num::NonZeroU32;
use std::path::PathBuf;

const MIB: u64 = 1024 * 1024;

/// The arguments of `hookmill backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
Backups at intervals are made by `hookmill serve`, with this in its configuration:
  backup: { every: 1h, keep: 24, to: /backups, passphrase_file: /etc/hookmill/backup-passphrase }")]
pub(super) struct Backup {
    /// The file to write; an older backup of this name is replaced when the new one is complete
    #[arg(required_unless_present_any = ["every", "keep", "to"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    schedule: ScheduleOptions,
    #[command(flatten)]
    folder: DataFolder,
    #[command(flatten)]
    lock: LockOptions,
    /// Leave out the key that encrypts the secrets of registered sources
    #[arg(long, conflicts_with_all = ["passphrase_file", "key_file"])]
    without_keys: bool,
    /// The MiB that are read or written in a second, so that a running host is not slowed down; 0 for no bound
    #[arg(long, value_name = "MIB", default_value_t = (BYTES_PER_SECOND / MIB) as u32)]
    rate_mib: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The options that other programs have for backups at intervals. They are known only to be explained.
#[derive(Debug, Args)]
struct ScheduleOptions {
    #[arg(long, hide = true)]
    every: Option<String>,
    #[arg(long, hide = true)]
    keep: Option<String>,
    #[arg(long, hide = true)]
    to: Option<String>,
}

/// The arguments of `hookmill verify`.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The backup
    file: PathBuf,
    #[command(flatten)]
    lock: LockOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `hookmill restore`.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup
    #[arg(required_unless_present = "database_restored")]
    file: Option<PathBuf>,
    /// Prepare the database that hosts share, after the tools of PostgreSQL have restored it and before the first host starts:
    /// what waited in it is not done again, and ids and numbers of the lost time are not given again
    #[arg(long, conflicts_with_all = ["file", "data_dir", "passphrase_file", "key_file", "without_keys", "with_plugins"])]
    database_restored: bool,
    #[command(flatten)]
    folder: DataFolder,
    #[command(flatten)]
    lock: LockOptions,
    /// Restore without the key that is in the backup
    #[arg(long, conflicts_with_all = ["passphrase_file", "key_file"])]
    without_keys: bool,
    /// Copy the live plugins of the backup into the plugins folder of the configuration, if they are missing there
    #[arg(long)]
    with_plugins: bool,
    /// The count of incident numbers to leave out, because they may have been given after the backup
    #[arg(long, value_name = "N", default_value_t = SKIPPED_NUMBERS)]
    skip_numbers: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ScheduleOptions {
    fn refuse(self) -> Result<()> {
        let Self { every, keep, to } = self;
        if every.is_none() && keep.is_none() && to.is_none() {
            return Ok(());
        }
        let or = |given: Option<String>, example: &str| given.unwrap_or_else(|| example.to_owned());
        bail!(
            "`hookmill backup` makes one backup; `hookmill serve` makes backups at intervals. Put this into its \
             configuration and restart it: `backup: {{ every: {}, keep: {}, to: {}, passphrase_file: FILE }}`",
            or(every, "1h"),
            or(keep, "24"),
            or(to, "DIR")
        )
    }
}

impl Backup {
    pub fn run(self) -> Result<()> {
        self.schedule.refuse()?;
        let file = self.file.unwrap_or_default();
        let data_dir = self.folder.path()?;
        let lock = match self.without_keys {
            true => None,
            false => Some(self.lock.for_new_backup()?),
        };
        let rate = NonZeroU32::new(self.rate_mib).map(|mib| u64::from(mib.get()) * MIB);
        let mut pace = progress::pace(rate, self.json);
        let made = make(&MakeOptions { data_dir, lock, clock: Clock::default() }, &file, &mut pace)?;
        drop(pace);
        if self.json {
            let took_ms = u64::try_from(made.took.as_millis())?;
            println!("{:#}", json!({"file": file, "bytes": made.bytes, "took_ms": took_ms, "manifest": made.manifest}));
            return Ok(());
        }
        let seconds = made.took.as_secs_f64();
        println!("{}: {} in {seconds:.1} s; {}", file.display(), bytes(made.bytes), summary(&made.manifest));
        warn(&made.manifest.warnings);
        Ok(())
    }
}

impl Verify {
    pub fn run(self) -> Result<()> {
        let lock = self.lock.for_backup(read_manifest(&self.file)?.keys)?;
        let folder = tempfile::tempdir()?;
        let mut pace = progress::pace(None, self.json);
        let verified = verify(&self.file, folder.path(), lock.as_ref(), &mut pace)?;
        drop(pace);
        let faults = verified.faults();
        if self.json {
            let (manifest, is_whole) = (&verified.manifest, faults.is_none());
            println!("{:#}", json!({"whole": is_whole, "findings": verified.findings, "manifest": manifest}));
        } else {
            let rows = verified.findings.iter().map(|finding| {
                let (result, message) = match &finding.outcome {
                    Outcome::Ok => ("ok", ""),
                    Outcome::NotChecked(reason) => ("not checked", &**reason),
                    Outcome::Fault(fault) => ("FAULT", &**fault),
                };
                [clean(&finding.name), result.to_owned(), clean(message)]
            });
            println!("{}", table(["CHECK", "RESULT", ""], rows.collect()));
            println!("{}: {}", self.file.display(), summary(&verified.manifest));
            warn(&verified.manifest.warnings);
        }
        match faults {
            Some(faults) => bail!("{} is damaged or cannot be opened: {}", self.file.display(), clean(&faults)),
            None => Ok(()),
        }
    }
}

impl Restore {
    pub fn run(self) -> Result<()> {
        match &self.file {
            Some(file) => {
                let file = file.clone();
                self.restore(file)
            }
            None => self.begin_restored(),
        }
    }

    fn begin_restored(self) -> Result<()> {
        let settings = self.folder.settings()?;
        let database =
            settings.database.context("`database` is not set; restore a backup of the embedded database with FILE")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let begun = runtime.block_on(begin_restored(&database.address, &settings.data_dir, self.skip_numbers))?;
        let RestoredDatabase { backup_at, dead_deliveries, ended_triages } = begun;
        let skipped_numbers = self.skip_numbers;
        if self.json {
            let shown = json!({
                "state_of": backup_at,
                "dead_deliveries": dead_deliveries,
                "ended_triages": ended_triages,
                "skipped_numbers": skipped_numbers,
            });
            println!("{shown:#}");
            return Ok(());
        }
        println!("{} goes on with the state of {} UTC", database.address, utc(backup_at));
        print_changes(dead_deliveries, ended_triages, skipped_numbers);
        Ok(())
    }

    fn restore(self, file: PathBuf) -> Result<()> {
        let data_dir = self.folder.path()?;
        let plugins_dir = self.with_plugins.then(|| self.folder.settings()).transpose()?;
        let keys = read_manifest(&file)?.keys;
        let lock = if self.without_keys { None } else { self.lock.for_backup(keys)? };
        let options = RestoreOptions {
            file,
            data_dir,
            plugins_dir: plugins_dir.map(|settings| settings.plugins_dir),
            lock,
            without_keys: self.without_keys,
            skipped_numbers: self.skip_numbers,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let mut pace = progress::pace(None, self.json);
        let restored = runtime.block_on(restore(&options, &mut pace))?;
        drop(pace);
        let Restored { manifest, dead_deliveries, ended_triages, plugins, warnings } = restored;
        if self.json {
            let shown = json!({
                "data_dir": options.data_dir,
                "dead_deliveries": dead_deliveries,
                "ended_triages": ended_triages,
                "skipped_numbers": options.skipped_numbers,
                "plugins": plugins,
                "warnings": warnings,
                "manifest": manifest,
            });
            println!("{shown:#}");
            return Ok(());
        }
        println!("{} restored: {}", options.data_dir.display(), summary(&manifest));
        print_changes(dead_deliveries, ended_triages, options.skipped_numbers);
        for plugin in plugins {
            println!("  the plugin `{}` was copied into the plugins folder", clean(&plugin));
        }
        warn(&warnings);
        Ok(())
    }
}

fn print_changes(dead_deliveries: usize, ended_triages: usize, skipped_numbers: u32) {
    println!("  {dead_deliveries} pending deliveries are dead letters; `hookmill deliveries retry` sends them");
    println!("  {ended_triages} triage requests were ended");
    println!("  {skipped_numbers} incident numbers are left out");
}

/// Returns what a backup contains.
fn summary(manifest: &Manifest) -> String {
    let rows = |table: &str| manifest.rows.get(table).copied().unwrap_or(0);
    format!(
        "state of {} UTC, hookmill {}, {} events, {} incidents, {} plugins, keys {}",
        utc(manifest.created_at),
        clean(&manifest.hookmill),
        rows("events"),
        rows("incidents"),
        manifest.plugins.iter().filter(|plugin| plugin.live).count(),
        manifest.keys.as_str().replace('_', " ")
    )
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("warning: {}", clean(warning));
    }
}
