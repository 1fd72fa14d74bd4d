//! `hookmill incidents`.

use super::client::{Connection, Part, Query, each, print};
use super::text::{incident, list, plain, table, time};
use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Incidents {
    /// List incidents, the newest first; filters may be repeated
    List(List),
    /// Show one incident
    Show {
        /// Its number, such as INC-2026-0001, or its id
        number: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Have a playbook look at an incident, once more or for the first time
    Triage {
        /// Its number, such as INC-2026-0001, or its id
        number: String,
        /// The playbook [default: the one of the incident's source]
        #[arg(long, value_name = "NAME")]
        playbook: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// new, triaged, in_progress, escalated, resolved, false_positive or closed
    #[arg(long)]
    status: Vec<String>,
    /// informational, low, medium, high or critical
    #[arg(long)]
    severity: Vec<String>,
    /// The name of a source
    #[arg(long)]
    source: Vec<String>,
    /// One of its tags
    #[arg(long)]
    tag: Vec<String>,
    /// The value of one of its observables
    #[arg(long)]
    observable: Vec<String>,
    /// Text in the title, the description or the source's reference
    #[arg(short, long, value_name = "TEXT")]
    query: Option<String>,
    #[command(flatten)]
    part: Part,
    #[command(flatten)]
    connection: Connection,
}

impl Incidents {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(list) => list.run(),
            Self::Show { number, connection } => {
                let answer = connection.open()?.get(&["incidents", &number], &[])?;
                print(connection.json, &answer, incident);
                Ok(())
            }
            Self::Triage { number, playbook, connection } => {
                let ask = playbook.map_or_else(|| json!({}), |name| json!({"playbook": name}));
                let answer = connection.open()?.post_json(&["incidents", &number, "triage"], &ask)?;
                print(connection.json, &answer, |answer| {
                    let (playbook, number) = (plain(&answer["triage"]["playbook"]), plain(&answer["number"]));
                    format!("{playbook} will look at {number}; `hookmill incidents show {number}` says what it did")
                });
                Ok(())
            }
        }
    }
}

impl List {
    fn run(self) -> Result<()> {
        let mut query = Query::new();
        query.extend(each("status", self.status));
        query.extend(each("severity", self.severity));
        query.extend(each("source", self.source));
        query.extend(each("tag", self.tag));
        query.extend(each("observable", self.observable));
        query.extend(self.query.map(|text| ("q", text)));
        self.connection.print_list("incidents", query, self.part, |answer| {
            let rows = list(&answer["data"]).iter().map(|incident| {
                [
                    plain(&incident["number"]),
                    plain(&incident["severity"]),
                    plain(&incident["status"]),
                    plain(&incident["source"]),
                    time(&incident["updated_at"]),
                    plain(&incident["occurrences"]),
                    plain(&incident["title"]),
                ]
            });
            table(["NUMBER", "SEVERITY", "STATUS", "SOURCE", "UPDATED (UTC)", "SEEN", "TITLE"], rows.collect())
        })
    }
}
