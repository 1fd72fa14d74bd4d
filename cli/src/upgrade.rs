//! `hookmill upgrade`: says before a start whether this version can take over the data of another one.

use crate::config::load_checked;
use crate::plugin::Loader;
use crate::text::{bytes, clean};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use hookmill_host::config::Settings;
use hookmill_host::release::precompiled::Precompiled;
use hookmill_store::Migration;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const MINUTE_S: u64 = 60;

#[derive(Debug, Args)]
pub(super) struct Upgrade {
    /// Only check, and change nothing. The upgrade itself needs no command: `hookmill serve` migrates the database
    #[arg(long, required = true)]
    check: bool,
    /// The configuration file
    #[arg(long, default_value = "hookmill.yaml")]
    config: PathBuf,
}

impl Upgrade {
    pub fn run(self) -> Result<()> {
        let config = load_checked(&self.config)?;
        println!("configuration  {} is valid", self.config.display());
        let settings = &config.settings;
        let checks = [check_database(settings), check_plugins(settings)];
        let problems: Vec<String> =
            checks.into_iter().filter_map(|check| Some(format!("{:#}", check.err()?))).collect();
        problems.iter().for_each(|problem| println!("problem        {}", clean(problem)));
        ensure!(problems.is_empty(), "hookmill {VERSION} cannot take over this host as it is");
        println!("hookmill {VERSION} can take over this host");
        Ok(())
    }
}

/// Prints what would happen to the database, and checks that there is space for it.
fn check_database(settings: &Settings) -> Result<()> {
    let Some(migration) = Migration::of(&settings.data_dir)? else {
        println!("database       none in {}; the first start makes one", settings.data_dir.display());
        return Ok(());
    };
    let Migration { from, to, rows, duration, database_bytes } = migration;
    let size = bytes(database_bytes);
    if from > to {
        bail!("the database has schema {from}, and this version supports at most {to}; use a newer hookmill");
    }
    if from == to {
        println!("database       schema {to} of {size}, nothing to migrate");
    } else {
        let rows: Vec<String> = rows.iter().map(|(table, count)| format!("{count} rows of {table}")).collect();
        let rows = if rows.is_empty() { "no rows".to_owned() } else { rows.join(", ") };
        println!("database       schema {from} to {to} of {size}: {rows}, {}", estimate(duration));
    }
    // Each step is one transaction: its pages are in the log and in the database for a while.
    let needed = settings.limits.free_disk_bytes + if from == to { 0 } else { 2 * database_bytes };
    let disk = rustix::fs::statvfs(&settings.data_dir).context("cannot read the free space of the data folder")?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    println!("disk           {} are free, {} are needed", bytes(free), bytes(needed));
    if free < needed {
        bail!("make room on the disk of {}: {} more", settings.data_dir.display(), bytes(needed - free));
    }
    Ok(())
}

/// Loads every plugin file as `serve` does.
fn check_plugins(settings: &Settings) -> Result<()> {
    let folder = settings.plugins_dir.display();
    let Ok(entries) = std::fs::read_dir(&settings.plugins_dir) else {
        println!("plugins        {folder} does not exist or cannot be read");
        return Ok(());
    };
    let precompiled = settings.precompiled_dir.as_deref().map(Precompiled::open).transpose()?;
    let loader = Loader::with(precompiled.map(|code| Arc::new(code) as _))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    files.sort();
    let mut refused = Vec::new();
    for file in &files {
        if let Err(error) = runtime.block_on(loader.load(file)) {
            refused.push(format!("{}: {error:#}", file.display()));
        }
    }
    println!("plugins        {} in {folder}, {} would be refused", files.len(), refused.len());
    if !refused.is_empty() {
        bail!("plugins that this version refuses:\n{}", refused.join("\n"));
    }
    Ok(())
}

/// Returns a duration as people write it, as it is only an estimate.
fn estimate(duration: Duration) -> String {
    match duration.as_secs() {
        0 => "less than a second".to_owned(),
        seconds @ 1..MINUTE_S => format!("about {seconds} s"),
        seconds => format!("about {} min", seconds.div_ceil(MINUTE_S)),
    }
}

#[cfg(test)]
mod tests {
    use super::estimate;
    use std::time::Duration;

    #[test]
    fn an_estimate_has_one_unit() {
        let shown = |seconds| estimate(Duration::from_secs(seconds));
        assert_eq!([shown(0), shown(59), shown(61)], ["less than a second", "about 59 s", "about 2 min"]);
    }
}
