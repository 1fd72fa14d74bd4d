//! `hookmill events replay`.

use super::result_line::result_line;
use crate::client::{Client, Connection, print, read};
use crate::plugin::field_change;
use crate::text::clean;
use anyhow::{Result, bail};
use clap::Args;
use hookmill_host::api::shapes::{EventDryRun, EventResult, ShownEvent};
use hookmill_incident::EventStatus;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The event's id
    #[arg(required_unless_present = "quarantined")]
    id: Option<String>,
    /// Replay every event in quarantine
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
        let answer = client.replay(&id, self.dry_run)?;
        let (status, text) = read_result(&answer, self.dry_run)?;
        print(self.connection.json, &answer, |_| text);
        match status {
            EventStatus::Quarantined => bail!("the event stays in quarantine"),
            _ => Ok(()),
        }
    }
}

impl Client {
    fn replay(&self, id: &str, dry_run: bool) -> Result<Value> {
        self.post_with(&["events", id, "replay"], &[("dry_run", dry_run.to_string())])
    }
}

/// Returns the state that an event has or would have, and the result in words.
fn read_result(answer: &Value, dry_run: bool) -> Result<(EventStatus, String)> {
    if dry_run {
        let result: EventDryRun = read(answer)?;
        return Ok((result.status, changes(&result)));
    }
    let result: EventResult = read(answer)?;
    Ok((result.status, result_line(&result)))
}

/// Returns the state that an event would have, and the changes of its incidents.
fn changes(result: &EventDryRun) -> String {
    let mut text = format!("{} would be {}", result.id, result.status);
    if let Some(message) = &result.message {
        text += &format!(": {}", clean(message));
    }
    for incident in &result.incidents {
        let number = incident.number.as_deref().map_or_else(|| "a new incident".to_owned(), clean);
        let same = if incident.changes.is_empty() { " stays as it is" } else { "" };
        text += &format!("\n{number}, {}{same}\n", clean(&incident.source_ref));
        text.extend(incident.changes.iter().map(field_change));
    }
    text
}

fn replay_all(client: &Client, dry_run: bool, json: bool) -> Result<()> {
    let ids = quarantined(client)?;
    let progress = Progress { of: ids.len(), shown: std::io::stderr().is_terminal() };
    let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
    let mut left = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        progress.show(index);
        let result = client.replay(id, dry_run).and_then(|answer| read_result(&answer, dry_run));
        let (status, text) = match result {
            Ok((status, text)) => (status.as_str(), text),
            Err(error) => ("failed", format!("{id} {error:#}")),
        };
        if matches!(status, "quarantined" | "failed") {
            left.push(text);
        } else if dry_run && !json {
            progress.clear();
            println!("{text}");
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

/// Returns the ids of all events that are in quarantine now, in the order in which they arrived.
fn quarantined(client: &Client) -> Result<Vec<String>> {
    let events = client.all("events", &[("status", "quarantined")])?;
    events.iter().rev().map(|event| Ok(read::<ShownEvent>(event)?.result.id.to_string())).collect()
}

/// A line on a terminal that shows the progress of a replay.
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
