//! `hookmill events replay`.

use super::result_line::result_line;
use crate::client::{Client, HostConnection, print_shape, read};
use crate::plugin::field_change;
use crate::progress::ProgressLine;
use crate::text::clean;
use anyhow::{Result, bail, ensure};
use clap::Args;
use hookmill_host::api::shapes::{EventDryRun, EventResult};
use hookmill_incident::EventStatus;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
    connection: HostConnection,
}

impl Replay {
    pub fn run(self) -> Result<()> {
        match self.dry_run {
            true => self.replay::<EventDryRun>(changes),
            false => self.replay::<EventResult>(result_line),
        }
    }

    fn replay<T: DeserializeOwned>(self, text: fn(&T) -> String) -> Result<()> {
        let Self { id, dry_run, connection, .. } = self;
        let client = connection.open()?;
        let Some(id) = id else { return replay_all(&client, dry_run, connection.json, text) };
        let answer = client.replay(&id, dry_run)?;
        print_shape(connection.json, &answer, |result| text(&result))?;
        let Replayed { status } = read(&answer)?;
        ensure!(status != EventStatus::Quarantined.as_str(), "the event stays in quarantine");
        Ok(())
    }
}

/// The used member of an event in a list. A replay does not depend on the other members.
#[derive(Deserialize)]
struct EventId {
    id: String,
}

/// The used member of the result of a replay or of its dry run. The status is text, because a newer host may have
/// further ones.
#[derive(Deserialize)]
struct Replayed {
    status: String,
}

impl Client {
    fn replay(&self, id: &str, dry_run: bool) -> Result<Value> {
        self.post_with(&["events", id, "replay"], &[("dry_run", dry_run.to_string())])
    }
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

fn replay_all<T: DeserializeOwned>(client: &Client, dry_run: bool, json: bool, text: fn(&T) -> String) -> Result<()> {
    // The list begins with the newest event; events are replayed in the order in which they arrived.
    let mut ids: Vec<EventId> = client.all("events", &[("status", "quarantined")])?;
    ids.reverse();
    let mut progress = ProgressLine::new();
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    let mut left = Vec::new();
    for (index, EventId { id }) in ids.iter().enumerate() {
        progress.show(&format!("replaying {} of {}", index + 1, ids.len()));
        let result = client.replay(id, dry_run).and_then(|answer| {
            let Replayed { status } = read(&answer)?;
            let text = if json { String::new() } else { text(&read(&answer)?) };
            Ok((status, text))
        });
        let (status, text) = result.unwrap_or_else(|error| ("failed".to_owned(), format!("{id} {error:#}")));
        if matches!(status.as_str(), "quarantined" | "failed") {
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
