//! `hookmill events replay`.

use super::state;
use crate::cli::client::{Client, Connection, print};
use crate::cli::text::plain;
use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

#[derive(Debug, Args)]
pub(in crate::cli) struct Replay {
    /// Its id
    #[arg(required_unless_present = "quarantined")]
    id: Option<String>,
    /// Every event that is in quarantine
    #[arg(long, conflicts_with = "id")]
    quarantined: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Replay {
    pub fn run(self) -> Result<()> {
        let client = self.connection.open()?;
        let Some(id) = self.id else { return replay_all(&client, self.connection.json) };
        let answer = client.post(&["events", &id, "replay"])?;
        print(self.connection.json, &answer, state);
        match answer["status"].as_str() {
            Some("quarantined") => bail!("the event stays in quarantine"),
            _ => Ok(()),
        }
    }
}

fn replay_all(client: &Client, json: bool) -> Result<()> {
    let ids = quarantined(client)?;
    let progress = Progress { of: ids.len(), shown: std::io::stderr().is_terminal() };
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    let mut left = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        progress.show(index);
        let (status, why) = match client.post(&["events", id, "replay"]) {
            Ok(answer) => (plain(&answer["status"]), state(&answer)),
            Err(error) => ("failed".to_owned(), format!("{id} {error:#}")),
        };
        if matches!(status.as_str(), "quarantined" | "failed") {
            left.push(why);
        }
        *statuses.entry(status).or_default() += 1;
    }
    progress.clear();
    if json {
        println!("{:#}", json!({"replayed": ids.len(), "statuses": statuses}));
    } else {
        left.iter().for_each(|line| println!("{line}"));
        let statuses: Vec<String> = statuses.iter().map(|(status, count)| format!("{count} {status}")).collect();
        println!("replayed {}{}{}", ids.len(), if ids.is_empty() { "" } else { ": " }, statuses.join(", "));
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
