//! `/api/notifications`.

use super::incidents;
use super::request_body::optional_body;
use super::shapes::{List, NotificationDryRun, ShownNotification};
use crate::extract::{Bytes, Path};
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Json;
use axum::extract::State;
use hookmill_notify::{Rule, Trigger};
use hookmill_store::Message;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// The message of a dry run, and whether to send it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DryRunOptions {
    /// The id or number of an incident; its newest change is the message.
    incident: Option<String>,
    event: Option<Uuid>,
    send: bool,
}

pub(super) async fn list(State(host): State<Arc<Host>>) -> Json<List<ShownNotification>> {
    let shown =
        |rule: &Rule| ShownNotification { name: rule.name.to_string(), trigger: rule.trigger, to: rule.to.to_vec() };
    Json(List::complete(host.pipeline.store.outbound().rules.iter().map(shown)))
}

pub(super) async fn test(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<Json<NotificationDryRun<Value>>, HttpError> {
    let request: DryRunOptions = optional_body(&bytes)?;
    let not_found = || HttpError::NotFound(format!("notification `{name}`"));
    let outbound = host.pipeline.store.outbound();
    let rule = outbound.rules.iter().find(|rule| *rule.name == *name).ok_or_else(not_found)?;
    let message = message(&host, rule.trigger, &request).await?;
    let matches = rule.filter.matches(&crate::deliver::template_values(&message, rule.trigger, &outbound.public_url));
    let steps = host.deliverer.dry_run(&name, &message, request.send).await.ok_or_else(not_found)?;
    Ok(Json(NotificationDryRun { name, trigger: rule.trigger, matches, steps }))
}

async fn message(host: &Host, trigger: Trigger, request: &DryRunOptions) -> Result<Message, HttpError> {
    if trigger.is_about_incidents() {
        let which = request.incident.as_ref().ok_or_else(|| {
            HttpError::InvalidRequest(format!("the trigger {trigger} is about an incident; set `incident`"))
        })?;
        let missing = || HttpError::NotFound(format!("incident `{which}`"));
        let entry = host.pipeline.store.newest_audit(incidents::incident_key(which)?).await?.ok_or_else(missing)?;
        return Ok(Message::Change(Box::new(entry)));
    }
    if trigger.is_about_events() {
        let id = request.event.ok_or_else(|| {
            HttpError::InvalidRequest(format!("the trigger {trigger} is about an event; set `event`"))
        })?;
        let row = host.pipeline.store.event(id).await?.ok_or_else(|| HttpError::NotFound(format!("event `{id}`")))?;
        return Ok(Message::Event(Box::new(row)));
    }
    let object = match trigger {
        Trigger::PluginRefused => json!({"name": "example", "sha256": "0".repeat(64), "error": "this is a test"}),
        Trigger::SourceSilent => {
            json!({"name": "example", "last_event_at": jiff::Timestamp::now(), "silent_after": "1h"})
        }
        _ => json!({"name": "example", "reason": "this is a test"}),
    };
    Ok(Message::Notice(json!({"object": object})))
}
