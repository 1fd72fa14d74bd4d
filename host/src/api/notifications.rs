//! `/api/notifications`.

use super::request_body::optional_body;
use super::shapes::{List, NotificationDryRun, NotificationDryRunRequest, ShownNotification};
use super::{events, incidents};
use crate::extract::{Bytes, Path};
use crate::host::Host;
use crate::http_error::HttpError;
use axum::Json;
use axum::extract::State;
use hookmill_notify::{Rule, Trigger};
use hookmill_store::Message;
use serde_json::json;
use std::sync::Arc;

pub(super) async fn list(State(host): State<Arc<Host>>) -> Json<List<ShownNotification>> {
    let shown =
        |rule: &Rule| ShownNotification { name: rule.name.to_string(), trigger: rule.trigger, to: rule.to.to_vec() };
    Json(List::complete(host.store.outbound().rules.iter().map(shown)))
}

pub(super) async fn test(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Bytes(bytes): Bytes,
) -> Result<Json<NotificationDryRun>, HttpError> {
    let request: NotificationDryRunRequest = optional_body(&bytes)?;
    let not_found = || HttpError::NotFound(format!("notification `{name}`"));
    let outbound = host.store.outbound();
    let rule = outbound.rules.iter().find(|rule| *rule.name == *name).ok_or_else(not_found)?;
    let message = message(&host, rule.trigger, &request).await?;
    let matches = rule.filter.matches(&crate::deliver::template_values(&message, rule.trigger, &outbound.public_url));
    let steps = host.deliverer.dry_run(&name, &message, request.send).await.ok_or_else(not_found)?;
    Ok(Json(NotificationDryRun { name, trigger: rule.trigger, matches, steps }))
}

async fn message(host: &Host, trigger: Trigger, request: &NotificationDryRunRequest) -> Result<Message, HttpError> {
    if trigger.is_about_incidents() {
        let which = request.incident.as_ref().ok_or_else(|| {
            HttpError::InvalidRequest(format!("the trigger {trigger} is about an incident; set `incident`"))
        })?;
        let missing = || HttpError::NotFound(format!("incident `{which}`"));
        let entry = host.store.newest_audit(incidents::incident_key(which)?).await?.ok_or_else(missing)?;
        return Ok(Message::Change(Box::new(entry)));
    }
    if trigger.is_about_events() {
        let id = request.event.ok_or_else(|| {
            HttpError::InvalidRequest(format!("the trigger {trigger} is about an event; set `event`"))
        })?;
        let row = events::find(host, &id.to_string()).await?;
        if row.body_removed_at.is_some() {
            return Err(HttpError::Conflict(format!("the payload of event `{id}` was removed by retention")));
        }
        return Ok(Message::Event(Box::new(row)));
    }
    let object = match trigger {
        Trigger::PluginRefused => json!({"name": "example", "sha256": "0".repeat(64), "error": "this is a test"}),
        Trigger::SourceSilent => {
            json!({"name": "example", "last_event_at": host.store.clock().now(), "silent_after": "1h"})
        }
        Trigger::BackupFailed => {
            json!({"to": "/backups", "error": "this is a test", "last_success_at": host.store.clock().now()})
        }
        Trigger::StorageLow => json!({
            "reason": "this is a test", "disk_free_bytes": 0, "database_bytes": 0, "growth_bytes_per_day": 0, "days_until_low": 0
        }),
        _ => json!({"name": "example", "reason": "this is a test"}),
    };
    Ok(Message::Notice(json!({"object": object})))
}
