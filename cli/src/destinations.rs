//! `hookmill destinations`.

use super::client::{Connection, Query, print};
use super::text::{list, plain, table, time};
use anyhow::Result;
use clap::Subcommand;
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub(super) enum Destinations {
    /// List destinations: how they do, and what waits for them
    List(Connection),
    /// Send a destination again what is for it, after it was disabled; its dead deliveries stay dead until they are retried
    Enable {
        /// Its name
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
}

impl Destinations {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(connection) => {
                print(connection.json, &connection.open()?.get(&["destinations"], &Query::new())?, |answer| {
                    let rows = list(&answer["data"]).iter().map(row).collect();
                    table(["NAME", "TYPE", "PENDING", "DEAD", "FAILING SINCE (UTC)", "DISABLED"], rows)
                });
                Ok(())
            }
            Self::Enable { name, connection } => {
                let answer = connection.open()?.post(&["destinations", &name, "enable"])?;
                print(connection.json, &answer, |answer| match answer["was_disabled"].as_bool() {
                    Some(true) => format!(
                        "{name} is enabled; `hookmill deliveries retry --dead --destination {name}` sends what is dead"
                    ),
                    _ => format!("{name} was not disabled"),
                });
                Ok(())
            }
        }
    }
}

fn row(destination: &Value) -> [String; 6] {
    [
        plain(&destination["name"]),
        plain(&destination["type"]),
        plain(&destination["pending"]),
        plain(&destination["dead"]),
        time(&destination["failing_since"]),
        plain(&destination["disabled"]),
    ]
}
