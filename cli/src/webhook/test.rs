//! `hookmill webhook test`.

use crate::client::{HostConnection, print_shape, read};
use crate::text::clean;
use anyhow::{Context, Result, ensure};
use clap::Args;
use hookmill_host::api::shapes::{DryRun, SourceDryRunRequest, Stage};
use serde_json::json;
use std::path::PathBuf;

/// The arguments of `hookmill webhook test`.
#[derive(Debug, Args)]
pub(crate) struct WebhookTest {
    /// The name of the source
    name: String,
    /// A file with the payload [default: the newest payload of the source, else a sample]
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    #[command(flatten)]
    connection: HostConnection,
}

impl WebhookTest {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let read_text =
            |file: &PathBuf| std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
        let body = self.payload.as_ref().map(read_text).transpose()?;
        let request = SourceDryRunRequest { payload: None, body };
        let answer = self.connection.open()?.post_json(&["sources", &self.name, "test"], &json!(request))?;
        print_shape(self.connection.json, &answer, |dry_run| stages(&dry_run))?;
        let DryRun { ok, .. } = read(&answer)?;
        ensure!(ok, "a payload of `{}` would not become an incident; the stages above show why", self.name);
        Ok(())
    }
}

fn stages(dry_run: &DryRun) -> String {
    let mut text = String::new();
    for Stage { stage, ok, detail } in &dry_run.stages {
        let mark = if *ok { "ok" } else { "FAILED" };
        text.push_str(&format!("{:<8} {mark:<7} {}\n", clean(stage), clean(detail)));
    }
    text.push_str("nothing was stored or delivered");
    text
}
