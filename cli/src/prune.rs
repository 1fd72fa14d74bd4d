//! `hookmill prune`: removes old rows from the database, beside running hosts or without any.

use super::progress::ProgressLine;
use super::text::{bytes, table, whole_units};
use anyhow::{Context, Result, bail};
use clap::Args;
use hookmill_host::config::{Config, age};
use hookmill_incident::Clock;
use hookmill_store::{Policy, Pruner, Removed, Retention, RowCount, StorageUse, StoredKind};
use jiff::Timestamp;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The least pause after a write, for a host that runs.
const PAUSE: Duration = Duration::from_millis(5);

/// Removes what is older than `retention` in the configuration, as a running host does every hour.
#[derive(Debug, Args)]
pub(super) struct Prune {
    /// The age of events and payloads to remove, instead of that in the configuration: 12h, 90d, 1y. Incidents are removed
    /// by the configuration only
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Write the database anew, so that it takes no more space than it needs; the host must be stopped, and the disk needs
    /// room for a second copy
    #[arg(long, conflicts_with = "dry_run")]
    vacuum: bool,
    /// The configuration file
    #[arg(long, default_value = "hookmill.yaml")]
    config: PathBuf,
}

impl Prune {
    pub fn run(self) -> Result<()> {
        let settings = Config::load(&self.config)?.settings;
        let data_dir = &settings.data_dir;
        let shared = settings.database.as_ref().map(|database| &database.address);
        if shared.is_none() && !data_dir.join("hookmill.db").exists() {
            bail!("{} has no database; give the configuration of a host with --config", data_dir.display());
        }
        if self.vacuum && shared.is_some() {
            bail!("`--vacuum` is for the embedded database; PostgreSQL gives rows a place in free space by itself");
        }
        let mut retention = settings.retention;
        if let Some(age) = self.older_than {
            (retention.payloads, retention.events) = (Some(age), Some(age));
        }
        let keeps_everything = retention == Retention::default();
        if keeps_everything && !self.vacuum {
            bail!("the configuration keeps everything; set `retention` there, or give --older-than");
        }
        let policy = Policy { dedup: settings.limits.dedup, reopen_within: settings.reopen_within };
        let mut pruner = match shared {
            Some(address) => Pruner::connect(address, policy, Clock::default())?,
            None => Pruner::open(data_dir, policy, Clock::default())?,
        };
        let before = pruner.storage()?;
        pruner.counts_back_from().into_iter().for_each(warn_of_clock);
        let removed = self.remove(&mut pruner, &retention)?;
        if !keeps_everything {
            println!("{}", report(&removed, &retention, &before, self.dry_run));
        }
        if !self.dry_run {
            let mut progress = ProgressLine::new();
            while pruner.release_pages().context(FULL)? {
                progress.show("giving space back");
                std::thread::sleep(PAUSE);
            }
        }
        let after = pruner.storage()?;
        drop(pruner);
        if self.vacuum {
            let (before, after) = Pruner::compact(data_dir)?;
            println!("the database had {} and has {}", bytes(before), bytes(after));
        } else if !self.dry_run && shared.is_none() {
            println!("{}", space(&before, &after));
        }
        Ok(())
    }

    fn remove(&self, pruner: &mut Pruner, retention: &Retention) -> Result<Removed> {
        let (mut removed, mut progress) = (Removed::default(), ProgressLine::new());
        for kind in Retention::KINDS {
            let Some(age) = retention.age(kind) else { continue };
            let mut from = None;
            loop {
                let started = Instant::now();
                let mut pruned = pruner.prune(kind, age, from, self.dry_run).context(FULL)?;
                if self.dry_run {
                    drop_counted(kind, retention, &mut pruned.removed);
                }
                removed.merge(&pruned.removed);
                progress.show(&removed.to_string());
                from = pruned.next;
                if from.is_none() {
                    break;
                }
                if !self.dry_run {
                    // The host's own writes come between.
                    std::thread::sleep(PAUSE.max(started.elapsed()));
                }
            }
        }
        Ok(removed)
    }
}

/// Drops what was counted with an earlier kind of a dry run, after which everything is still there.
fn drop_counted(kind: StoredKind, retention: &Retention, removed: &mut Removed) {
    let Removed(counts) = removed;
    match kind {
        StoredKind::Events if retention.payloads.is_some() => {
            counts.remove(&StoredKind::Payloads);
        }
        StoredKind::Incidents if retention.audit.is_some() => {
            counts.remove(&StoredKind::Deliveries);
            // Only the newest entry of each incident was not counted.
            let newest = counts.get(&StoredKind::Incidents).copied();
            counts.remove(&StoredKind::Audit);
            counts.extend(newest.map(|newest| (StoredKind::Audit, newest)));
        }
        _ => {}
    }
}

/// The context of errors after a part was removed.
const FULL: &str = "stopped; what was removed before stays removed, and nothing else has changed";

fn warn_of_clock(from_ms: i64) {
    let from = Timestamp::from_millisecond(from_ms).map(|time| time.to_string()).unwrap_or_default();
    eprintln!(
        "the newest row is more than a day older than the clock of this machine; ages are counted back from {from}"
    );
}

/// Returns what was removed by kind, with the size of its content.
fn report(removed: &Removed, retention: &Retention, before: &StorageUse, is_dry_run: bool) -> String {
    if removed.0.is_empty() {
        return "nothing is old enough".to_owned();
    }
    let mut all = 0;
    let row = |(kind, count): (&StoredKind, &RowCount)| {
        let row_bytes = before.kinds.get(kind).map_or(0.0, |found| found.row_bytes);
        let content = if *kind == StoredKind::Payloads { count.bytes as f64 } else { count.rows as f64 * row_bytes };
        let age = retention.age(*kind).map(whole_units).unwrap_or_default();
        all += content as u64;
        [kind.to_string(), count.rows.to_string(), bytes(content as u64), age]
    };
    let verb = if is_dry_run { "WOULD GO" } else { "REMOVED" };
    let rows = table(["KIND", verb, "ABOUT", "OLDER THAN"], removed.0.iter().map(row).collect());
    if is_dry_run { format!("{rows}\n\nthis would free about {} of the database", bytes(all)) } else { rows }
}

fn space(before: &StorageUse, after: &StorageUse) -> String {
    let given_back = before.database_bytes.saturating_sub(after.database_bytes);
    let advice = match after.gives_back {
        true => "",
        false => "; this database gives no space back until `hookmill prune --vacuum` has run once",
    };
    format!(
        "{} of the database are free for new rows, {} were given back to the disk{advice}",
        bytes(after.free_bytes),
        bytes(given_back)
    )
}
