//! Change notifications of Microsoft Graph. They are not signed; each one repeats the `clientState` that was given when
//! the subscription was created.

use crate::byte_order_mark::without_byte_order_mark;
use crate::json_member::{position, with_separator};
use crate::request::{Identity, Request, SignError, SignatureError, Verification, VerifyError};
use crate::secret::SharedSecrets;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::ops::Range;

pub(crate) struct Graph {
    pub secrets: SharedSecrets,
}

/// A list of notifications, or a single one without a list.
#[derive(Deserialize)]
struct ChangeNotifications<'b> {
    #[serde(borrow, default)]
    value: Option<Vec<ChangeNotification<'b>>>,
    #[serde(borrow, default, rename = "clientState")]
    client_state: Option<&'b RawValue>,
}

#[derive(Deserialize)]
struct ChangeNotification<'b> {
    /// As written in the body, so that the body without this member can be made from the same bytes.
    #[serde(borrow, default, rename = "clientState")]
    client_state: Option<&'b RawValue>,
}

impl<'b> ChangeNotifications<'b> {
    fn read(body: &'b [u8]) -> Option<Self> {
        serde_json::from_slice(without_byte_order_mark(body)).ok()
    }

    /// Returns the `clientState` of every notification; `None` for a notification without one.
    fn client_states(&self) -> impl Iterator<Item = Option<&'b RawValue>> {
        let single = self.value.is_none() || self.client_state.is_some();
        let listed = self.value.iter().flatten().map(|item| item.client_state);
        single.then_some(self.client_state).into_iter().chain(listed)
    }
}

impl Graph {
    pub fn new(secrets: SharedSecrets) -> Self {
        Self { secrets }
    }

    /// Checks every notification of the request. If one `clientState` is wrong, all notifications are refused, because
    /// they come from one sender.
    pub fn verify(&self, request: &Request) -> Result<Verification, VerifyError> {
        let notifications = ChangeNotifications::read(request.body).ok_or(SignatureError::BodyForm)?;
        let find = |state: Option<&RawValue>| {
            let state = state.and_then(|state| serde_json::from_str::<Cow<str>>(state.get()).ok());
            self.secrets.find(state.ok_or(SignatureError::BodyForm)?.as_bytes(), request.now_ms)
        };
        let found = notifications.client_states().map(find).collect::<Result<Vec<usize>, _>>()?;
        let secret = found.first().copied().ok_or(SignatureError::BodyForm)?;
        Ok(Verification { identity: Identity::Body, secret })
    }

    /// Returns a verified body without `clientState`. All other bytes stay as they are.
    pub fn without_secrets(&self, body: &[u8]) -> Option<Vec<u8>> {
        let states = ChangeNotifications::read(body)?;
        let mut members: Vec<Range<usize>> =
            states.client_states().flatten().map(|state| member(body, state)).collect();
        members.sort_by_key(|member| member.start);
        let mut rest = 0;
        let mut shown = Vec::with_capacity(body.len());
        for member in members {
            shown.extend_from_slice(&body[rest..member.start]);
            rest = member.end;
        }
        shown.extend_from_slice(&body[rest..]);
        Some(shown)
    }

    /// Adds `clientState` to every notification. A body that is not a list of notifications becomes the only item of
    /// one.
    pub fn sign(&self, body: &[u8], now_ms: i64) -> Result<Vec<u8>, SignError> {
        let secret = self.secrets.live(now_ms)?;
        let mut body: Value = serde_json::from_slice(body).map_err(|_| SignError::NotJson)?;
        if !body["value"].is_array() {
            body = json!({"value": [body]});
        }
        let items = body["value"].as_array_mut().filter(|items| !items.is_empty()).ok_or(SignError::NotJson)?;
        for item in items {
            item.as_object_mut().ok_or(SignError::NotJson)?.insert("clientState".into(), secret.into());
        }
        serde_json::to_vec(&body).map_err(|_| SignError::NotJson)
    }
}

/// Returns the position of an object's member by its value, with a comma.
fn member(body: &[u8], value: &RawValue) -> Range<usize> {
    let value = position(body, value);
    let before = body[..value.start].trim_ascii_end();
    let name = before.strip_suffix(b":").unwrap_or(before).trim_ascii_end();
    // A name that equals `clientState` contains no quotes, however it is escaped.
    let name_start = name.iter().rposition(|byte| *byte == b'"').and_then(|end| memchr::memrchr(b'"', &name[..end]));
    with_separator(body, name_start.unwrap_or(value.start)..value.end)
}
