//! Calls a playbook or a notifier on trial: shows what it would have done, and leaves nothing behind.

use crate::deliver::render;
use crate::triage::call_playbook;
use anyhow::{Context, Result};
use hookmill_sandbox::{Kind, Notification, Plugin, ShownIncident};
use reqwest::Url;
use serde_json::{Value, json};
use uuid::Uuid;

/// Where a destination would be that nobody configured.
const DESTINATION_URL: &str = "https://destination.example/";
const DESTINATION: &str = "trial";

/// What a playbook makes of an incident as `GET /api/incidents/…` shows it, or a notifier of an audit entry as it is
/// delivered. `None` when the plugin is a mapper.
///
/// # Errors
/// When `input` is not what plugins of this kind are given.
pub async fn dry_run(plugin: &Plugin, input: &str) -> Result<Option<Value>> {
    let (name, result, log, duration, memory_bytes) = match plugin.kind() {
        Kind::Mapper => return Ok(None),
        Kind::Playbook => {
            let shown: ShownIncident =
                serde_json::from_str(input).context("it is no incident as `GET /api/incidents/ID` shows it")?;
            let call = call_playbook(plugin, &shown).await;
            let result = match call.result {
                Some(Ok(actions)) => Ok(json!(actions)),
                Some(Err(error)) => Err(json!(error)),
                None => Err(json!({"code": "busy", "message": "all its instances are busy"})),
            };
            ("actions", result, call.log, call.duration, call.memory_bytes)
        }
        Kind::Notifier => {
            let notification = Notification::new(Uuid::nil(), DESTINATION.to_owned(), input.to_owned())?;
            let call = render(plugin, &notification, &Url::parse(DESTINATION_URL)?, &[]).await;
            let result = match call.result {
                Ok(request) => Ok(json!(request.map(|request| request.shown()))),
                Err(error) => Err(json!({"code": "not_rendered", "message": format!("{error:#}")})),
            };
            ("request", result, call.log, call.duration, call.memory_bytes)
        }
    };
    let mut shown = json!({
        "plugin": *plugin.version,
        "log": log,
        "duration_us": duration.as_micros() as u64,
        "memory_bytes": memory_bytes,
    });
    match result {
        Ok(value) => shown[name] = value,
        Err(error) => shown["error"] = error,
    }
    Ok(Some(shown))
}
