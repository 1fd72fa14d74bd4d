//! `hookmill events follow`.

use super::result_line::{error_code, incident_numbers};
use crate::client::{Client, HostConnection, QueryParameters, each, read};
use crate::text::{clean, given, join, utc};
use anyhow::Result;
use clap::Args;
use hookmill_host::Frame;
use hookmill_host::api::shapes::{ListedItem, RefusedRequests, ShownEvent};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::Duration;

/// The shortest and the longest pause before a new connection.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

#[derive(Debug, Args)]
pub(crate) struct Follow {
    /// The name of a source
    #[arg(long)]
    source: Vec<String>,
    /// mapped, ignored, partial, queued, quarantined or discarded; excludes refused requests
    #[arg(long)]
    status: Vec<String>,
    /// event or refusal
    #[arg(long, value_name = "TYPE")]
    r#type: Vec<String>,
    #[command(flatten)]
    connection: HostConnection,
}

/// The number of events that are known to be printed.
const PRINTED_MAX: usize = 100_000;
/// The time by which an event can be stored later than one that arrived after it.
const LATE: Duration = Duration::from_secs(60);

/// The position up to which changes were printed, and the events that may come again.
#[derive(Default)]
struct FollowState {
    /// The position in the stream.
    position: Option<String>,
    /// The time when the newest event arrived, or when the stream was first connected.
    newest: Option<Timestamp>,
    /// The events that were printed since a connection.
    printed: HashSet<String>,
    /// True if events have to be read from the list.
    is_reset: bool,
    /// The events that were read from the list, with the status that was printed. The stream sends some of them, too.
    listed: HashMap<String, String>,
}

impl Follow {
    pub fn run(self) -> Result<()> {
        let client = self.connection.open()?;
        let mut filter: QueryParameters = each("source", self.source).chain(each("status", self.status)).collect();
        let listed = filter.clone();
        let wants_events = self.r#type.is_empty() || self.r#type.iter().any(|word| word == "event");
        filter.extend(each("type", self.r#type));
        let mut state = FollowState::default();
        let mut pause = PAUSE.0;
        loop {
            if !wants_events {
                state.is_reset = false;
            }
            if state.is_reset {
                match state.catch_up(&client, &listed, self.connection.json) {
                    Ok(()) => state.is_reset = false,
                    Err(error) => {
                        eprintln!("{error:#}; trying again");
                        std::thread::sleep(PAUSE.0);
                        continue;
                    }
                }
            }
            let was = state.position.clone();
            let ended = client.follow(&["events", "stream"], &filter, was.as_deref(), |frame| {
                state.take(frame, self.connection.json)
            });
            if state.is_reset {
                continue;
            }
            pause = if state.position == was { (pause * 2).min(PAUSE.1) } else { PAUSE.0 };
            match ended {
                // The first connection shows that the host, the token and the filter are right.
                Err(error) if state.position.is_none() => return Err(error),
                Err(error) => eprintln!("{error:#}; trying again"),
                Ok(()) => eprintln!("the connection has ended; trying again"),
            }
            std::thread::sleep(pause);
        }
    }
}

impl FollowState {
    fn take(&mut self, frame: Frame, json: bool) -> Result<ControlFlow<()>> {
        let data: Value = serde_json::from_slice(&frame.data.unwrap_or_default()).unwrap_or_default();
        self.position = Some(frame.id);
        match frame.event.as_str() {
            "connected" => {
                self.newest = self.newest.or(data.as_str().and_then(|at| at.parse().ok()));
            }
            "event" => {
                let listed = self.listed.remove(data["id"].as_str().unwrap_or_default());
                if listed.is_none() || listed.as_deref() != data["status"].as_str() {
                    self.print_event(&data, json)?;
                }
            }
            "refusal" if json => println!("{}", json!({"refusal": data})),
            "refusal" => println!("{}", refusal_line(&read(&data)?)),
            "reset" => {
                self.is_reset = true;
                return Ok(ControlFlow::Break(()));
            }
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    fn print_event(&mut self, data: &Value, json: bool) -> Result<()> {
        if self.printed.len() == PRINTED_MAX {
            self.printed.clear();
        }
        self.printed.insert(data["id"].as_str().unwrap_or_default().to_owned());
        let at: Option<Timestamp> = data["received_at"].as_str().and_then(|at| at.parse().ok());
        self.newest = self.newest.max(at);
        match json {
            true => println!("{}", json!({"event": data})),
            false => println!("{}", event_line(&read(data)?)),
        }
        Ok(())
    }

    /// Prints the events that arrived while the host could not remember the position of this client.
    fn catch_up(&mut self, client: &Client, filter: &QueryParameters, json: bool) -> Result<()> {
        eprintln!("the host was restarted, or too much has changed; reading the events since the connection ended");
        let mut filter: Vec<(&str, &str)> = filter.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let newest = (self.newest.unwrap_or_default() - LATE).to_string();
        filter.push(("created_after", &newest));
        let mut missed: Vec<Value> = client.all("events", &filter)?;
        missed.retain(|event| event["id"].as_str().is_some_and(|id| !self.printed.contains(id)));
        self.printed.clear();
        let text = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
        self.listed = missed.iter().map(|event| (text(event, "id"), text(event, "status"))).collect();
        missed.iter().rev().try_for_each(|event| self.print_event(event, json))
    }
}

fn event_line(item: &ListedItem<ShownEvent>) -> String {
    let event = match item {
        ListedItem::Readable(event) => event,
        ListedItem::Unreadable(unreadable) => {
            return format!("{} cannot be read: {}", unreadable.id, clean(&unreadable.error));
        }
    };
    let result = &event.result;
    let detail = [error_code(result), incident_numbers(&result.incidents), given(result.message.as_ref())];
    let parts = [utc(event.received_at), result.id.to_string(), clean(&event.source), result.status.to_string()];
    join(&[parts.join("  "), join(&detail, "; ")], "  ")
}

fn refusal_line(refused: &RefusedRequests) -> String {
    let source = refused.source.as_deref().map_or_else(|| "unknown source".to_owned(), clean);
    let address = refused.address.map(|address| address.to_string()).unwrap_or_default();
    let parts = [utc(refused.last_at), refused.id.to_string(), source, format!("refused ×{}", refused.count), address];
    format!("{}  {}", join(&parts, "  "), clean(&refused.reason))
}
