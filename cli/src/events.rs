//! `hookmill events`.

mod follow;
mod replay;
mod result_line;

use super::client::{HostConnection, PageOptions, QueryParameters, each, print_shape};
use super::text::{clean, fields, given, join, table, unreadable_row, utc};
use anyhow::Result;
use clap::{Args, Subcommand};
use hookmill_host::api::shapes::{
    BodyEncoding, EventResult, ListedItem, NamedText, ShownEvent, ShownJourney, ShownRun, StoredEvent,
};
use result_line::{error_code, incident_numbers, result_line};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// List events, the newest first; filters may be repeated
    List(EventList),
    /// Show one event with its body
    Show {
        /// The event's id
        id: String,
        #[command(flatten)]
        connection: HostConnection,
    },
    /// Print events as they are stored or change, and refused requests
    Follow(follow::Follow),
    /// Map an event again, or all events in quarantine
    Replay(replay::Replay),
    /// Discard a queued or quarantined event: the host keeps the event and does not map it
    Discard {
        /// The event's id
        id: String,
        /// The reason, for the event and the trail of operators
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        connection: HostConnection,
    },
}

#[derive(Debug, Args)]
pub(super) struct EventList {
    /// mapped, ignored, partial, queued, quarantined or discarded
    #[arg(long)]
    status: Vec<String>,
    /// The reason for the quarantine: malformed, unsupported, deadline_exceeded, …
    #[arg(long)]
    code: Vec<String>,
    /// The name of a source
    #[arg(long)]
    source: Vec<String>,
    /// The id of an incident that the event created or changed
    #[arg(long, value_name = "ID")]
    incident: Vec<String>,
    #[command(flatten)]
    page: PageOptions,
    #[command(flatten)]
    connection: HostConnection,
}

impl Events {
    pub fn run(self) -> Result<()> {
        match self {
            Self::List(list) => list.run(),
            Self::Show { id, connection } => {
                let answer = connection.open()?.get(&["events", &id], &[])?;
                print_shape(connection.json, &answer, |event| stored_event(&event))
            }
            Self::Follow(follow) => follow.run(),
            Self::Replay(replay) => replay.run(),
            Self::Discard { id, reason, connection } => {
                let body = json!({"reason": reason});
                let answer = connection.open()?.post_json(&["events", &id, "discard"], &body)?;
                print_shape(connection.json, &answer, |event: EventResult| result_line(&event))
            }
        }
    }
}

impl EventList {
    fn run(self) -> Result<()> {
        let mut query = QueryParameters::new();
        query.extend(each("status", self.status));
        query.extend(each("code", self.code));
        query.extend(each("source", self.source));
        query.extend(each("incident", self.incident));
        query.extend(self.page.parameters());
        self.connection.print_list("events", &query, |events: Vec<ListedItem<ShownEvent>>| {
            let rows = events.iter().map(row).collect();
            table(["ID", "RECEIVED (UTC)", "STORED AFTER", "SOURCE", "STATUS", "CODE", "RESULT"], rows)
        })
    }
}

fn row(item: &ListedItem<ShownEvent>) -> [String; 7] {
    let ShownEvent { result, source, received_at, stored_after_ms, .. } = match item {
        ListedItem::Readable(event) => event,
        ListedItem::Unreadable(unreadable) => return unreadable_row(unreadable),
    };
    [
        result.id.to_string(),
        utc(*received_at),
        stored_after(*stored_after_ms),
        clean(source),
        result.status.to_string(),
        error_code(result),
        join(&[incident_numbers(&result.incidents), given(result.message.as_ref())], "; "),
    ]
}

/// Returns the time until an event was stored, if it is known.
fn stored_after(ms: Option<u64>) -> String {
    ms.map_or_else(String::new, |ms| format!("{ms} ms"))
}

fn stored_event(StoredEvent { event, journey, body, body_removed, discard_reason }: &StoredEvent) -> String {
    let pairs =
        |pairs: &[NamedText]| lines(pairs.iter().map(|pair| format!("{}: {}", clean(&pair.name), clean(&pair.value))));
    let result = &event.result;
    let about = fields([
        ("id", result.id.to_string()),
        ("source", clean(&event.source)),
        ("received", event.received_at.to_string()),
        ("stored after", stored_after(event.stored_after_ms)),
        ("status", result.status.to_string()),
        ("code", error_code(result)),
        ("message", given(result.message.as_ref())),
        ("incidents", incident_numbers(&result.incidents)),
        ("discarded because", given(discard_reason.as_ref())),
        ("attempts", event.attempts.to_string()),
        ("tried", clean(&event.tried.join("\n"))),
        ("verified", verified(journey)),
        ("mapped", lines(journey.runs.iter().map(run))),
        ("sha256", clean(&event.sha256)),
        ("headers", pairs(&event.headers)),
        ("context", pairs(&event.context)),
    ]);
    let Some(body) = body else {
        let removed =
            body_removed.as_ref().map(|removed| format!("removed {}: {}", removed.at, clean(&removed.reason)));
        return format!("{about}\nbody {}", removed.unwrap_or_default());
    };
    let encoded = if body.encoding == BodyEncoding::Base64 { " in base64" } else { "" };
    format!("{about}\nbody{encoded}\n{}", clean(&body.data))
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the way in which the sender was verified.
fn verified(journey: &ShownJourney) -> String {
    let Some(verification) = &journey.verification else { return String::new() };
    let secret = verification.secret.as_ref();
    let secret = secret.map(|secret| format!("with the {} secret (index {})", secret.state, secret.index));
    let duration = journey.verify_us.map(|us| format!("in {us} µs"));
    join(&[format!("scheme {}", clean(&verification.scheme)), given(secret.as_ref()), given(duration.as_ref())], " ")
}

/// Returns one call of a mapper with its log.
fn run(run: &ShownRun) -> String {
    let plugin = &run.plugin;
    let code = given(run.code.as_ref());
    let call = format!(
        "{} {} in {} µs, {} KiB",
        clean(&plugin.name),
        clean(&plugin.version),
        run.duration_us,
        run.memory_bytes / 1024
    );
    let log = run.log.iter().map(|line| format!("  {}: {}", clean(&line.level), clean(&line.message)));
    lines(std::iter::once(join(&[call, code], ": ")).chain(log))
}
