//! `hookmill deliveries`.

use super::client::{Connection, Part, Query, each, print};
use super::text::{list, plain, table, time};
use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub(super) enum Deliveries {
    /// List deliveries, the newest first; filters may be repeated
    List(List),
    /// Make a delivery due now, also one that is dead
    Retry {
        /// Its id
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// The name of a destination
    #[arg(long)]
    destination: Vec<String>,
    /// pending, delivered or dead
    #[arg(long)]
    status: Vec<String>,
    /// The id of an incident that it tells of
    #[arg(long, value_name = "ID")]
    incident: Vec<String>,
    #[command(flatten)]
    part: Part,
    #[command(flatten)]
    connection: Connection,
}

impl Deliveries {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(list) => list.run(),
            Self::Retry { id, connection } => {
                let answer = connection.open()?.post(&["deliveries", &id, "retry"])?;
                print(connection.json, &answer, |answer| {
                    let [id, destination, status] = ["id", "destination", "status"].map(|name| plain(&answer[name]));
                    format!("{id} to {destination} is {status}")
                });
                Ok(())
            }
        }
    }
}

impl List {
    fn run(self) -> Result<()> {
        let mut query = Query::new();
        query.extend(each("destination", self.destination));
        query.extend(each("status", self.status));
        query.extend(each("incident", self.incident));
        self.connection.print_list("deliveries", query, self.part, |answer| {
            let rows = list(&answer["data"]).iter().map(row).collect();
            table(["ID", "DESTINATION", "OPERATION", "STATUS", "ATTEMPTS", "LAST OR NEXT (UTC)", "ERROR"], rows)
        })
    }
}

fn row(delivery: &Value) -> [String; 7] {
    let attempts = list(&delivery["attempts"]);
    let next = &delivery["next_attempt_at"];
    [
        plain(&delivery["id"]),
        plain(&delivery["destination"]),
        plain(&delivery["operation"]),
        plain(&delivery["status"]),
        attempts.len().to_string(),
        time(if next.is_null() { attempts.last().map_or(next, |attempt| &attempt["at"]) } else { next }),
        plain(&delivery["error"]),
    ]
}
