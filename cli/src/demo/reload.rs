//! Replaces a mapper, first with a good and then with a broken file, while requests run.

use super::report::Report;
use super::samples::{LOAD_VENDOR, load_body};
use super::sender::{Sender, Signing};
use super::stage::{Stage, wait_for};
use crate::text::{plain, short};
use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const SENDERS: usize = 8;
/// Each sender's pause, so that the load is steady and the machine is left to others.
const PAUSE: Duration = Duration::from_millis(2);
/// How long requests run before, between and after the replacements.
const INTERVAL: Duration = Duration::from_millis(300);

/// Requests that run until they are told to stop.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    number: AtomicU64,
    accepted: AtomicU64,
    slowest_us: AtomicU64,
    failures: Mutex<Vec<String>>,
}

pub(super) fn replace_under_load(stage: &Stage, report: &mut Report) -> Result<()> {
    report.heading("A mapper is replaced while requests run");
    let file = stage.plugins_dir.join(format!("{LOAD_VENDOR}.wasm"));
    let old = std::fs::read(&file).context("cannot read the mapper")?;
    let new = with_custom_section(&old);
    let (old_digest, new_digest) = (digest(&old), digest(&new));
    let load = Arc::new(Load::default());
    let senders: Vec<_> = (0..SENDERS).map(|_| stage.runtime.spawn(load.clone().run(stage.sender.clone()))).collect();
    let watch = |report: &Report, seen: &dyn Fn(&Value) -> bool| {
        wait_for(|| {
            report.progress(&format!("{} requests", load.accepted.load(Ordering::Relaxed)));
            Ok(stage.plugins()?.into_iter().find(|plugin| plugin["name"] == LOAD_VENDOR && seen(plugin)))
        })
    };

    std::thread::sleep(INTERVAL);
    let replaced = Instant::now();
    replace(&file, &new)?;
    let live = watch(report, &|plugin| plugin["sha256"] == new_digest.as_str())?;
    let text = format!(
        "{LOAD_VENDOR} {:.12} was replaced by {:.12}, which is live after {:.2} s",
        old_digest,
        new_digest,
        replaced.elapsed().as_secs_f64()
    );
    report.check(live.is_some() && old_digest != new_digest, &text);

    std::thread::sleep(INTERVAL);
    replace(&file, &new[..new.len() / 2])?;
    let refused = watch(report, &|plugin| !plugin["error"].is_null())?.unwrap_or_default();
    report.check(refused["error"].is_string(), &format!("half a file was refused: {}", plain(&refused["error"])));
    let stays = refused["sha256"] == new_digest.as_str() && refused["state"] == "loaded";
    report.check(stays, &format!("the version before it, {}, stays", short(&refused["sha256"])));

    std::thread::sleep(INTERVAL);
    load.stop.store(true, Ordering::Relaxed);
    for sender in senders {
        stage.runtime.block_on(sender).context("a sender ended abruptly")?;
    }
    load.report(stage, report, &new_digest)?;

    replace(&file, &new)?;
    let mended = watch(report, &|plugin| plugin["error"].is_null())?;
    report.check(mended.is_some(), "a whole file in its place is taken again");
    Ok(())
}

impl Load {
    async fn run(self: Arc<Self>, sender: Sender) {
        while !self.stop.load(Ordering::Relaxed) {
            let body = load_body(self.number.fetch_add(1, Ordering::Relaxed));
            match sender.post(&sender.sign(LOAD_VENDOR, &body, Signing::Right)).await {
                Ok(answer) if answer.status == 202 && answer.body["status"] == "accepted" => {
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                    self.slowest_us.fetch_max(answer.took.as_micros() as u64, Ordering::Relaxed);
                }
                Ok(answer) => self.fail(answer.to_string()),
                Err(error) => self.fail(format!("{error:#}")),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn fail(&self, what: String) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn report(&self, stage: &Stage, report: &mut Report, new_digest: &str) -> Result<()> {
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
        let found = stage.api.get(&["incidents"], &query)?;
        let incident =
            found["data"].as_array().into_iter().flatten().find(|incident| incident["source_ref"] == "ldt:7f0c2b:42");
        let incident = incident.cloned().unwrap_or_default();
        let counted = incident["occurrences"] == accepted && incident["plugin"]["sha256"] == new_digest;
        let text = format!(
            "all of them are in {}: {} occurrences, last mapped by {}",
            plain(&incident["number"]),
            plain(&incident["occurrences"]),
            short(&incident["plugin"]["sha256"])
        );
        report.check(counted, &text);
        Ok(())
    }
}

/// Puts a file into the place of another in one step.
fn replace(file: &Path, content: &[u8]) -> Result<()> {
    let beside = file.with_file_name(".unfinished");
    std::fs::write(&beside, content).with_context(|| format!("cannot write {}", beside.display()))?;
    std::fs::rename(&beside, file).with_context(|| format!("cannot replace {}", file.display()))
}

/// The same component with another digest: a custom section changes nothing else.
fn with_custom_section(component: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"hookmill-demo";
    // Section 0, its length, and its name with a length of its own. Both are small enough to be one byte each.
    let section = [&[0, NAME.len() as u8 + 1, NAME.len() as u8], NAME].concat();
    [component, &section].concat()
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
