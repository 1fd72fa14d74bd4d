//! Dry runs of notifications: shows the messages, and sends them on request, without queueing them.

use super::deliverer::Deliverer;
use super::destination::Destination;
use super::destination_type::DestinationType;
use super::outgoing::OutgoingMessage;
use super::prepare::prepare;
use hookmill_store::{DueDelivery, Message};
use serde_json::{Value, json};
use std::time::Instant;
use uuid::Uuid;

impl Deliverer {
    /// Returns the message of each step of a notification, and the result of sending it if `sends` is set; `None` if there
    /// is no such notification.
    pub async fn dry_run(&self, name: &str, message: &Message, sends: bool) -> Option<Vec<Value>> {
        let notifications = self.context.notifications.load_full();
        let mut results = Vec::new();
        for (index, step) in notifications.get(name)?.iter().enumerate() {
            let Some(destination) = self.destination(&step.to).await else { continue };
            let step_of = Some((name.to_owned(), index));
            let delivery = DueDelivery {
                id: self.context.store.new_id(),
                attempts: 0,
                message: Ok(message.clone()),
                step: step_of,
            };
            let public_url = self.context.public_url.load_full();
            let message = prepare(&step.content, &destination, &delivery, &self.context.loaded, &public_url).await;
            let mut shown = shown(&destination, &message);
            if sends {
                shown["sent"] = sent(&destination, delivery.id, message, self.context.store.clock().now_ms()).await;
            }
            results.push(shown);
        }
        Some(results)
    }
}

async fn sent(destination: &Destination, id: Uuid, message: OutgoingMessage, at: i64) -> Value {
    let started = Instant::now();
    let sent = destination.channel.send(id, message).await;
    let attempt = sent.into_attempt(at, started.elapsed().as_millis() as i64);
    json!({
        "duration_ms": attempt.duration_ms,
        "http_status": attempt.http_status,
        "code": attempt.code,
        "error": attempt.error,
        "answer": attempt.answer,
    })
}

/// Returns a message without signature and authentication.
fn shown(destination: &Destination, message: &OutgoingMessage) -> Value {
    let mut shown = json!({"to": destination.name, "type": destination.kind});
    match message {
        OutgoingMessage::Request(request) => {
            shown["request"] = json!(request.shown());
            // The address of a chat's webhook is a secret: it allows to post there.
            let is_chat = matches!(
                destination.kind,
                DestinationType::Slack | DestinationType::Mattermost | DestinationType::Teams
            );
            if is_chat {
                shown["request"]["url"] = json!(format!("{}/…", request.url.origin().ascii_serialization()));
            }
        }
        OutgoingMessage::Alert(alert) => shown["alert"] = alert.shown(),
        OutgoingMessage::Mail(mail) => shown["mail"] = mail.shown().clone(),
        OutgoingMessage::Line(line) => shown["line"] = json!(String::from_utf8_lossy(line)),
        OutgoingMessage::Nothing(reason) => shown["skipped"] = json!(reason),
        OutgoingMessage::NotNow(error) | OutgoingMessage::Never(error) => shown["error"] = json!(format!("{error:#}")),
    }
    shown
}
