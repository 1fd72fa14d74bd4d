//! `hookmill events replay`.

use super::state::state;
use crate::client::{Client, Connection, print};
use crate::plugin::field_change;
use crate::text::{clean, list, plain};
use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Its id
    #[arg(required_unless_present = "quarantined")]
    id: Option<String>,
    /// Every event that is in quarantine
    #[arg(long, conflicts_with = "id")]
    quarantined: bool,
    /// Show what would change and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Replay {
    pub fn run(self) -> Result<()> {
        let client = self.connection.open()?;
        let Some(id) = self.id else { return replay_all(&client, self.dry_run, self.connection.json) };
        let answer = replay(&client, &id, self.dry_run)?;
        print(self.connection.json, &answer, if self.dry_run { changes } else { state });
        match answer["status"].as_str() {
            Some("quarantined") => bail!("the event stays in quarantine"),
            _ => Ok(()),
        }
    }
}

fn replay(client: &Client, id: &str, dry_run: bool) -> Result<Value> {
    client.post_with(&["events", id, "replay"], &[("dry_run", dry_run.to_string())])
}

/// What would become of an event, and what would change.
fn changes(answer: &Value) -> String {
    let mut text = format!("{} would be {}", plain(&answer["id"]), plain(&answer["status"]));
    if let Some(message) = answer["message"].as_str() {
        text += &format!(": {}", clean(message));
    }
    for incident in list(&answer["incidents"]) {
        let number = incident["number"].as_str().unwrap_or("a new incident");
        let changes = list(&incident["changes"]);
        let same = if changes.is_empty() { " stays as it is" } else { "" };
        text += &format!("\n{number}, {}{same}\n", plain(&incident["source_ref"]));
        text.extend(changes.iter().map(field_change));
    }
    text
}

fn replay_all(client: &Client, dry_run: bool, json: bool) -> Result<()> {
    let ids = quarantined(client)?;
    let progress = Progress { of: ids.len(), shown: std::io::stderr().is_terminal() };
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    let mut left = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        progress.show(index);
        let (status, why) = match replay(client, id, dry_run) {
            Ok(answer) if dry_run => (plain(&answer["status"]), changes(&answer)),
            Ok(answer) => (plain(&answer["status"]), state(&answer)),
            Err(error) => ("failed".to_owned(), format!("{id} {error:#}")),
        };
        if matches!(status.as_str(), "quarantined" | "failed") {
            left.push(why);
        } else if dry_run && !json {
            progress.clear();
            println!("{why}");
        }
        *statuses.entry(status).or_default() += 1;
    }
    progress.clear();
    if json {
        println!("{:#}", json!({"replayed": ids.len(), "statuses": statuses}));
    } else {
        left.iter().for_each(|line| println!("{line}"));
        let statuses: Vec<String> = statuses.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let replayed = if dry_run { "would replay" } else { "replayed" };
        println!("{replayed} {}{}{}", ids.len(), if ids.is_empty() { "" } else { ": " }, statuses.join(", "));
    }
    match left.len() {
        0 => Ok(()),
        count => bail!("{count} of {} events stay in quarantine", ids.len()),
    }
}

/// The ids of all events that are in quarantine now, the oldest first: in the order in which they came.
fn quarantined(client: &Client) -> Result<Vec<String>> {
    let events = client.all("events", &[("status", "quarantined")])?;
    Ok(events.iter().rev().map(|event| plain(&event["id"])).collect())
}

/// A line on a terminal that says how far it is.
struct Progress {
    of: usize,
    shown: bool,
}

impl Progress {
    fn show(&self, done: usize) {
        if self.shown {
            eprint!("\rreplaying {} of {}", done + 1, self.of);
            let _ = std::io::stderr().flush();
        }
    }

    fn clear(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}
