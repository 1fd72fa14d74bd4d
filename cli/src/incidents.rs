//! `hookmill incidents`.

use super::client::{HostConnection, PageOptions, QueryParameters, each, print_shape};
use super::text::{clean, stored_incident, table, unreadable_row, utc};
use anyhow::Result;
use clap::{Args, Subcommand};
use hookmill_host::api::shapes::{ListedItem, ShownIncident, TriageOptions};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Incidents {
    /// List incidents, the newest first; filters may be repeated
    List(IncidentList),
    /// Show one incident
    Show {
        /// The incident's number, such as INC-2026-0001, or id
        number: String,
        #[command(flatten)]
        connection: HostConnection,
    },
    /// Call a playbook for an incident, for the first time or again
    Triage {
        /// The incident's number, such as INC-2026-0001, or id
        number: String,
        /// The playbook [default: the playbook of the incident's source]
        #[arg(long, value_name = "NAME")]
        playbook: Option<String>,
        #[command(flatten)]
        connection: HostConnection,
    },
}

#[derive(Debug, Args)]
pub(super) struct IncidentList {
    /// new, triaged, in_progress, escalated, resolved, false_positive or closed
    #[arg(long)]
    status: Vec<String>,
    /// informational, low, medium, high or critical
    #[arg(long)]
    severity: Vec<String>,
    /// The name of a source
    #[arg(long)]
    source: Vec<String>,
    /// A tag of the incident
    #[arg(long)]
    tag: Vec<String>,
    /// The value of an observable of the incident
    #[arg(long)]
    observable: Vec<String>,
    /// Text in the title, the description or the source's reference
    #[arg(short, long, value_name = "TEXT")]
    query: Option<String>,
    #[command(flatten)]
    page: PageOptions,
    #[command(flatten)]
    connection: HostConnection,
}

impl Incidents {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(list) => list.run(),
            Self::Show { number, connection } => {
                let answer = connection.open()?.get(&["incidents", &number], &[])?;
                print_shape(connection.json, &answer, |incident| stored_incident(&incident))
            }
            Self::Triage { number, playbook, connection } => {
                let options = json!(TriageOptions { playbook });
                let answer = connection.open()?.post_json(&["incidents", &number, "triage"], &options)?;
                print_shape(connection.json, &answer, |ShownIncident { number, incident, .. }| {
                    let playbook = incident.triage.map(|triage| clean(&triage.playbook)).unwrap_or_default();
                    format!(
                        "{playbook} will be called for {number}; `hookmill incidents show {number}` shows the result"
                    )
                })
            }
        }
    }
}

impl IncidentList {
    fn run(self) -> Result<()> {
        let mut query = QueryParameters::new();
        query.extend(each("status", self.status));
        query.extend(each("severity", self.severity));
        query.extend(each("source", self.source));
        query.extend(each("tag", self.tag));
        query.extend(each("observable", self.observable));
        query.extend(self.query.map(|text| ("q", text)));
        query.extend(self.page.parameters());
        self.connection.print_list("incidents", &query, |incidents: Vec<ListedItem<ShownIncident>>| {
            let rows = incidents.iter().map(|item| match item {
                ListedItem::Readable(ShownIncident { number, incident, occurrences, .. }) => [
                    clean(number),
                    incident.severity.to_string(),
                    incident.status.to_string(),
                    clean(&incident.source),
                    utc(incident.updated_at),
                    occurrences.to_string(),
                    clean(&incident.title),
                ],
                ListedItem::Unreadable(unreadable) => unreadable_row(unreadable),
            });
            table(["NUMBER", "SEVERITY", "STATUS", "SOURCE", "UPDATED (UTC)", "SEEN", "TITLE"], rows.collect())
        })
    }
}
