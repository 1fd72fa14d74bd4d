//! `hookmill plugin diff|promote|rollback|remove`: shows what a new version changes, and chooses the live version.

use crate::client::{HostConnection, print_shape, read};
use crate::text::{clean, fields, utc};
use anyhow::{Context, Result, ensure};
use clap::Args;
use hookmill_host::api::shapes::{FieldChange, PayloadDifference, PayloadDifferences, PluginVersion, ProofReport};
use hookmill_host::release::trust::signature_path;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

/// The arguments of `hookmill plugin diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The name of the plugin
    name: String,
    /// The file to compare with the live version, with its signature in FILE.sig if the host requires one [default: show
    /// the newest proof]
    file: Option<PathBuf>,
    #[command(flatten)]
    connection: HostConnection,
}

impl Diff {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let client = self.connection.open()?;
        let answer = match &self.file {
            Some(file) => {
                let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
                // A host with `plugins_key` compares only signed files.
                let signature = std::fs::read_to_string(signature_path(file)).ok();
                let signature = signature.map(|text| ("signature", text.trim().to_owned()));
                client.post_bytes(&["plugins", &self.name, "diff"], signature.as_slice(), bytes)?
            }
            None => newest_report(read(&client.get(&["plugins", &self.name], &[])?)?)
                .with_context(|| format!("no version of `{}` has been compared yet", self.name))?,
        };
        print_shape(self.connection.json, &answer, |report| report_text(&report))?;
        let ProofReport { passed, .. } = read(&answer)?;
        ensure!(passed, "the new version fails on payloads on which the version before it does not");
        Ok(())
    }
}

/// The reports on a plugin's versions, as received.
#[derive(Deserialize)]
struct Reports {
    versions: Vec<VersionReport>,
}

#[derive(Deserialize)]
struct VersionReport {
    report: Option<Value>,
}

fn newest_report(Reports { versions }: Reports) -> Option<Value> {
    let reports = versions.into_iter().filter_map(|version| version.report);
    reports.max_by_key(|report| Timestamp::deserialize(&report["at"]).ok())
}

/// The arguments of the commands that change the live version of a plugin.
#[derive(Debug, Args)]
pub(crate) struct Release {
    /// The name of the plugin
    name: String,
    #[command(flatten)]
    connection: HostConnection,
}

impl Release {
    /// Makes the version in the plugins folder live.
    pub fn promote(self) -> Result<()> {
        self.request("promote", "is live")
    }

    /// Makes the previous version live again.
    pub fn rollback(self) -> Result<()> {
        self.request("rollback", "is live")
    }

    /// Removes the plugin from all hosts.
    pub fn remove(self) -> Result<()> {
        self.request("remove", "was removed from all hosts")
    }

    fn request(self, command: &str, done: &str) -> Result<()> {
        let answer = self.connection.open()?.post(&["plugins", &self.name, command])?;
        print_shape(self.connection.json, &answer, |version: PluginVersion| {
            format!("{} {} {done} ({})", clean(&version.name), clean(&version.version), clean(&version.sha256))
        })
    }
}

fn report_text(report: &ProofReport) -> String {
    let against = report.against.as_ref().map_or_else(
        || "nothing, because it is the first version".to_owned(),
        |version| format!("version {}", clean(&version.version)),
    );
    let payloads = match report.left_out {
        0 => report.payloads.to_string(),
        left_out => format!("{}; {left_out} were left out because the time was over", report.payloads),
    };
    let mut text = fields([
        ("plugin", format!("{} {}", clean(&report.plugin.name), clean(&report.plugin.version))),
        ("compared with", against),
        ("at", format!("{} UTC", utc(report.at))),
        ("payloads", payloads),
        ("same", report.same.to_string()),
        ("changed", report.changed.count.to_string()),
        ("newly failing", report.newly_failing.count.to_string()),
        ("newly succeeding", report.newly_succeeding.count.to_string()),
        ("may go live", if report.passed { "yes" } else { "no" }.to_owned()),
    ]);
    text += &differences("newly failing", &report.newly_failing);
    text += &differences("changed", &report.changed);
    text += &differences("newly succeeding", &report.newly_succeeding);
    text
}

fn differences(title: &str, differences: &PayloadDifferences) -> String {
    let mut text = String::new();
    for PayloadDifference { payload, source, reason, fields } in &differences.payloads {
        text += &format!("\n{title}: {} of {}\n", clean(payload), clean(source));
        if let Some(reason) = reason {
            text += &format!("  {}\n", clean(reason));
        }
        text.extend(fields.iter().map(field_change));
    }
    text
}

/// Returns lines with a changed value, before and after.
pub(crate) fn field_change(change: &FieldChange) -> String {
    let side = |sign: char, value: &Option<String>| match value {
        Some(value) => format!("    {sign} {}\n", clean(value)),
        None => String::new(),
    };
    format!("  {}\n{}{}", clean(&change.path), side('-', &change.before), side('+', &change.after))
}
