//! Makes and changes alerts of a TheHive (its API, version 1).
//!
//! An incident is one alert, found by type, source and source-ref. What is there already is done, so that a delivery
//! that is made twice changes nothing.

use super::attempt::Sent;
use super::http::Http;
use super::render::Rendered;
use hookmill_connection::{Answer, Code, Failure};
use hookmill_incident::Operation;
use hookmill_notify::shapes::{thehive_alert, thehive_update};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use uuid::Uuid;

const STAYS: &str = "an alert stays when its incident is deleted";

/// What an incident makes of an alert.
#[derive(Debug)]
pub(super) struct Alert {
    base: Url,
    operation: Operation,
    message: Value,
}

impl Alert {
    /// Of a change of an incident, for the TheHive at a URL.
    pub fn new(base: &Url, operation: Operation, message: Value) -> Self {
        Self { base: base.clone(), operation, message }
    }

    /// What of it TheHive would see.
    pub fn shown(&self) -> Value {
        match self.operation {
            Operation::Creation => json!({"create": thehive_alert(&self.message)}),
            Operation::Update => {
                let update = thehive_update(&self.message);
                json!({"update": update.patch, "observables": update.observables})
            }
            Operation::Delete => json!(STAYS),
        }
    }

    pub async fn send(&self, http: &Http, id: Uuid) -> Sent {
        match self.operation {
            Operation::Creation => self.create(http, id).await,
            Operation::Update => self.update(http, id).await,
            Operation::Delete => Sent::Skipped(STAYS.into()),
        }
    }

    async fn create(&self, http: &Http, id: Uuid) -> Sent {
        match self.call(http, id, Method::POST, "alert", &thehive_alert(&self.message)).await {
            Ok(answer) if is_there_already(&answer) => Sent::Arrived(Some(answer)),
            Ok(answer) => answer.into(),
            Err(failure) => Sent::Failed(failure),
        }
    }

    async fn update(&self, http: &Http, id: Uuid) -> Sent {
        match self.try_update(http, id).await {
            Ok(Some(sent)) => sent,
            // It was made before this destination was there, or was deleted.
            Ok(None) => self.create(http, id).await,
            Err(failure) => Sent::Failed(failure),
        }
    }

    async fn try_update(&self, http: &Http, id: Uuid) -> Result<Option<Sent>, Failure> {
        let (alert, update) = (thehive_alert(&self.message), thehive_update(&self.message));
        if update.patch.is_empty() && update.observables.is_empty() {
            return Ok(Some(Sent::Skipped("nothing changed that an alert has".into())));
        }
        let same = ["type", "source", "sourceRef"].map(|name| json!({"_eq": {"_field": name, "_value": alert[name]}}));
        let query = json!({"query": [
            {"_name": "listAlert"},
            {"_name": "filter", "_and": same},
            {"_name": "page", "from": 0, "to": 1},
        ]});
        let found = self.call(http, id, Method::POST, "query", &query).await?;
        if !found.status.is_success() {
            return Ok(Some(Sent::Refused(found)));
        }
        let Some(alert_id) = id_of_first(&found) else {
            return match found.text.trim() {
                "[]" => Ok(None),
                _ => Err(Failure::new(Code::Request, "TheHive's answer to a query is none of its lists")),
            };
        };
        let path = format!("alert/{alert_id}");
        let mut last = None;
        if !update.patch.is_empty() {
            let answer = self.call(http, id, Method::PATCH, &path, &Value::Object(update.patch)).await?;
            if !answer.status.is_success() {
                return Ok(Some(Sent::Refused(answer)));
            }
            last = Some(answer);
        }
        for observable in &update.observables {
            let answer = self.call(http, id, Method::POST, &format!("{path}/observable"), observable).await?;
            if !answer.status.is_success() && !is_there_already(&answer) {
                return Ok(Some(Sent::Refused(answer)));
            }
            last = Some(answer);
        }
        Ok(Some(Sent::Arrived(last)))
    }

    async fn call(&self, http: &Http, id: Uuid, method: Method, path: &str, body: &Value) -> Result<Answer, Failure> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/api/v1/{path}", self.base.path().trim_end_matches('/')));
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        http.request(id, Rendered { method, url, headers, body: body.to_string().into_bytes() }).await
    }
}

/// TheHive 4 says 400 and TheHive 5 may say 409 of what it has.
fn is_there_already(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 400 | 409) && answer.text.to_lowercase().contains("already exist")
}

/// `_id` of the first alert of a list. Only the beginning of an answer is kept, and that is where the id stands or not: an
/// alert may be of any length.
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
