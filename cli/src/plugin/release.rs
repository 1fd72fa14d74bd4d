//! `hookmill plugin diff|promote|rollback`: what a new version changes, and which version is live.

use crate::client::{Connection, print};
use crate::text::{clean, fields, list, plain, time};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The plugin's name
    name: String,
    /// The file to compare with the live version; without one, the proof of the newest version is shown
    file: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

impl Diff {
    pub fn run(self) -> Result<()> {
        let client = self.connection.open()?;
        let shown = match &self.file {
            Some(file) => {
                let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
                client.post_bytes(&["plugins", &self.name, "diff"], bytes)?
            }
            None => {
                let plugin = client.get(&["plugins", &self.name], &[])?;
                let versions = list(&plugin["versions"]).iter().filter(|version| !version["report"].is_null());
                let newest = versions.max_by_key(|version| plain(&version["report"]["at"]));
                newest.with_context(|| format!("no version of `{}` was compared yet", self.name))?["report"].clone()
            }
        };
        print(self.connection.json, &shown, report);
        match shown["passed"] == true {
            true => Ok(()),
            false => bail!("the new version fails where the one before it does not"),
        }
    }
}

/// A plugin whose live version is to be another.
#[derive(Debug, Args)]
pub(crate) struct Release {
    /// The plugin's name
    name: String,
    #[command(flatten)]
    connection: Connection,
}

impl Release {
    pub fn promote(self) -> Result<()> {
        self.order("promote")
    }

    pub fn rollback(self) -> Result<()> {
        self.order("rollback")
    }

    fn order(self, what: &str) -> Result<()> {
        let answer = self.connection.open()?.post(&["plugins", &self.name, what])?;
        print(self.connection.json, &answer, |live| {
            format!("{} {} is live ({})", plain(&live["name"]), plain(&live["version"]), plain(&live["sha256"]))
        });
        Ok(())
    }
}

fn report(report: &Value) -> String {
    let against = match &report["against"] {
        Value::Null => "nothing, as there is no version before it".to_owned(),
        version => format!("version {}", plain(&version["version"])),
    };
    let left_out = report["left_out"].as_u64().unwrap_or(0);
    let mut text = fields([
        ("plugin", format!("{} {}", plain(&report["plugin"]["name"]), plain(&report["plugin"]["version"]))),
        ("compared with", against),
        ("at", format!("{} UTC", time(&report["at"]))),
        (
            "payloads",
            match left_out {
                0 => plain(&report["payloads"]),
                _ => format!("{}; {left_out} were left out when the time was over", plain(&report["payloads"])),
            },
        ),
        ("same", plain(&report["same"])),
        ("changed", plain(&report["changed"]["count"])),
        ("newly failing", plain(&report["newly_failing"]["count"])),
        ("newly succeeding", plain(&report["newly_succeeding"]["count"])),
        ("may go live", if report["passed"] == true { "yes" } else { "no" }.to_owned()),
    ]);
    for (kind, title) in
        [("newly_failing", "newly failing"), ("changed", "changed"), ("newly_succeeding", "newly succeeding")]
    {
        for payload in list(&report[kind]["payloads"]) {
            text += &format!("\n{title}: {} of {}\n", plain(&payload["payload"]), plain(&payload["source"]));
            if let Some(reason) = payload["reason"].as_str() {
                text += &format!("  {}\n", clean(reason));
            }
            for change in list(&payload["fields"]) {
                text += &field_change(change);
            }
        }
    }
    text
}

/// One changed value, before and after.
pub(crate) fn field_change(change: &Value) -> String {
    let side = |sign: char, value: &Value| match value.as_str() {
        Some(value) => format!("    {sign} {}\n", clean(value)),
        None => String::new(),
    };
    format!("  {}\n{}{}", plain(&change["path"]), side('-', &change["before"]), side('+', &change["after"]))
}
