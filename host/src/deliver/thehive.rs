//! Creates and updates alerts in TheHive (API version 1).
//!
//! An incident is one alert, identified by type, source and source-ref. A part of an alert that TheHive refuses costs
//! this part only: unknown types of observables become `other`, unknown techniques become tags, and what is refused for
//! any other reason is added alone, or left out and named in the attempt.

use super::http::Http;
use super::request::OutgoingRequest;
use super::send_context::SendContext;
use super::send_result::SendResult;
use super::thehive_answer::{FoundAlert, exists_already, id_of, is_about_content, is_invalid, learn};
use super::thehive_memory::TheHiveMemory;
use hookmill_connection::{Answer, Code, Failure};
use hookmill_notify::bodies::{TheHiveGaps, TheHiveUpdate, thehive_alert, thehive_update};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The reason why the deletion of an incident sends nothing to TheHive.
pub(super) const ALERT_STAYS: &str = "an alert is kept when its incident is deleted";
/// After this many refusals that name an unknown part, an alert is created without parts.
const REFUSALS_MAX: usize = 10;
/// The part of an answer that is read: an alert's description has up to a million characters.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The creation or a change of the alert of one incident.
#[derive(Debug)]
pub(super) struct Alert {
    base: Url,
    memory: Arc<TheHiveMemory>,
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
    pub fn new(base: &Url, memory: &Arc<TheHiveMemory>, is_new: bool, message: Value) -> Self {
        Self { base: base.clone(), memory: memory.clone(), is_new, message }
    }

    /// Returns the change as shown in a dry run.
    pub fn shown(&self) -> ShownAlert {
        let gaps = self.memory.gaps();
        if self.is_new {
            return ShownAlert::Create { create: thehive_alert(&self.message, &gaps) };
        }
        let TheHiveUpdate { patch, observables } = thehive_update(&self.message, &gaps);
        ShownAlert::Update { update: patch, observables }
    }

    /// Applies the change.
    pub async fn send(&self, http: &Http, context: SendContext<'_>) -> SendResult {
        let mut transfer = Transfer { alert: self, http, context, gaps: self.memory.gaps(), notes: Vec::new() };
        let sent = if self.is_new { transfer.create().await } else { transfer.update().await };
        match sent {
            Ok(answer) if transfer.notes.is_empty() => SendResult::Arrived(answer),
            Ok(answer) => SendResult::Partial(answer, transfer.notes.join("; ")),
            Err(other) => other,
        }
    }
}

/// The requests of one attempt.
struct Transfer<'a> {
    alert: &'a Alert,
    http: &'a Http,
    context: SendContext<'a>,
    gaps: TheHiveGaps,
    /// The parts that TheHive did not take as they are.
    notes: Vec<String>,
}

/// The last answer of an attempt that succeeded, or the result of one that did not.
type Sent = Result<Option<Answer>, SendResult>;

impl Transfer<'_> {
    async fn create(&mut self) -> Sent {
        let mut refusals = 0;
        loop {
            let alert = thehive_alert(&self.alert.message, &self.gaps);
            let (answer, _) = self.call(Method::POST, "alert", &alert).await?;
            if answer.status.is_success() {
                self.alert.memory.remember(&self.gaps);
                if alert != thehive_alert(&self.alert.message, &TheHiveGaps::default()) {
                    self.notes.push("TheHive does not know all types and techniques: they are `other` and tags".into());
                }
                return Ok(Some(answer));
            }
            refusals += 1;
            if exists_already(&answer) {
                // The text may be about a part of the alert, so only the alert itself proves that it is there.
                if let Some(found) = self.find(&alert).await? {
                    self.add_observables(&found.id, observables_of(&alert)).await?;
                    return Ok(Some(answer));
                }
            } else if !is_about_content(&answer) {
                return Err(SendResult::Refused(answer));
            } else if refusals <= REFUSALS_MAX && learn(&answer, &alert, &mut self.gaps) {
                continue;
            } else if alert.get("procedures").is_some() {
                // Not every refusal names what it is about.
                self.gaps.techniques.extend(techniques_of(&alert));
                continue;
            }
            return self.create_bare(alert, answer).await;
        }
    }

    /// Creates an alert that was refused without its observables, and adds these one by one.
    async fn create_bare(&mut self, mut alert: Value, refusal: Answer) -> Sent {
        let observables = observables_of(&alert);
        if observables.is_empty() {
            return Err(SendResult::Refused(refusal));
        }
        alert["observables"] = json!([]);
        let (answer, document) = self.call(Method::POST, "alert", &alert).await?;
        let created = if answer.status.is_success() { id_of(&document) } else { None };
        let id = match created {
            Some(id) => id,
            None if answer.status.is_success() || exists_already(&answer) => match self.find(&alert).await? {
                Some(found) => found.id,
                None => return Err(SendResult::Refused(refusal)),
            },
            None => return Err(SendResult::Refused(answer)),
        };
        self.notes
            .push(format!("created without observables, which were added alone, because {}", refusal.failure().text));
        self.add_observables(&id, observables).await?;
        Ok(Some(answer))
    }

    async fn update(&mut self) -> Sent {
        let alert = thehive_alert(&self.alert.message, &self.gaps);
        let TheHiveUpdate { mut patch, observables } = thehive_update(&self.alert.message, &self.gaps);
        if patch.is_empty() && observables.is_empty() {
            return Err(SendResult::Skipped("no field of the alert changed".into()));
        }
        // Without an alert, the incident is older than this destination, or the alert was deleted.
        let Some(found) = self.find(&alert).await? else { return self.create().await };
        if let Some(tags) = patch.remove("tags") {
            patch.extend(found.united_tags(&tags).map(|tags| ("tags".to_owned(), json!(tags))));
        }
        let changed = self.change(&found.id, patch).await;
        let added = self.add_observables(&found.id, observables).await;
        changed.and_then(|last| added.map(|()| last))
    }

    /// Changes fields of an alert. If TheHive refuses one of several, the others are changed without it.
    async fn change(&mut self, alert: &str, patch: Map<String, Value>) -> Sent {
        if patch.is_empty() {
            return Ok(None);
        }
        let path = format!("alert/{alert}");
        let (answer, _) = self.call(Method::PATCH, &path, &Value::Object(patch.clone())).await?;
        if answer.status.is_success() {
            return Ok(Some(answer));
        }
        if !is_invalid(&answer) || patch.len() == 1 {
            return Err(SendResult::Refused(answer));
        }
        let (mut last, mut refused) = (None, Vec::new());
        for (name, value) in patch {
            let (answer, _) = self.call(Method::PATCH, &path, &json!({&*name: value})).await?;
            match answer.status.is_success() {
                true => last = Some(answer),
                false if is_invalid(&answer) => refused.push(format!("{name}: {}", answer.failure().text)),
                false => return Err(SendResult::Refused(answer)),
            }
        }
        if last.is_none() {
            return Err(SendResult::Refused(answer));
        }
        self.notes.append(&mut refused);
        Ok(last)
    }

    /// Adds observables one by one. Those that TheHive refuses for good are named.
    async fn add_observables(&mut self, alert: &str, observables: Vec<Value>) -> Result<(), SendResult> {
        let path = format!("alert/{alert}/observable");
        for mut observable in observables {
            let (mut answer, _) = self.call(Method::POST, &path, &observable).await?;
            let whole = json!({"observables": [observable]});
            if is_about_content(&answer) && !exists_already(&answer) && learn(&answer, &whole, &mut self.gaps) {
                let data_type = observable["dataType"].take();
                observable["dataType"] = json!("other");
                observable["tags"].as_array_mut().into_iter().for_each(|tags| tags.push(data_type.clone()));
                answer = self.call(Method::POST, &path, &observable).await?.0;
                if answer.status.is_success() {
                    self.alert.memory.remember(&self.gaps);
                }
            }
            if answer.status.is_success() || exists_already(&answer) {
                continue;
            }
            if !is_about_content(&answer) {
                return Err(SendResult::Refused(answer));
            }
            let (data_type, data) = (&observable["dataType"], &observable["data"]);
            self.notes.push(format!("observable {data_type} {data}: {}", answer.failure().text));
        }
        Ok(())
    }

    /// Returns the alert in TheHive that has the type, source and source-ref of this one.
    async fn find(&self, alert: &Value) -> Result<Option<FoundAlert>, SendResult> {
        let same = ["type", "source", "sourceRef"].map(|name| json!({"_eq": {"_field": name, "_value": alert[name]}}));
        let query = json!({"query": [
            {"_name": "listAlert"},
            {"_name": "filter", "_and": same},
            {"_name": "page", "from": 0, "to": 1},
        ]});
        let (answer, document) = self.call(Method::POST, "query", &query).await?;
        if !answer.status.is_success() {
            return Err(SendResult::Refused(answer));
        }
        FoundAlert::first_of(&document).map_err(|text| SendResult::Failed(Failure::new(Code::Answer, text)))
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Result<(Answer, Vec<u8>), SendResult> {
        let base = &self.alert.base;
        let mut url = base.clone();
        url.set_path(&format!("{}/api/v1/{path}", base.path().trim_end_matches('/')));
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let request = OutgoingRequest { method, url, headers, body: body.to_string().into_bytes() };
        let requested = self.http.request_document(request, ANSWER_BYTES_MAX, self.context).await;
        requested.map_err(SendResult::Failed)
    }
}

fn observables_of(alert: &Value) -> Vec<Value> {
    alert["observables"].as_array().cloned().unwrap_or_default()
}

fn techniques_of(alert: &Value) -> impl Iterator<Item = String> {
    let procedures = alert["procedures"].as_array().into_iter().flatten();
    procedures.filter_map(|procedure| procedure["patternId"].as_str()).map(str::to_owned)
}
