//! Replaces a mapper while requests run, first with a valid file and then with a broken one.

use super::host::{DemoHost, wait_for};
use super::report::DemoReport;
use super::samples::{LOAD_VENDOR, load_body};
use super::sender::{Sender, Signing};
use crate::text::{clean, short};
use anyhow::{Context, Result};
use hookmill_host::api::shapes::{Accepted, AcceptedStatus, FileState, ShownIncident, ShownPlugin};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const SENDERS: usize = 8;
/// The pause of a sender between requests, which keeps the load steady and leaves time to other processes.
const PAUSE: Duration = Duration::from_millis(2);
/// The time for which requests run before, between and after the replacements.
const INTERVAL: Duration = Duration::from_millis(300);

/// Requests that run until `stop` is set.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    number: AtomicU64,
    accepted: AtomicU64,
    slowest_us: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// Replaces the mapper and checks that no request fails.
///
/// # Errors
/// Returns an error if a file cannot be replaced or the host does not answer.
pub(super) fn replace_under_load(host: &DemoHost, report: &mut DemoReport) -> Result<()> {
    report.heading("A mapper is replaced while requests run");
    let file = host.plugins_dir.join(format!("{LOAD_VENDOR}.wasm"));
    let old = std::fs::read(&file).context("cannot read the mapper")?;
    let new = with_custom_section(&old);
    let (old_digest, new_digest) = (digest(&old), digest(&new));
    let load = Arc::new(Load::default());
    let senders: Vec<_> = (0..SENDERS).map(|_| host.runtime.spawn(load.clone().run(host.sender.clone()))).collect();
    let watch = |report: &DemoReport, seen: &dyn Fn(&ShownPlugin) -> bool| {
        wait_for(|| {
            report.progress(&format!("{} requests", load.accepted.load(Ordering::Relaxed)));
            Ok(host.plugins()?.into_iter().find(|plugin| plugin.name == LOAD_VENDOR && seen(plugin)))
        })
    };

    std::thread::sleep(INTERVAL);
    let replaced = Instant::now();
    replace(&file, &new)?;
    let live = watch(report, &|plugin| plugin.sha256.as_ref() == Some(&new_digest))?;
    let text = format!(
        "{LOAD_VENDOR} {:.12} was replaced by {:.12}, which is live after {:.2} s",
        old_digest,
        new_digest,
        replaced.elapsed().as_secs_f64()
    );
    report.check(live.is_some() && old_digest != new_digest, &text);

    std::thread::sleep(INTERVAL);
    replace(&file, &new[..new.len() / 2])?;
    let refused = watch(report, &|plugin| plugin.error.is_some())?;
    let error = refused.as_ref().and_then(|plugin| plugin.error.as_deref()).map(clean);
    report.check(error.is_some(), &format!("half a file was refused: {}", error.unwrap_or_default()));
    let live = refused.filter(|plugin| plugin.state == FileState::Loaded).and_then(|plugin| plugin.sha256);
    let stays = live.as_ref() == Some(&new_digest);
    report.check(stays, &format!("the version before it, {}, stays", live.as_deref().map(short).unwrap_or_default()));

    std::thread::sleep(INTERVAL);
    load.stop.store(true, Ordering::Relaxed);
    for sender in senders {
        host.runtime.block_on(sender).context("a sender ended unexpectedly")?;
    }
    load.report(host, report, &new_digest)?;

    replace(&file, &new)?;
    let mended = watch(report, &|plugin| plugin.error.is_none())?;
    report.check(mended.is_some(), "a complete file in its place is loaded again");
    Ok(())
}

impl Load {
    async fn run(self: Arc<Self>, sender: Sender) {
        while !self.stop.load(Ordering::Relaxed) {
            let body = load_body(self.number.fetch_add(1, Ordering::Relaxed));
            match sender.post(&sender.sign(LOAD_VENDOR, &body, Signing::Right)).await {
                Ok(answer) if answer.status == 202 && answer.accepted().is_some_and(is_mapped) => {
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                    self.slowest_us.fetch_max(answer.took.as_micros() as u64, Ordering::Relaxed);
                }
                Ok(answer) => self.fail(answer.to_string()),
                Err(error) => self.fail(format!("{error:#}")),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn fail(&self, failure: String) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
    }

    fn report(&self, host: &DemoHost, report: &mut DemoReport, new_digest: &str) -> Result<()> {
        let accepted = self.accepted.load(Ordering::Relaxed);
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let slowest_ms = self.slowest_us.load(Ordering::Relaxed) as f64 / 1000.0;
        let text = format!(
            "{accepted} requests of {SENDERS} senders were accepted, the slowest in {slowest_ms:.1} ms; {} failed",
            failures.len()
        );
        report.check(accepted > 0 && failures.is_empty(), &text);
        report.show(&failures.iter().take(3).cloned().collect::<Vec<_>>().join("\n"));
        let query = [("source", LOAD_VENDOR.to_owned()), ("q", "ldt:7f0c2b:42".to_owned())];
        let found: Vec<ShownIncident> = host.page(&["incidents"], &query)?;
        let Some(shown) = found.iter().find(|shown| shown.incident.source_ref == "ldt:7f0c2b:42") else {
            report.check(false, "the incident of these requests is missing");
            return Ok(());
        };
        let sha256 = &shown.incident.plugin.sha256;
        let counted = shown.occurrences == accepted && sha256 == new_digest;
        let text = format!(
            "all of them are in {}: {} occurrences, last mapped by {}",
            clean(&shown.number),
            shown.occurrences,
            short(sha256)
        );
        report.check(counted, &text);
        Ok(())
    }
}

fn is_mapped(accepted: &Accepted) -> bool {
    accepted.status == AcceptedStatus::Accepted
}

/// Replaces a file atomically.
fn replace(file: &Path, content: &[u8]) -> Result<()> {
    let beside = file.with_file_name(".unfinished");
    std::fs::write(&beside, content).with_context(|| format!("cannot write {}", beside.display()))?;
    std::fs::rename(&beside, file).with_context(|| format!("cannot replace {}", file.display()))
}

/// Returns the component with an added custom section, which changes only the digest.
fn with_custom_section(component: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"hookmill-demo";
    // Section id 0, the length of the section, the length of the name, and the name. Each length fits in one byte.
    let section = [&[0, NAME.len() as u8 + 1, NAME.len() as u8], NAME].concat();
    [component, &section].concat()
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
