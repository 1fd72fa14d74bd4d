//! Messages that Google Pub/Sub pushes: the payload in base64 in an envelope, or, with payload unwrapping, the payload
//! itself with headers.

use crate::byte_order_mark::without_byte_order_mark;
use crate::headers::delivery_id;
use crate::hmac_format::BASE64;
use crate::request::{Payload, SignatureError};
use base64::Engine;
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The header with the id of a message whose envelope Pub/Sub has removed.
const MESSAGE_ID: HeaderName = HeaderName::from_static("x-goog-pubsub-message-id");

#[derive(Deserialize)]
struct Push<'b> {
    #[serde(borrow)]
    message: Message<'b>,
    #[serde(borrow)]
    subscription: Cow<'b, str>,
}

/// Pub/Sub writes some members in two ways, both in the same message.
#[derive(Deserialize)]
struct Message<'b> {
    #[serde(borrow, rename = "messageId")]
    id: Cow<'b, str>,
    #[serde(borrow, default)]
    data: Cow<'b, str>,
    #[serde(default)]
    attributes: Option<BTreeMap<String, String>>,
    #[serde(borrow, default, rename = "publishTime")]
    publish_time: Option<Cow<'b, str>>,
    #[serde(borrow, default, rename = "orderingKey")]
    ordering_key: Option<Cow<'b, str>>,
}

/// Returns the id of a message.
pub(crate) fn message_id(headers: &HeaderMap, body: &[u8]) -> Result<Option<String>, SignatureError> {
    if let Some(id) = delivery_id(headers, &MESSAGE_ID)? {
        return Ok(Some(String::from_utf8_lossy(id).into_owned()));
    }
    Ok(read(body).map(|push| push.message.id.into_owned()).filter(|id| !id.is_empty()))
}

/// Returns the payload of a message; `None` if the body is not an envelope with a payload, and stays as it is.
pub(crate) fn payload(headers: &HeaderMap, body: &[u8]) -> Option<Payload> {
    let push = read(body).filter(|_| !headers.contains_key(MESSAGE_ID))?;
    let body = BASE64.decode(&*push.message.data).ok()?;
    let time = push.message.publish_time.filter(|time| !time.is_empty());
    let key = push.message.ordering_key.filter(|key| !key.is_empty());
    let named = [("subscription", Some(push.subscription)), ("publish-time", time), ("ordering-key", key)];
    let named = named.into_iter().filter_map(|(name, value)| Some((format!("pubsub.{name}"), value?.into_owned())));
    let attributes = push.message.attributes.into_iter().flatten();
    let attributes = attributes.map(|(name, value)| (format!("pubsub.attributes.{name}"), value));
    Some(Payload { body, context: named.chain(attributes).collect() })
}

fn read(body: &[u8]) -> Option<Push<'_>> {
    serde_json::from_slice(without_byte_order_mark(body)).ok()
}
