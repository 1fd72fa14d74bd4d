//! The content of messages: the values that templates see, and messages without a template in each format.

use super::destination_type::Format;
use crate::products;
use anyhow::{Result, bail};
use hookmill_incident::Operation;
use hookmill_incident::id::{row_key, row_key_ms};
use hookmill_notify::bodies::detection_finding;
use hookmill_notify::{Trigger, about_change, about_event};
use hookmill_store::{DueDelivery, Message};
use jiff::Timestamp;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use uuid::Uuid;

/// The approximate size of an audit entry without its details and its object.
const ENTRY_BYTES: usize = 512;
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Returns the values of a message that filters and templates can use.
pub fn template_values(message: &Message, trigger: Trigger, public_url: &str) -> Value {
    match message {
        Message::Change(entry) => about_change(entry, public_url),
        Message::Event(row) => about_event(trigger, &row.event, &row.state, public_url, true),
        Message::Notice(values) => values.clone(),
    }
}

impl Format {
    /// Returns the body of a request without a template, with its content type. A received payload is its bytes in the
    /// format `thehive`.
    pub(super) fn body(
        self,
        delivery: &DueDelivery,
        message: &Message,
        trigger: Trigger,
        public_url: &str,
    ) -> Result<(Vec<u8>, HeaderValue)> {
        match message {
            Message::Event(row) if self == Self::Thehive && trigger == Trigger::EventReceived => {
                let content_type = row.event.content_type.as_ref().and_then(|text| text.parse().ok());
                let fallback = HeaderValue::from_static("application/octet-stream");
                Ok((row.event.body.to_vec(), content_type.unwrap_or(fallback)))
            }
            _ => Ok((self.json(delivery, message, trigger, public_url)?, JSON)),
        }
    }

    /// Returns a message without a template as JSON.
    pub(super) fn json(
        self,
        delivery: &DueDelivery,
        message: &Message,
        trigger: Trigger,
        public_url: &str,
    ) -> Result<Vec<u8>> {
        match self {
            Self::Thehive => thehive_json(message, trigger, public_url),
            Self::StandardWebhooks => standard_webhooks_json(message, trigger, public_url, delivery.id),
            Self::Ocsf => ocsf_json(message, public_url),
        }
    }
}

/// Returns an audit entry, or else the values that templates see.
fn thehive_json(message: &Message, trigger: Trigger, public_url: &str) -> Result<Vec<u8>> {
    Ok(match message {
        Message::Change(entry) => {
            let length = entry.details.get().len() + entry.object.get().len() + ENTRY_BYTES;
            let mut bytes = Vec::with_capacity(length);
            serde_json::to_writer(&mut bytes, entry)?;
            bytes
        }
        message => serde_json::to_vec(&template_values(message, trigger, public_url))?,
    })
}

/// Returns `type`, `timestamp` and `data`. A notice has the time of its delivery, so that each attempt sends the same.
fn standard_webhooks_json(message: &Message, trigger: Trigger, public_url: &str, delivery: Uuid) -> Result<Vec<u8>> {
    let of_trigger = || trigger.as_str().replacen('_', ".", 1);
    let (kind, at) = match message {
        Message::Change(entry) => {
            let kind = match entry.operation {
                Operation::Creation => "incident.created",
                Operation::Update => "incident.updated",
                Operation::Delete => "incident.deleted",
            };
            (kind.to_owned(), Timestamp::from_millisecond(entry.start_date)?)
        }
        Message::Event(row) => (of_trigger(), Timestamp::from_millisecond(row.event.received_at)?),
        Message::Notice(_) => (of_trigger(), Timestamp::from_millisecond(row_key_ms(row_key(delivery)))?),
    };
    // `json!` copies the values that it is given.
    let mut body = json!({"type": kind, "timestamp": at});
    body["data"] = template_values(message, trigger, public_url);
    Ok(serde_json::to_vec(&body)?)
}

/// Returns the Detection Finding of a change.
fn ocsf_json(message: &Message, public_url: &str) -> Result<Vec<u8>> {
    let Message::Change(entry) = message else { bail!("the format `ocsf` has only changes of incidents") };
    let values = about_change(entry, public_url);
    let product = values["object"]["plugin"]["name"].as_str().and_then(products::of_mapper);
    Ok(serde_json::to_vec(&detection_finding(values, entry.operation, product))?)
}
