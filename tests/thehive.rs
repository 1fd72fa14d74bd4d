//! Alerts of a TheHive that does not know every type of observable and technique, and that analysts work in.

use crate::guest::guest;
use crate::host::{Folder, Host};
use crate::outcome::incident;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// The types of observables of the double.
const TYPES: [&str; 5] = ["ip", "domain", "hostname", "mail", "other"];

/// A double of TheHive 5 without ATT&CK patterns, and without the types that are not in [`TYPES`].
#[derive(Default)]
struct Hive {
    alerts: Vec<Value>,
    /// The alerts that were sent to be created, including those that were refused.
    created: Vec<Value>,
    /// Whether two observables of the same value are refused, whatever their types.
    is_confused: bool,
}

type Answered = (u16, Value);

impl Hive {
    fn answer(&mut self, method: &Method, path: &str, body: Value) -> Answered {
        match (method.as_str(), path.trim_start_matches("/api/v1/").split('/').collect::<Vec<_>>().as_slice()) {
            ("POST", ["alert"]) => self.create(body),
            ("POST", ["query"]) => {
                let wanted = &body["query"][1]["_and"];
                let wanted = wanted.as_array().unwrap().iter().map(|one| &one["_eq"]);
                let wanted: Vec<_> = wanted.map(|one| (one["_field"].as_str().unwrap(), &one["_value"])).collect();
                let is_wanted = |alert: &&Value| wanted.iter().all(|(name, value)| alert[*name] == **value);
                (200, self.alerts.iter().filter(is_wanted).cloned().collect())
            }
            ("PATCH", ["alert", id]) => {
                if body["title"] == "refused" {
                    return (400, json!({"type": "BadRequest", "message": "no such title"}));
                }
                let alert = self.alerts.iter_mut().find(|alert| alert["_id"] == **id).unwrap();
                alert.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
                (204, Value::Null)
            }
            ("POST", ["alert", id, "observable"]) => {
                let alert = self.alerts.iter_mut().find(|alert| alert["_id"] == **id).unwrap();
                let observables = alert["observables"].as_array_mut().unwrap();
                if let Some(refusal) = refusal(&[&body]) {
                    return refusal;
                }
                let exists = observables.iter().any(|known| known["data"] == body["data"]);
                if exists {
                    return (400, json!({"type": "CreateError", "message": "Observable already exists"}));
                }
                observables.push(body);
                (201, json!([{"_id": "~9"}]))
            }
            other => panic!("{other:?}"),
        }
    }

    fn create(&mut self, alert: Value) -> Answered {
        self.created.push(alert.clone());
        let exists = |kind: &str| (400, json!({"type": "CreateError", "message": format!("{kind} already exists")}));
        let observables: Vec<&Value> = alert["observables"].as_array().unwrap().iter().collect();
        if let Some(refusal) = refusal(&observables) {
            return refusal;
        }
        if let Some(pattern) = alert["procedures"][0]["patternId"].as_str() {
            return (404, json!({"type": "NotFoundError", "message": format!("Pattern {pattern} not found")}));
        }
        let is_twice = |one: &&&Value| observables.iter().filter(|other| other["data"] == one["data"]).count() > 1;
        if self.is_confused && observables.iter().any(|one| is_twice(&one)) {
            return exists("Observable");
        }
        let same = |known: &Value| ["source", "sourceRef"].iter().all(|name| known[*name] == alert[*name]);
        if self.alerts.iter().any(same) {
            return exists("Alert");
        }
        let mut alert = alert;
        alert["_id"] = json!(format!("~{}", self.alerts.len()));
        self.alerts.push(alert.clone());
        (201, alert)
    }
}

/// Returns the answer that refuses the first unknown type.
fn refusal(observables: &[&Value]) -> Option<Answered> {
    let types = observables.iter().map(|observable| observable["dataType"].as_str().unwrap());
    let unknown = types.into_iter().find(|data_type| !TYPES.contains(data_type))?;
    Some((404, json!({"type": "NotFoundError", "message": format!("ObservableType {unknown} not found")})))
}

type Shared = Arc<Mutex<Hive>>;

async fn answer(State(hive): State<Shared>, method: Method, uri: Uri, body: Bytes) -> Response {
    let body = serde_json::from_slice(&body).unwrap();
    let (status, body) = hive.lock().unwrap().answer(&method, uri.path(), body);
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

/// Starts a double, and a folder whose host sends it every change.
async fn hive() -> (Shared, Folder) {
    let hive = Shared::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(any(answer)).with_state(hive.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: returns }} }}
destinations: {{ hive: {{ type: thehive, url: \"http://{address}\", allow_networks: [127.0.0.0/8], retry_schedule: [] }} }}
notifications: [{{ name: n, trigger: any, notify: [{{ to: hive }}] }}]\n"
    ));
    (hive, folder.with("returns", &guest("returns")))
}

fn observable(data_type: &str, value: &str) -> Value {
    json!({"data-type": data_type, "value": value, "tags": [], "ioc": false})
}

/// Posts an incident and returns its newest delivery.
async fn deliver(host: &Host<'_>, observation: Value) -> Value {
    let answer = host.post("lab", incident(observation)).await;
    let id = answer.body["incident_id"].as_str().unwrap_or_else(|| panic!("{answer:?}"));
    host.settled(&format!("/api/deliveries?incident={id}")).await.remove(0)
}

/// Observables as type and value, in their order.
fn observables(alert: &Value) -> Vec<(&str, &str)> {
    let observables = alert["observables"].as_array().unwrap().iter();
    observables.map(|one| (one["dataType"].as_str().unwrap(), one["data"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn unknown_types_and_techniques_do_not_lose_the_alert() {
    let (hive, folder) = hive().await;
    let host = folder.start().await;
    let seen = json!([
        observable("email", "ann@corp.example"),
        observable("user-account", "CORP\\ann"),
        observable("mac", "00-00-5E-00-53-01"),
        observable("ip", "198.51.100.40")
    ]);
    let techniques = json!([{"id": "T1059.001", "tactic": "TA0002"}]);
    let delivery =
        deliver(&host, json!({"source-ref": "a", "observables": seen, "techniques": techniques, "tags": ["x"]})).await;
    assert_eq!(delivery["status"], "delivered", "{delivery}");
    assert!(delivery["error"].as_str().unwrap().contains("does not know"), "{delivery}");
    {
        let hive = hive.lock().unwrap();
        let expected = [
            ("mail", "ann@corp.example"),
            ("other", "CORP\\ann"),
            ("other", "00-00-5E-00-53-01"),
            ("ip", "198.51.100.40"),
        ];
        assert_eq!(observables(&hive.alerts[0]), expected);
        assert_eq!(hive.alerts[0]["observables"][1]["tags"], json!(["user-account"]));
        assert_eq!(hive.alerts[0]["tags"], json!(["x", "T1059.001"]));
        assert_eq!(hive.created.len(), 4, "one more request for each part that it does not know");
    }
    // It is remembered, for updates too.
    let delivery = deliver(&host, json!({"source-ref": "b", "observables": [observable("mac", "m")]})).await;
    assert_eq!((&delivery["status"], hive.lock().unwrap().created.len()), (&json!("delivered"), 5));
    let delivery =
        deliver(&host, json!({"source-ref": "b", "observables": [observable("cve", "CVE-2026-0001")]})).await;
    assert_eq!(delivery["status"], "delivered", "{delivery}");
    let hive = hive.lock().unwrap();
    assert_eq!(observables(&hive.alerts[1]), [("other", "m"), ("other", "CVE-2026-0001")]);
    assert_eq!(hive.alerts[1]["observables"][1]["tags"], json!(["cve"]));
}

/// "Already exists" is a success only if the alert is there.
#[tokio::test]
async fn a_part_that_exists_already_is_not_the_alert() {
    let (hive, folder) = hive().await;
    hive.lock().unwrap().is_confused = true;
    let host = folder.start().await;
    let same = json!([observable("domain", "evil.example"), observable("hostname", "evil.example")]);
    let delivery = deliver(&host, json!({"source-ref": "a", "observables": same})).await;
    assert_eq!(delivery["status"], "delivered", "{delivery}");
    assert!(delivery["error"].as_str().unwrap().contains("Observable already exists"), "{delivery}");
    assert_eq!(observables(&hive.lock().unwrap().alerts[0]), [("domain", "evil.example")]);
    // An alert that is there is completed.
    let known =
        json!({"_id": "~7", "type": "hookmill", "source": "lab", "sourceRef": "b", "observables": [], "tags": []});
    hive.lock().unwrap().alerts.push(known);
    let delivery = deliver(&host, json!({"source-ref": "b", "observables": [observable("ip", "192.0.2.1")]})).await;
    assert_eq!(delivery["status"], "delivered", "{delivery}");
    assert_eq!(observables(&hive.lock().unwrap().alerts[1]), [("ip", "192.0.2.1")]);
}

/// Tags that analysts added in TheHive stay.
#[tokio::test]
async fn tags_of_analysts_stay() {
    let (hive, folder) = hive().await;
    let host = folder.start().await;
    deliver(&host, json!({"source-ref": "a", "tags": ["emotet"]})).await;
    hive.lock().unwrap().alerts[0]["tags"] = json!(["emotet", "seen by ann"]);
    let delivery = deliver(&host, json!({"source-ref": "a", "tags": ["emotet", "spreads"]})).await;
    assert_eq!(delivery["status"], "delivered", "{delivery}");
    assert_eq!(hive.lock().unwrap().alerts[0]["tags"], json!(["emotet", "seen by ann", "spreads"]));
}

/// A field that TheHive refuses does not keep it from the others, nor from new observables.
#[tokio::test]
async fn a_refused_field_costs_itself_only() {
    let (hive, folder) = hive().await;
    let host = folder.start().await;
    deliver(&host, json!({"source-ref": "a", "title": "first", "severity": "low"})).await;
    let seen = json!([observable("ip", "192.0.2.1")]);
    let change = json!({"source-ref": "a", "title": "refused", "severity": "high", "observables": seen});
    let delivery = deliver(&host, change).await;
    assert_eq!(delivery["status"], "delivered", "{delivery}");
    assert!(delivery["error"].as_str().unwrap().starts_with("title: "), "{delivery}");
    {
        let alert = &hive.lock().unwrap().alerts[0];
        assert_eq!((&alert["title"], &alert["severity"]), (&json!("first"), &json!(3)));
        assert_eq!(observables(alert), [("ip", "192.0.2.1")]);
    }
    let delivery = deliver(&host, json!({"source-ref": "a", "title": "second"})).await;
    assert_eq!(delivery["status"], "delivered", "{delivery}");
    let delivery = deliver(&host, json!({"source-ref": "a", "title": "refused"})).await;
    assert_eq!(delivery["status"], "dead", "{delivery}");
}
