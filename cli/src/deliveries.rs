//! `hookmill deliveries`.

use super::client::{Connection, Part, Query, each, print};
use super::text::{list, plain, table, time};
use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};

#[derive(Debug, Subcommand)]
pub(super) enum Deliveries {
    /// List deliveries, the newest first; filters may be repeated
    List(List),
    /// Make a delivery due now, also one that is dead; or many dead ones
    Retry(Retry),
}

#[derive(Debug, Args)]
pub(super) struct Retry {
    /// Its id
    #[arg(required_unless_present = "dead", conflicts_with = "dead")]
    id: Option<String>,
    /// Every dead delivery, or those that the other options name
    #[arg(long)]
    dead: bool,
    /// Of the dead ones those to this destination
    #[arg(long, requires = "dead")]
    destination: Option<String>,
    /// Of the dead ones those of this notification
    #[arg(long, requires = "dead")]
    notification: Option<String>,
    /// Of the dead ones those that tell of the incident of this id
    #[arg(long, requires = "dead", value_name = "ID")]
    incident: Option<String>,
    /// Of the dead ones those that tell of the event of this id
    #[arg(long, requires = "dead", value_name = "ID")]
    event: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// The name of a destination
    #[arg(long)]
    destination: Vec<String>,
    /// The name of a notification
    #[arg(long)]
    notification: Vec<String>,
    /// pending, delivered or dead
    #[arg(long)]
    status: Vec<String>,
    /// The id of an incident that it tells of
    #[arg(long, value_name = "ID")]
    incident: Vec<String>,
    /// The id of an event that it tells of
    #[arg(long, value_name = "ID")]
    event: Vec<String>,
    #[command(flatten)]
    part: Part,
    #[command(flatten)]
    connection: Connection,
}

impl Deliveries {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(list) => list.run(),
            Self::Retry(retry) => retry.run(),
        }
    }
}

impl Retry {
    fn run(self) -> Result<()> {
        let client = self.connection.open()?;
        if let Some(id) = &self.id {
            let answer = client.post(&["deliveries", id, "retry"])?;
            print(self.connection.json, &answer, |answer| {
                let [id, destination, status] = ["id", "destination", "status"].map(|name| plain(&answer[name]));
                format!("{id} to {destination} is {status}")
            });
            return Ok(());
        }
        let named = [
            ("destination", self.destination),
            ("notification", self.notification),
            ("incident", self.incident),
            ("event", self.event),
        ];
        let which: Map<String, Value> =
            named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
        let answer = client.post_json(&["deliveries", "retry"], &Value::Object(which))?;
        print(self.connection.json, &answer, |answer| format!("{} are due again", plain(&answer["retried"])));
        Ok(())
    }
}

impl List {
    fn run(self) -> Result<()> {
        let mut query = Query::new();
        query.extend(each("destination", self.destination));
        query.extend(each("notification", self.notification));
        query.extend(each("status", self.status));
        query.extend(each("incident", self.incident));
        query.extend(each("event", self.event));
        self.connection.print_list("deliveries", query, self.part, |answer| {
            let rows = list(&answer["data"]).iter().map(row).collect();
            table(
                ["ID", "DESTINATION", "NOTIFICATION", "OPERATION", "STATUS", "ATTEMPTS", "LAST OR NEXT (UTC)", "ERROR"],
                rows,
            )
        })
    }
}

fn row(delivery: &Value) -> [String; 8] {
    let attempts = list(&delivery["attempts"]);
    let next = &delivery["next_attempt_at"];
    [
        plain(&delivery["id"]),
        plain(&delivery["destination"]),
        plain(&delivery["notification"]),
        plain(&delivery["operation"]),
        plain(&delivery["status"]),
        attempts.len().to_string(),
        time(if next.is_null() { attempts.last().map_or(next, |attempt| &attempt["at"]) } else { next }),
        plain(&delivery["error"]),
    ]
}
