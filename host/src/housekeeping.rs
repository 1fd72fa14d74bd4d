//! Messages that are about the webhook itself: a vendor tests it, or reports the end of a subscription. They are stored
//! as ignored, with a message that says what the vendor asks for. No mapper sees them, so none refuses them.

use crate::source::Source;
use hookmill_incident::Event;
use hookmill_signatures::without_byte_order_mark;
use memchr::memmem;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;

/// Larger payloads are not parsed a second time.
const BYTES_MAX: usize = 64 * 1024;

/// Headers by which a vendor marks a test of the webhook: scheme, header, value, message.
const MARKED: &[(&str, &str, &str, &str)] = &[
    ("github", "x-github-event", "ping", "GitHub tested the webhook (ping)"),
    ("bitbucket", "x-event-key", "diagnostics:ping", "Bitbucket tested the webhook (diagnostics:ping)"),
    (
        "azure-event-grid",
        "aeg-event-type",
        "SubscriptionDeletion",
        "Event Grid removed the subscription; create it again if that was not intended",
    ),
    ("snyk", "x-snyk-event", "ping/v0", "Snyk tested the webhook (ping)"),
    ("sentry", "sentry-hook-resource", "installation", "Sentry reported a change of the integration's installation"),
];

/// Returns why an event is about the webhook itself, and what the vendor asks for; `None` for all other events.
pub fn message(event: &Event, source: &Source) -> Option<String> {
    if event.body.len() > BYTES_MAX {
        return None;
    }
    match source.settings.scheme.name() {
        "microsoft-graph" => graph(&event.body),
        "pagerduty" => pagerduty(&event.body),
        "aws-sns" => sns(&event.body),
        scheme => {
            let is_marked = |name: &str, value: &str| event.headers.iter().any(|(n, v)| n == name && v == value);
            let marked = MARKED.iter().find(|(of, name, value, _)| *of == scheme && is_marked(name, value));
            marked.map(|(.., message)| (*message).to_owned())
        }
    }
}

/// Notifications of Microsoft Graph, in a list or alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GraphNotification {
    #[serde(default)]
    value: Vec<GraphNotification>,
    lifecycle_event: Option<String>,
    change_type: Option<String>,
    resource: Option<String>,
    #[serde(default)]
    resource_data: BTreeMap<String, IgnoredAny>,
    encrypted_content: Option<IgnoredAny>,
    subscription_id: Option<String>,
    subscription_expiration_date_time: Option<String>,
}

fn graph(body: &[u8]) -> Option<String> {
    let message: GraphNotification = parsed(body, b"lifecycleEvent").or_else(|| parsed(body, b"changeType"))?;
    let single = std::slice::from_ref(&message);
    let notifications = if message.value.is_empty() { single } else { &message.value };
    let requests: Option<Vec<String>> = notifications.iter().map(graph_request).collect();
    Some(requests?.join("; "))
}

fn graph_request(notification: &GraphNotification) -> Option<String> {
    let subscription = notification.subscription_id.as_deref().unwrap_or("without an id");
    let Some(lifecycle_event) = &notification.lifecycle_event else { return graph_change(notification, subscription) };
    Some(match lifecycle_event.as_str() {
        "reauthorizationRequired" => {
            let end = notification.subscription_expiration_date_time.as_deref();
            let before = end.map(|end| format!(" before {end}")).unwrap_or_default();
            format!(
                "Microsoft asks to reauthorize or renew the subscription {subscription}{before} (reauthorizationRequired): \
                 POST /subscriptions/{subscription}/reauthorize, or PATCH its expirationDateTime"
            )
        }
        "subscriptionRemoved" => format!(
            "Microsoft removed the subscription {subscription} (subscriptionRemoved) and sends no more notifications: \
             create a new subscription"
        ),
        "missed" => format!(
            "Microsoft could not deliver some notifications of the subscription {subscription} (missed): read what has \
             changed since the last one"
        ),
        other => format!("Microsoft reports `{other}` for the subscription {subscription}"),
    })
}

/// Returns the message of a change notification that has only the id of what changed.
fn graph_change(notification: &GraphNotification, subscription: &str) -> Option<String> {
    let change = notification.change_type.as_deref()?;
    let has_content = notification.resource_data.keys().any(|name| name != "id" && !name.starts_with('@'));
    if has_content || notification.encrypted_content.is_some() {
        return None;
    }
    let resource = notification.resource.as_deref().unwrap_or("a resource");
    Some(format!(
        "Microsoft reports that {resource} was {change}, without its content (subscription {subscription}): add a source \
         that reads the resource, such as one of kind http-poll"
    ))
}

#[derive(Deserialize)]
struct PagerDutyMessage {
    event: PagerDutyEvent,
}

#[derive(Deserialize)]
struct PagerDutyEvent {
    event_type: String,
}

fn pagerduty(body: &[u8]) -> Option<String> {
    let message: PagerDutyMessage = parsed(body, b"pagey.ping")?;
    (message.event.event_type == "pagey.ping").then(|| "PagerDuty tested the webhook (pagey.ping)".to_owned())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SnsMessage {
    r#type: String,
    topic_arn: String,
}

fn sns(body: &[u8]) -> Option<String> {
    let message: SnsMessage = parsed(body, b"UnsubscribeConfirmation")?;
    (message.r#type == "UnsubscribeConfirmation").then(|| {
        format!("the subscription to {} was removed; subscribe again if that was not intended", message.topic_arn)
    })
}

/// Parses a body that contains a text; all other bodies need no parsing.
fn parsed<T: DeserializeOwned>(body: &[u8], text: &[u8]) -> Option<T> {
    memmem::find(body, text)?;
    serde_json::from_slice(without_byte_order_mark(body)).ok()
}
