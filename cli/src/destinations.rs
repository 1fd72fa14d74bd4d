//! `hookmill destinations`.

use super::client::{HostConnection, print_shape};
use super::text::{clean, given, table, utc};
use anyhow::Result;
use clap::Subcommand;
use hookmill_host::api::shapes::{EnabledDestination, ShownDestination};

#[derive(Debug, Subcommand)]
pub(super) enum Destinations {
    /// List destinations with their state and the size of their queues
    List(HostConnection),
    /// Enable a destination that was disabled; its dead deliveries stay dead until they are retried
    Enable {
        /// The destination's name
        name: String,
        #[command(flatten)]
        connection: HostConnection,
    },
}

impl Destinations {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(connection) => {
                connection.print_list("destinations", &[], |destinations: Vec<ShownDestination>| {
                    let rows = destinations.iter().map(row).collect();
                    table(["NAME", "TYPE", "PENDING", "DEAD", "FAILING SINCE (UTC)", "DISABLED"], rows)
                })
            }
            Self::Enable { name, connection } => {
                let answer = connection.open()?.post(&["destinations", &name, "enable"])?;
                print_shape(connection.json, &answer, |enabled: EnabledDestination| match enabled.was_disabled {
                    true => format!(
                        "{name} is enabled; `hookmill deliveries retry --dead --destination {name}` sends its dead deliveries"
                    ),
                    false => format!("{name} was not disabled"),
                })
            }
        }
    }
}

fn row(destination: &ShownDestination) -> [String; 6] {
    [
        clean(&destination.name),
        destination.kind.to_string(),
        destination.pending.to_string(),
        destination.dead.to_string(),
        destination.failing_since.map(utc).unwrap_or_default(),
        given(destination.disabled.as_ref()),
    ]
}
