//! Shows what a notification would send, and sends it when that is asked for. Nothing of it is in any queue.

use super::attempt::{recorded, send};
use super::content::Made;
use super::{Deliverer, Destination, DestinationType};
use hookmill_incident::timestamp::unix_ms;
use hookmill_store::{DueDelivery, Message};
use serde_json::{Value, json};
use std::time::Instant;
use uuid::Uuid;

impl Deliverer {
    /// What each step of a notification makes of a message, and what came of sending it; nothing when there is no such
    /// notification.
    pub async fn dry_run(&self, name: &str, message: &Message, sends: bool) -> Option<Vec<Value>> {
        let notifications = self.office.notifications.load_full();
        let mut tried = Vec::new();
        for (index, step) in notifications.get(name)?.iter().enumerate() {
            let Some(destination) = self.destination(&step.to).await else { continue };
            let step_of = Some((name.to_owned(), index));
            let delivery = DueDelivery {
                id: self.office.store.new_id(),
                attempts: 0,
                message: Ok(message.clone()),
                step: step_of,
            };
            let public_url = self.office.public_url.load_full();
            let made = step.content.make(&destination, &delivery, &self.office.loaded, &public_url).await;
            let mut shown = shown(&destination, &made);
            if sends {
                shown["sent"] = sent(&destination, delivery.id, made).await;
            }
            tried.push(shown);
        }
        Some(tried)
    }
}

async fn sent(destination: &Destination, id: Uuid, made: Made) -> Value {
    let (at, started) = (unix_ms(), Instant::now());
    let sent = send(destination, id, made).await;
    let attempt = recorded(sent, at, started.elapsed().as_millis() as i64);
    json!({
        "duration_ms": attempt.duration_ms,
        "http_status": attempt.http_status,
        "code": attempt.code,
        "error": attempt.error,
        "answer": attempt.answer,
    })
}

/// What is to be sent, without what says who sends it.
fn shown(destination: &Destination, made: &Made) -> Value {
    let mut shown = json!({"to": destination.name, "type": destination.kind});
    match made {
        Made::Request(rendered) => {
            shown["request"] = json!(rendered.shown());
            // Whoever knows the address of a chat's webhook can write there.
            let is_chat = matches!(
                destination.kind,
                DestinationType::Slack | DestinationType::Mattermost | DestinationType::Teams
            );
            if is_chat {
                shown["request"]["url"] = json!(format!("{}/…", rendered.url.origin().ascii_serialization()));
            }
        }
        Made::Alert(alert) => shown["alert"] = alert.shown(),
        Made::Mail(mail) => shown["mail"] = mail.shown().clone(),
        Made::Line(line) => shown["line"] = json!(String::from_utf8_lossy(line)),
        Made::Nothing(reason) => shown["skipped"] = json!(reason),
        Made::NotNow(error) | Made::Never(error) => shown["error"] = json!(format!("{error:#}")),
    }
    shown
}
