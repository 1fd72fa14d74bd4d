//! Dry runs of notifications: shows the messages, and sends them on request, without queueing them.

use super::deliverer::Deliverer;
use super::destination::Destination;
use super::destination_type::DestinationType;
use super::mail::ShownMail;
use super::outgoing::OutgoingMessage;
use super::prepare::prepare;
use super::request::{OutgoingRequest, ShownRequest};
use super::send_context::SendContext;
use super::thehive::ShownAlert;
use crate::traces::Trace;
use hookmill_incident::Clock;
use hookmill_store::{Attempt, DueDelivery, Message};
use serde::{Deserialize, Serialize};
use std::time::Instant;
use uuid::Uuid;

/// One step of a notification in a dry run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DryRunStep {
    /// The name of the destination.
    pub to: String,
    /// The destination's type.
    #[serde(rename = "type")]
    pub kind: DestinationType,
    /// The message, or the reason why there is none.
    #[serde(flatten)]
    pub message: DryRunMessage,
    /// The result of sending the message; absent if the dry run sends nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<DryRunAttempt>,
}

/// The message of one step or delivery, or the reason why there is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DryRunMessage {
    /// An HTTP request.
    Request(ShownRequest),
    /// A change of an alert of TheHive.
    Alert(ShownAlert),
    /// A mail.
    Mail(ShownMail),
    /// A line of a file.
    Line(String),
    /// The reason why there is nothing to send.
    Skipped(String),
    /// The reason why the message cannot be created.
    Error(String),
}

/// The result of sending the message of one step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DryRunAttempt {
    /// The duration of sending.
    pub duration_ms: i64,
    /// The HTTP status of the answer.
    pub http_status: Option<u16>,
    /// The kind of failure.
    pub code: Option<String>,
    /// The failure, or the reason why nothing was sent, in words.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub answer: Option<String>,
}

impl Deliverer {
    /// Returns the message that the next attempt of a delivery to this destination would send.
    pub async fn dry_run_delivery(&self, name: &str, delivery: &DueDelivery) -> DryRunMessage {
        let notifications = self.context.notifications.load_full();
        let Some(destination) = self.destination(name).await else {
            return DryRunMessage::Error(format!("the destination `{name}` is no longer configured"));
        };
        match destination.content_of(delivery, &notifications) {
            Ok(content) => {
                let public_url = self.context.public_url.load_full();
                let message = prepare(content, &destination, delivery, &self.context.loaded, &public_url).await;
                shown(destination.kind, &message)
            }
            Err(reason) => DryRunMessage::Error(reason),
        }
    }

    /// Returns the message of each step of a notification, and the result of sending it if `sends` is set; `None` if there
    /// is no such notification.
    pub async fn dry_run(&self, name: &str, message: &Message, sends: bool) -> Option<Vec<DryRunStep>> {
        let notifications = self.context.notifications.load_full();
        let mut results = Vec::new();
        for (index, step) in notifications.get(name)?.iter().enumerate() {
            let Some(destination) = self.destination(&step.to).await else { continue };
            let step_of = Some((name.to_owned(), index));
            let delivery = DueDelivery {
                id: self.context.store.new_id(),
                attempts: 0,
                asked_waits: 0,
                message: Ok(message.clone()),
                step: step_of,
                traceparent: None,
            };
            let public_url = self.context.public_url.load_full();
            let message = prepare(&step.content, &destination, &delivery, &self.context.loaded, &public_url).await;
            let shown = shown(destination.kind, &message);
            let clock = self.context.store.clock();
            let sent = if sends { Some(send(&destination, delivery.id, message, clock).await) } else { None };
            results.push(DryRunStep { to: destination.name.clone(), kind: destination.kind, message: shown, sent });
        }
        Some(results)
    }
}

async fn send(destination: &Destination, id: Uuid, message: OutgoingMessage, clock: &Clock) -> DryRunAttempt {
    let (at, started) = (clock.now_ms(), Instant::now());
    let context = SendContext { id, clock, trace: &Trace::default() };
    let sent = destination.channel.send(message, context).await;
    let attempt = sent.into_attempt(at, started.elapsed().as_millis() as i64);
    let Attempt { at: _, duration_ms, http_status, code, error, answer } = attempt;
    DryRunAttempt { duration_ms, http_status, code: code.map(str::to_owned), error, answer }
}

fn shown(kind: DestinationType, message: &OutgoingMessage) -> DryRunMessage {
    match message {
        OutgoingMessage::Request(request) => DryRunMessage::Request(shown_request(kind, request)),
        OutgoingMessage::Alert(alert) => DryRunMessage::Alert(alert.shown()),
        OutgoingMessage::Mail(mail) => DryRunMessage::Mail(mail.shown().clone()),
        OutgoingMessage::Line(line) => DryRunMessage::Line(String::from_utf8_lossy(line).into_owned()),
        OutgoingMessage::Nothing(reason) => DryRunMessage::Skipped(reason.clone()),
        OutgoingMessage::NotNow(error) | OutgoingMessage::Never(error) => DryRunMessage::Error(format!("{error:#}")),
    }
}

fn shown_request(kind: DestinationType, request: &OutgoingRequest) -> ShownRequest {
    let shown = request.shown();
    match kind {
        // The address of a chat's webhook is a secret: it allows to post there.
        kind if kind.is_chat() => {
            ShownRequest { url: format!("{}/…", request.url.origin().ascii_serialization()), ..shown }
        }
        _ => shown,
    }
}
