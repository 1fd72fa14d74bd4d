//! `hookmill events`.

mod replay;
mod state;

use super::client::{Connection, Part, Query, each, print};
use super::text::{clean, fields, join, list, plain, table, time};
use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;
use state::{incidents, state};

#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// List events, the newest first; filters may be repeated
    List(List),
    /// Show one event with its body
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Map an event again, or all that are in quarantine
    Replay(replay::Replay),
    /// Decide that an event which waits or is in quarantine will not be mapped; it is kept
    Discard {
        /// Its id
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// mapped, ignored, partial, queued, quarantined or discarded
    #[arg(long)]
    status: Vec<String>,
    /// Why it is in quarantine: malformed, unsupported, deadline_exceeded, …
    #[arg(long)]
    code: Vec<String>,
    /// The name of a source
    #[arg(long)]
    source: Vec<String>,
    /// The id of an incident that it made or changed
    #[arg(long, value_name = "ID")]
    incident: Vec<String>,
    #[command(flatten)]
    part: Part,
    #[command(flatten)]
    connection: Connection,
}

impl Events {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(list) => list.run(),
            Self::Show { id, connection } => {
                let answer = connection.open()?.get(&["events", &id], &[])?;
                print(connection.json, &answer, event);
                Ok(())
            }
            Self::Replay(replay) => replay.run(),
            Self::Discard { id, connection } => {
                let answer = connection.open()?.post(&["events", &id, "discard"])?;
                print(connection.json, &answer, state);
                Ok(())
            }
        }
    }
}

impl List {
    fn run(self) -> Result<()> {
        let mut query = Query::new();
        query.extend(each("status", self.status));
        query.extend(each("code", self.code));
        query.extend(each("source", self.source));
        query.extend(each("incident", self.incident));
        self.connection.print_list("events", query, self.part, |answer| {
            let rows = list(&answer["data"]).iter().map(|event| {
                let what = join(&[incidents(event), plain(&event["message"])], "; ");
                [
                    plain(&event["id"]),
                    time(&event["received_at"]),
                    plain(&event["source"]),
                    plain(&event["status"]),
                    plain(&event["error"]["code"]),
                    what,
                ]
            });
            table(["ID", "RECEIVED (UTC)", "SOURCE", "STATUS", "CODE", "RESULT"], rows.collect())
        })
    }
}

fn event(event: &Value) -> String {
    let text = |name: &str| plain(&event[name]);
    let pairs = |name: &str| {
        let pairs = list(&event[name]).iter();
        pairs.map(|pair| format!("{}: {}", plain(&pair["name"]), plain(&pair["value"]))).collect::<Vec<_>>().join("\n")
    };
    let body = &event["body"];
    let about = fields([
        ("id", text("id")),
        ("source", text("source")),
        ("received", text("received_at")),
        ("status", text("status")),
        ("code", plain(&event["error"]["code"])),
        ("message", text("message")),
        ("incidents", incidents(event)),
        ("attempts", text("attempts")),
        ("tried", list(&event["tried"]).iter().map(plain).collect::<Vec<_>>().join("\n")),
        ("sha256", text("sha256")),
        ("headers", pairs("headers")),
        ("context", pairs("context")),
    ]);
    let encoded = if body["encoding"] == "base64" { " in base64" } else { "" };
    format!("{about}\nbody{encoded}\n{}", clean(body["data"].as_str().unwrap_or_default()))
}
