//! `hookmill demo`: a throw-away host that is fed, attacked and given new plugins while it works, with a report of what
//! came of it. Every line of the report is an expectation that was checked.

mod outcome;
mod receiver;
mod reload;
mod report;
mod samples;
mod sender;
mod stage;

use anyhow::{Context, Result, bail};
use clap::Args;
use report::Report;
use samples::{HOSTILE, SAMPLES};
use sender::{Answer, Signed, Signing};
use serde_json::Value;
use stage::Stage;
use std::path::PathBuf;
use std::time::Instant;
use tracing_subscriber::EnvFilter;

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Where the bundled mappers are; `hookmill plugin build plugins/*` makes them
    #[arg(long, value_name = "DIR", default_value = "target/plugins")]
    plugins_dir: PathBuf,
    /// Leave the host running afterwards, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Show the host's log too
    #[arg(long)]
    verbose: bool,
}

impl Demo {
    pub fn run(self) -> Result<()> {
        if self.verbose {
            let filter = EnvFilter::new("info");
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
        }
        let started = Instant::now();
        let mut report = Report::new();
        report.heading("A throw-away host with the bundled mappers");
        let stage = Stage::set(&self.plugins_dir, &mut report)?;
        let first = send_samples(&stage, &mut report)?;
        send_hostile(&stage, &mut report, first)?;
        reload::replace_under_load(&stage, &mut report)?;
        outcome::show_incidents(&stage, &mut report)?;
        outcome::show_deliveries(&stage, &mut report)?;
        outcome::show_refused(&stage, &mut report)?;
        report.heading("Result");
        let (met, failed) = report.counts();
        let seconds = started.elapsed().as_secs_f64();
        println!("  {met} of {} expectations were met, in {seconds:.1} s", met + failed);
        if self.keep {
            stage.invite();
            stage.wait_for_interrupt().context("cannot wait for Ctrl-C")?;
        }
        stage.strike();
        match failed {
            0 => Ok(()),
            _ => bail!("{failed} expectations were not met; they are marked in the report"),
        }
    }
}

/// Sends every sample, and gives back the first for a replay.
fn send_samples(stage: &Stage, report: &mut Report) -> Result<(Signed, Answer)> {
    report.heading("Signed samples of every bundled vendor");
    report.columns("sample", "expected", "answered");
    let mut first = None;
    for sample in SAMPLES {
        let signed = stage.sender.sign(sample.vendor, sample.body, Signing::Right);
        let answer = stage.post(&signed)?;
        let (status, created, updated) = sample.expect.answer();
        let incidents = answer.body["incidents"].as_array().map_or(&[][..], Vec::as_slice);
        let count = |made: bool| incidents.iter().filter(|incident| incident["created"] == made).count();
        let as_expected = answer.status == 202
            && answer.body["status"] == status
            && (count(true), count(false)) == (created, updated)
            && answer.body["event_id"].is_string();
        let what = format!("{} {}", sample.vendor, sample.name);
        report.row(as_expected, &what, &sample.expect.to_string(), &answer.to_string());
        first.get_or_insert((signed, answer));
    }
    first.context("there are no samples")
}

fn send_hostile(stage: &Stage, report: &mut Report, (signed, first): (Signed, Answer)) -> Result<()> {
    report.heading("What should not get in");
    report.columns("sent", "expected", "answered");
    for hostile in HOSTILE {
        let answer = stage.post(&stage.sender.sign(hostile.source, hostile.body, hostile.signing))?;
        let as_expected = answer.status == hostile.status && answer.body["error"]["code"] == hostile.code;
        report.row(as_expected, hostile.what, &format!("{} {}", hostile.status, hostile.code), &answer.to_string());
    }
    let again = stage.post(&signed)?;
    let same = |name: &str| again.body[name] == first.body[name] && again.body[name] != Value::Null;
    let as_expected =
        again.status == 202 && again.body["duplicate"] == true && same("event_id") && same("incident_number");
    report.row(as_expected, "the first sample a second time", "202 duplicate of it", &again.to_string());
    Ok(())
}
