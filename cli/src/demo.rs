//! `hookmill demo`: a temporary host that gets valid and hostile payloads and new plugins while it works, and a report.
//! Every line of the report is an expectation that was checked.

mod host;
mod outcome;
mod receiver;
mod reload;
mod report;
mod samples;
mod sender;

use anyhow::{Context, Result, bail};
use clap::Args;
use host::DemoHost;
use report::DemoReport;
use samples::{Expect, HOSTILE, SAMPLES};
use sender::{HostAnswer, SignedRequest, Signing};
use std::path::PathBuf;
use std::time::Instant;
use tracing_subscriber::EnvFilter;

/// The arguments of `hookmill demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// The folder of the bundled mappers; `hookmill plugin build plugins/*` builds them
    #[arg(long, value_name = "DIR", default_value = "target/plugins")]
    plugins_dir: PathBuf,
    /// Keep the host running afterwards, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Also show the host's log
    #[arg(long)]
    verbose: bool,
}

impl Demo {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        if self.verbose {
            let filter = EnvFilter::new("info");
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
        }
        let started = Instant::now();
        let mut report = DemoReport::new();
        report.heading("A temporary host with the bundled mappers");
        let host = DemoHost::start(&self.plugins_dir, &mut report)?;
        let first = send_samples(&host, &mut report)?;
        send_hostile(&host, &mut report, first)?;
        reload::replace_under_load(&host, &mut report)?;
        outcome::show_incidents(&host, &mut report)?;
        outcome::show_deliveries(&host, &mut report)?;
        outcome::show_refused(&host, &mut report)?;
        report.heading("Result");
        let (met, failed) = report.counts();
        let seconds = started.elapsed().as_secs_f64();
        println!("  {met} of {} expectations were met, in {seconds:.1} s", met + failed);
        if self.keep {
            host.print_examples()?;
            host.wait_for_interrupt().context("cannot wait for Ctrl-C")?;
        }
        host.stop();
        match failed {
            0 => Ok(()),
            _ => bail!("{failed} expectations were not met; they are marked in the report"),
        }
    }
}

/// Sends every sample. Returns the first one and its answer, so that the request can be repeated.
fn send_samples(host: &DemoHost, report: &mut DemoReport) -> Result<(SignedRequest, HostAnswer)> {
    report.heading("Signed samples of every bundled vendor");
    report.columns("sample", "expected", "answered");
    let mut first = None;
    for sample in SAMPLES {
        let signed = host.sender.sign(sample.vendor, sample.body, Signing::Right);
        let answer = host.post(&signed)?;
        let as_expected = is_as_expected(&answer, sample.expect);
        let name = format!("{} {}", sample.vendor, sample.name);
        report.row(as_expected, &name, &sample.expect.to_string(), &answer.to_string());
        first.get_or_insert((signed, answer));
    }
    first.context("there are no samples")
}

fn is_as_expected(answer: &HostAnswer, expect: Expect) -> bool {
    let (status, created, updated) = expect.answer();
    answer.accepted().is_some_and(|accepted| {
        let new = accepted.incidents.iter().filter(|incident| incident.created).count();
        answer.status == 202 && accepted.status == status && (new, accepted.incidents.len() - new) == (created, updated)
    })
}

fn send_hostile(host: &DemoHost, report: &mut DemoReport, (signed, first): (SignedRequest, HostAnswer)) -> Result<()> {
    report.heading("Hostile payloads");
    report.columns("sent", "expected", "answered");
    for hostile in HOSTILE {
        let answer = host.post(&host.sender.sign(hostile.source, hostile.body, hostile.signing))?;
        let as_expected = answer.status == hostile.status && answer.error_code() == Some(hostile.code);
        report.row(as_expected, hostile.name, &format!("{} {}", hostile.status, hostile.code), &answer.to_string());
    }
    let again = host.post(&signed)?;
    let as_expected = again.status == 202
        && again.accepted().zip(first.accepted()).is_some_and(|(again, first)| {
            again.duplicate
                && again.event_id == first.event_id
                && again.incident_number.is_some()
                && again.incident_number == first.incident_number
        });
    report.row(as_expected, "the first sample a second time", "202 duplicate of it", &again.to_string());
    Ok(())
}
