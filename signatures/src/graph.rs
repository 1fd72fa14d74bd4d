//! Microsoft Graph's change notifications: nothing is signed, but every one of them repeats the `clientState` that its
//! subscription was made with.

use crate::secret::Shared;
use crate::{CannotSign, Distrust, Identity, Proof, Request};
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;

pub(crate) struct Graph {
    pub secrets: Shared,
}

#[derive(Deserialize)]
struct Notifications<'b> {
    #[serde(borrow)]
    value: Vec<Notification<'b>>,
}

#[derive(Deserialize)]
struct Notification<'b> {
    #[serde(borrow, rename = "clientState")]
    client_state: Cow<'b, str>,
}

impl Graph {
    pub fn new(secrets: Shared) -> Self {
        Self { secrets }
    }

    /// One wrong notification, and none is believed: they came in one request, from one sender.
    pub fn verify(&self, request: &Request) -> Result<Proof, Distrust> {
        let notifications: Notifications = serde_json::from_slice(request.body).map_err(|_| Distrust::Signature)?;
        let find = |item: &Notification| self.secrets.find(item.client_state.as_bytes(), request.now_ms);
        let found = notifications.value.iter().map(find).collect::<Option<Vec<usize>>>().ok_or(Distrust::Signature)?;
        let secret = found.first().copied().ok_or(Distrust::Signature)?;
        Ok(Proof { identity: Identity::Body, secret })
    }

    /// The body without what proves its sender.
    pub fn without_secrets(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut body: Value = serde_json::from_slice(body).ok()?;
        for item in body["value"].as_array_mut()? {
            item.as_object_mut()?.remove("clientState");
        }
        serde_json::to_vec(&body).ok()
    }

    /// A body that is no list of notifications becomes the only one of such a list.
    pub fn sign(&self, body: &[u8], now_ms: i64) -> Result<Vec<u8>, CannotSign> {
        let secret = self.secrets.live(now_ms)?;
        let mut body: Value = serde_json::from_slice(body).map_err(|_| CannotSign::NotJson)?;
        if !body["value"].is_array() {
            body = json!({"value": [body]});
        }
        let items = body["value"].as_array_mut().filter(|items| !items.is_empty()).ok_or(CannotSign::NotJson)?;
        for item in items {
            item.as_object_mut().ok_or(CannotSign::NotJson)?.insert("clientState".into(), secret.into());
        }
        serde_json::to_vec(&body).map_err(|_| CannotSign::NotJson)
    }
}
