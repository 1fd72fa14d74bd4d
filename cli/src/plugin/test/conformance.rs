//! `hookmill plugin test --conformance`: checks of what every mapper must do.

use crate::plugin::loader::Loader;
use crate::progress::ProgressLine;
use crate::text::clean;
use anyhow::{Context, Result, ensure};
use clap::Args;
use hookmill_host::conformance::{
    CheckKind, ConformanceMapper, ConformancePayload, ConformanceReport, Declarations, Failure, check_conformance,
};
use hookmill_host::payload_file::PayloadFile;
use hookmill_sandbox::{Kind, PluginLimits};
use serde_json::json;
use std::cell::RefCell;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The number of failures of one check that are printed for people.
const FAILURES_SHOWN: usize = 10;

/// The arguments of the checks.
#[derive(Debug, Default, Args)]
pub(super) struct ConformanceOptions {
    /// Check what every mapper must do instead of comparing results: wrong parts of payloads, repeats, ids and times,
    /// extreme payloads. DIR/conformance.json says which members identify an incident
    #[arg(long)]
    conformance: bool,
    /// The number of changed payloads that are made of each payload
    #[arg(long, value_name = "COUNT", requires = "conformance", default_value_t = 100)]
    mutants: usize,
    /// The wall time of a call, as `deadline_ms` of the configuration [default: that of a host]
    #[arg(long, value_name = "MS", requires = "conformance")]
    deadline_ms: Option<u64>,
    /// Print one JSON object for each DIR, on a line of its own
    #[arg(long, requires = "conformance")]
    json: bool,
}

impl ConformanceOptions {
    pub fn is_requested(&self) -> bool {
        self.conformance
    }

    /// Checks the plugin of a project with its payloads, and prints the results. Returns whether all checks are passed.
    pub async fn check(&self, loader: &Loader, folder: &Path, plugin: &Path, payloads: &[PathBuf]) -> Result<bool> {
        let declarations = Declarations::read(folder)?;
        let payloads = payloads.iter().map(|file| payload(file)).collect::<Result<Vec<_>>>()?;
        let mapper = self.load(loader, plugin).await.with_context(|| folder.display().to_string())?;
        let version = mapper.fresh.version.clone();
        let line = RefCell::new(ProgressLine::new());
        let show = |kind: CheckKind| line.borrow_mut().show_now(&format!("{}: {kind}", folder.display()));
        let report = check_conformance(&mapper, &payloads, &declarations, self.mutants, show).await;
        line.borrow_mut().clear();
        if self.json {
            let (passed, checks) = (report.passed(), &report.checks);
            println!("{}", json!({"folder": folder, "plugin": *version, "passed": passed, "checks": checks}));
        } else {
            print!("{}", shown(folder, &report));
        }
        Ok(report.passed())
    }

    async fn load(&self, loader: &Loader, file: &Path) -> Result<ConformanceMapper> {
        let default = PluginLimits::default();
        let deadline = self.deadline_ms.map_or(default.deadline, Duration::from_millis);
        let fresh = PluginLimits { deadline, ..default };
        let reused = PluginLimits { events_per_instance: NonZeroU32::MAX, ..fresh.clone() };
        let fresh = loader.load_with(file, fresh).await?.plugin;
        ensure!(fresh.kind() == Kind::Mapper, "the plugin is a {}; the checks are for mappers", fresh.kind());
        Ok(ConformanceMapper { fresh, reused: loader.load_with(file, reused).await?.plugin })
    }
}

fn payload(file: &Path) -> Result<ConformancePayload> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(ConformancePayload { name, file: PayloadFile::read(file)? })
}

fn shown(folder: &Path, report: &ConformanceReport) -> String {
    let mut text = format!("{}\n", folder.display());
    for check in &report.checks {
        let (kind, count) = (check.check, check.failures.len());
        if count == 0 {
            text += &format!("  ✓ {kind}: {} calls\n", check.calls);
            continue;
        }
        text += &format!("  ✗ {kind}: {count} of {} calls\n", check.calls);
        for Failure { payload, change, problem, advice } in check.failures.iter().take(FAILURES_SHOWN) {
            text += &format!("    {payload}, {}:\n      {}\n      → {advice}\n", clean(change), clean(problem));
        }
        if count > FAILURES_SHOWN {
            text += &format!("    and {} more; --json has all\n", count - FAILURES_SHOWN);
        }
    }
    text
}
