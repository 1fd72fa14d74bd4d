//! Creates and updates alerts in TheHive (API version 1).
//!
//! An incident is one alert, identified by type, source and source-ref. An alert or observable that exists already counts
//! as created, so that a repeated delivery changes nothing.

use super::http::Http;
use super::request::OutgoingRequest;
use super::send_result::SendResult;
use hookmill_connection::{Answer, Code, Failure};
use hookmill_notify::bodies::{TheHiveUpdate, thehive_alert, thehive_update};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The reason why the deletion of an incident sends nothing to TheHive.
pub(super) const ALERT_STAYS: &str = "an alert is kept when its incident is deleted";

/// The creation or a change of the alert of one incident.
#[derive(Debug)]
pub(super) struct Alert {
    base: Url,
    is_new: bool,
    message: Value,
}

/// A change of an alert as shown in a dry run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ShownAlert {
    /// The incident is new.
    Create {
        /// The alert.
        create: Value,
    },
    /// The incident changed.
    Update {
        /// The fields of the alert that change.
        update: Map<String, Value>,
        /// The observables that are added.
        observables: Vec<Value>,
    },
}

impl Alert {
    /// Creates the alert of a new or changed incident from the message about the incident.
    pub fn new(base: &Url, is_new: bool, message: Value) -> Self {
        Self { base: base.clone(), is_new, message }
    }

    /// Returns the change as shown in a dry run.
    pub fn shown(&self) -> ShownAlert {
        if self.is_new {
            return ShownAlert::Create { create: thehive_alert(&self.message) };
        }
        let TheHiveUpdate { patch, observables } = thehive_update(&self.message);
        ShownAlert::Update { update: patch, observables }
    }

    /// Applies the change.
    pub async fn send(&self, http: &Http, id: Uuid) -> SendResult {
        if self.is_new { self.create(http, id).await } else { self.update(http, id).await }
    }

    async fn create(&self, http: &Http, id: Uuid) -> SendResult {
        match self.call(http, id, Method::POST, "alert", &thehive_alert(&self.message)).await {
            Ok(answer) if exists_already(&answer) => SendResult::Arrived(Some(answer)),
            Ok(answer) => answer.into(),
            Err(failure) => SendResult::Failed(failure),
        }
    }

    async fn update(&self, http: &Http, id: Uuid) -> SendResult {
        match self.try_update(http, id).await {
            Ok(Some(sent)) => sent,
            // The incident is older than this destination, or the alert was deleted.
            Ok(None) => self.create(http, id).await,
            Err(failure) => SendResult::Failed(failure),
        }
    }

    async fn try_update(&self, http: &Http, id: Uuid) -> Result<Option<SendResult>, Failure> {
        let (alert, update) = (thehive_alert(&self.message), thehive_update(&self.message));
        if update.patch.is_empty() && update.observables.is_empty() {
            return Ok(Some(SendResult::Skipped("no field of the alert changed".into())));
        }
        let same = ["type", "source", "sourceRef"].map(|name| json!({"_eq": {"_field": name, "_value": alert[name]}}));
        let query = json!({"query": [
            {"_name": "listAlert"},
            {"_name": "filter", "_and": same},
            {"_name": "page", "from": 0, "to": 1},
        ]});
        let found = self.call(http, id, Method::POST, "query", &query).await?;
        if !found.status.is_success() {
            return Ok(Some(SendResult::Refused(found)));
        }
        let Some(alert_id) = id_of_first(&found) else {
            return match found.text.trim() {
                "[]" => Ok(None),
                _ => Err(Failure::new(Code::Request, "TheHive's answer to a query is not a list of alerts")),
            };
        };
        let path = format!("alert/{alert_id}");
        let mut last = None;
        if !update.patch.is_empty() {
            let answer = self.call(http, id, Method::PATCH, &path, &Value::Object(update.patch)).await?;
            if !answer.status.is_success() {
                return Ok(Some(SendResult::Refused(answer)));
            }
            last = Some(answer);
        }
        for observable in &update.observables {
            let answer = self.call(http, id, Method::POST, &format!("{path}/observable"), observable).await?;
            if !answer.status.is_success() && !exists_already(&answer) {
                return Ok(Some(SendResult::Refused(answer)));
            }
            last = Some(answer);
        }
        Ok(Some(SendResult::Arrived(last)))
    }

    async fn call(&self, http: &Http, id: Uuid, method: Method, path: &str, body: &Value) -> Result<Answer, Failure> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/api/v1/{path}", self.base.path().trim_end_matches('/')));
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        http.request(id, OutgoingRequest { method, url, headers, body: body.to_string().into_bytes() }).await
    }
}

/// Returns whether an answer refuses a duplicate: TheHive 4 answers 400, TheHive 5 may answer 409.
fn exists_already(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 400 | 409) && answer.text.to_lowercase().contains("already exist")
}

/// Returns `_id` of the first alert of a list. Only the beginning of an answer is kept, so the list may be cut off and is
/// then searched as text.
fn id_of_first(answer: &Answer) -> Option<String> {
    let list: Option<Value> = serde_json::from_str(&answer.text).ok();
    let id = match &list {
        Some(list) => list[0]["_id"].as_str().map(str::to_owned),
        None => answer.text.split_once("\"_id\"").and_then(|(_, rest)| {
            let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
            value.split_once('"').map(|(id, _)| id.to_owned())
        }),
    };
    id.filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"~_-".contains(&byte)))
}
