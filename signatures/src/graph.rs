//! Change notifications of Microsoft Graph. They are not signed; each one repeats the `clientState` that was given when
//! the subscription was created.

use crate::request::{Identity, Request, SignError, Verification, VerifyError};
use crate::secret::SharedSecrets;
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;

pub(crate) struct Graph {
    pub secrets: SharedSecrets,
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
    pub fn new(secrets: SharedSecrets) -> Self {
        Self { secrets }
    }

    /// Checks every notification of the request. If one `clientState` is wrong, all notifications are refused, because
    /// they come from one sender.
    pub fn verify(&self, request: &Request) -> Result<Verification, VerifyError> {
        let notifications: Notifications = serde_json::from_slice(request.body).map_err(|_| VerifyError::Signature)?;
        let find = |item: &Notification| self.secrets.find(item.client_state.as_bytes(), request.now_ms);
        let found = notifications.value.iter().map(find).collect::<Option<Vec<usize>>>();
        let secret = found.and_then(|found| found.first().copied()).ok_or(VerifyError::Signature)?;
        Ok(Verification { identity: Identity::Body, secret })
    }

    /// Returns the body without `clientState`.
    pub fn without_secrets(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut body: Value = serde_json::from_slice(body).ok()?;
        for item in body["value"].as_array_mut()? {
            item.as_object_mut()?.remove("clientState");
        }
        serde_json::to_vec(&body).ok()
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
