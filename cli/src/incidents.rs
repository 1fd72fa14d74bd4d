//! `hookmill incidents`.

mod change;

use super::client::{HostConnection, PageOptions, QueryParameters, each, print_shape};
use super::text::{clean, stored_incident, table, unreadable_row, utc};
use anyhow::Result;
use change::Change;
use clap::{Args, Subcommand};
use hookmill_host::api::shapes::{List, ListedItem, ShownIncident, ShownRelatedIncident, TriageOptions};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Incidents {
    /// List incidents, the newest first; filters may be repeated
    List(Box<IncidentList>),
    /// Show one incident
    Show {
        /// The incident's number, such as INC-2026-0001, or id
        number: String,
        #[command(flatten)]
        connection: HostConnection,
    },
    /// List incidents that share observables with an incident, those with the rarest first
    Related {
        /// The incident's number, such as INC-2026-0001, or id
        number: String,
        /// The maximum number of rows, up to 1000 [default: 50]
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        #[command(flatten)]
        connection: HostConnection,
    },
    /// Change one or several incidents, or all that a filter finds
    Change(Change),
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
    /// The vendor's own id
    #[arg(long, value_name = "REF")]
    source_ref: Vec<String>,
    /// A tag of the incident
    #[arg(long)]
    tag: Vec<String>,
    /// The person who works on the incident
    #[arg(long, value_name = "NAME")]
    assignee: Vec<String>,
    /// The whole value of an observable of the incident
    #[arg(long, value_name = "VALUE")]
    observable: Vec<String>,
    /// The beginning of the value of an observable
    #[arg(long, value_name = "TEXT")]
    observable_prefix: Vec<String>,
    /// A MITRE ATT&CK technique, such as T1059, with its sub-techniques
    #[arg(long, value_name = "ID")]
    technique: Vec<String>,
    /// Words in the title, the description, the source's reference or the observables; `*` ends the beginning of a word
    #[arg(short, long, value_name = "WORDS")]
    query: Option<String>,
    /// Created after this time, such as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    created_after: Option<String>,
    /// Created before this time
    #[arg(long, value_name = "TIME")]
    created_before: Option<String>,
    /// Updated after this time
    #[arg(long, value_name = "TIME")]
    updated_after: Option<String>,
    /// created_at, updated_at, severity, status or source; several with commas, `-` puts the largest first
    #[arg(long, value_name = "KEYS", allow_hyphen_values = true)]
    sort: Option<String>,
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
            Self::Related { number, limit, connection } => related(&number, limit, &connection),
            Self::Change(change) => change.run(),
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

fn related(number: &str, limit: Option<u32>, connection: &HostConnection) -> Result<()> {
    let query: QueryParameters = limit.map(|limit| ("limit", limit.to_string())).into_iter().collect();
    let answer = connection.open()?.get(&["incidents", number, "related"], &query)?;
    print_shape(connection.json, &answer, |related: List<ListedItem<ShownRelatedIncident>>| {
        let rows = related.data.iter().map(|item| match item {
            ListedItem::Readable(ShownRelatedIncident { incident: shown, shared_observables }) => {
                let shared = shared_observables.iter().map(|shared| format!("{} ({})", shared.value, shared.incidents));
                [
                    clean(&shown.number),
                    shown.incident.severity.to_string(),
                    shown.incident.status.to_string(),
                    clean(&shown.incident.title),
                    clean(&shared.collect::<Vec<_>>().join(", ")),
                ]
            }
            ListedItem::Unreadable(unreadable) => unreadable_row(unreadable),
        });
        table(["NUMBER", "SEVERITY", "STATUS", "TITLE", "SHARED OBSERVABLES (INCIDENTS)"], rows.collect())
    })
}

impl IncidentList {
    fn run(self) -> Result<()> {
        let mut query = QueryParameters::new();
        query.extend(each("status", self.status));
        query.extend(each("severity", self.severity));
        query.extend(each("source", self.source));
        query.extend(each("source_ref", self.source_ref));
        query.extend(each("tag", self.tag));
        query.extend(each("assignee", self.assignee));
        query.extend(each("observable", self.observable));
        query.extend(each("observable_prefix", self.observable_prefix));
        query.extend(each("technique", self.technique));
        let once = [
            ("q", self.query),
            ("created_after", self.created_after),
            ("created_before", self.created_before),
            ("updated_after", self.updated_after),
            ("sort", self.sort),
        ];
        query.extend(once.into_iter().filter_map(|(name, value)| Some((name, value?))));
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
