//! `hookmill webhook test`.

use crate::client::{Connection, print};
use crate::text::{list, plain};
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The source's name
    name: String,
    /// A payload to send [default: the newest that the source has sent, else a sample]
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

impl Test {
    pub fn run(self) -> Result<()> {
        let mut body = json!({});
        if let Some(file) = &self.payload {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            body["body"] = text.into();
        }
        let answer = self.connection.open()?.post_json(&["sources", &self.name, "test"], &body)?;
        print(self.connection.json, &answer, stages);
        ensure!(answer["ok"] == true, "a payload of `{}` would not become an incident: see the stage above", self.name);
        Ok(())
    }
}

fn stages(answer: &Value) -> String {
    let mut text = String::new();
    for stage in list(&answer["stages"]) {
        let mark = if stage["ok"] == true { "ok" } else { "FAILED" };
        text.push_str(&format!("{:<8} {mark:<7} {}\n", plain(&stage["stage"]), plain(&stage["detail"])));
    }
    text.push_str("nothing was stored or delivered");
    text
}
