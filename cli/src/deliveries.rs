//! `hookmill deliveries`.

use super::client::{HostConnection, PageOptions, QueryParameters, each, print_shape};
use super::text::{clean, given, table, utc};
use anyhow::Result;
use clap::{Args, Subcommand};
use hookmill_host::api::shapes::{RetriedDeliveries, RetriedDelivery, RetryFilter, ShownDeadLetters, ShownDelivery};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum Deliveries {
    /// List deliveries, the newest first; filters may be repeated
    List(DeliveryList),
    /// Count the dead deliveries by destination and error, the largest groups first
    Dead(DeadList),
    /// Retry a delivery now, dead or not, or many dead deliveries
    Retry(Retry),
}

#[derive(Debug, Args)]
pub(super) struct Retry {
    /// The delivery's id
    #[arg(required_unless_present = "dead", conflicts_with = "dead")]
    id: Option<String>,
    /// Retry all dead deliveries, or those that the other options select
    #[arg(long)]
    dead: bool,
    /// Only dead deliveries to this destination
    #[arg(long, requires = "dead")]
    destination: Option<String>,
    /// Only dead deliveries of this notification
    #[arg(long, requires = "dead")]
    notification: Option<String>,
    /// Only dead deliveries about the incident with this id
    #[arg(long, requires = "dead", value_name = "ID")]
    incident: Option<Uuid>,
    /// Only dead deliveries about the event with this id
    #[arg(long, requires = "dead", value_name = "ID")]
    event: Option<Uuid>,
    /// Only dead deliveries with this error
    #[arg(long, requires = "dead", value_name = "TEXT")]
    error: Option<String>,
    /// Only dead deliveries that were queued after this time, e.g. 2027-01-31T00:00:00Z
    #[arg(long, requires = "dead", value_name = "TIME")]
    created_after: Option<Timestamp>,
    #[command(flatten)]
    connection: HostConnection,
}

#[derive(Debug, Args)]
pub(super) struct DeliveryList {
    /// The name of a destination
    #[arg(long)]
    destination: Vec<String>,
    /// The name of a notification
    #[arg(long)]
    notification: Vec<String>,
    /// pending, delivered or dead
    #[arg(long)]
    status: Vec<String>,
    /// The id of an incident that the delivery is about
    #[arg(long, value_name = "ID")]
    incident: Vec<String>,
    /// The id of an event that the delivery is about
    #[arg(long, value_name = "ID")]
    event: Vec<String>,
    /// The error of the last attempt
    #[arg(long, value_name = "TEXT")]
    error: Vec<String>,
    /// Only deliveries that were queued after this time, e.g. 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    created_after: Option<Timestamp>,
    #[command(flatten)]
    page: PageOptions,
    #[command(flatten)]
    connection: HostConnection,
}

#[derive(Debug, Args)]
pub(super) struct DeadList {
    /// The name of a destination; may be repeated
    #[arg(long)]
    destination: Vec<String>,
    #[command(flatten)]
    connection: HostConnection,
}

impl Deliveries {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(list) => list.run(),
            Self::Dead(list) => list.run(),
            Self::Retry(retry) => retry.run(),
        }
    }
}

impl Retry {
    fn run(self) -> Result<()> {
        let client = self.connection.open()?;
        if let Some(id) = &self.id {
            let answer = client.post(&["deliveries", id, "retry"])?;
            return print_shape(self.connection.json, &answer, |RetriedDelivery { id, destination, status }| {
                format!("delivery {id} to {} is {}", clean(&destination), status)
            });
        }
        let filter = RetryFilter {
            destination: self.destination,
            notification: self.notification,
            incident: self.incident,
            event: self.event,
            error: self.error,
            created_after: self.created_after,
        };
        let answer = client.post_json(&["deliveries", "retry"], &json!(filter))?;
        print_shape(self.connection.json, &answer, |RetriedDeliveries { retried }| {
            format!("{retried} deliveries are due again")
        })
    }
}

impl DeadList {
    fn run(self) -> Result<()> {
        let query: QueryParameters = each("destination", self.destination).collect();
        self.connection.print_list("dead-letters", &query, |groups: Vec<ShownDeadLetters>| {
            let row = |group: &ShownDeadLetters| {
                let (first, last) = (utc(group.first_at), utc(group.last_at));
                [clean(&group.destination), group.count.to_string(), first, last, given(group.error.as_ref())]
            };
            table(["DESTINATION", "COUNT", "FIRST (UTC)", "LAST (UTC)", "ERROR"], groups.iter().map(row).collect())
        })
    }
}

impl DeliveryList {
    fn run(self) -> Result<()> {
        let mut query = QueryParameters::new();
        query.extend(each("destination", self.destination));
        query.extend(each("notification", self.notification));
        query.extend(each("status", self.status));
        query.extend(each("incident", self.incident));
        query.extend(each("event", self.event));
        query.extend(each("error", self.error));
        query.extend(self.created_after.map(|time| ("created_after", time.to_string())));
        query.extend(self.page.parameters());
        self.connection.print_list("deliveries", &query, |deliveries: Vec<ShownDelivery>| {
            let rows = deliveries.iter().map(row).collect();
            table(
                ["ID", "DESTINATION", "NOTIFICATION", "OPERATION", "STATUS", "ATTEMPTS", "LAST OR NEXT (UTC)", "ERROR"],
                rows,
            )
        })
    }
}

fn row(delivery: &ShownDelivery) -> [String; 8] {
    let newest = delivery.attempts.last().map(|attempt| attempt.at);
    [
        delivery.id.to_string(),
        clean(&delivery.destination),
        given(delivery.notification.as_ref()),
        delivery.operation.map(|operation| operation.to_string()).unwrap_or_default(),
        delivery.status.to_string(),
        delivery.attempts.len().to_string(),
        delivery.next_attempt_at.flatten().or(newest).map(utc).unwrap_or_default(),
        given(delivery.error.as_ref()),
    ]
}
