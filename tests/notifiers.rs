//! Requests that notifiers make of audit entries, and deliveries that they cannot render.

use crate::guest::{guest, guest_of_kind};
use crate::host::{Folder, Host, eventually};
use crate::outcome::{incident, request};
use crate::receiver::Receiver;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

const KEY: [u8; 32] = [b'k'; 32];

fn folder(receiver: &Receiver, schedule: &str) -> Folder {
    Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: returns }} }}
webhooks: {{ chat: {{ url: \"{}\", secret: whsec_{}, notifier: renders, retry_schedule: {schedule},
  allow_networks: [127.0.0.0/8], auth: {{ type: bearer, token: only-the-host-knows }} }} }}",
        receiver.url,
        STANDARD.encode(KEY)
    ))
    .with("returns", &guest("returns"))
}

fn renders() -> Vec<u8> {
    guest_of_kind("renders", "notifier")
}

/// Creates an incident whose description defines the request that the notifier makes. Returns the incident's id.
async fn create(host: &Host<'_>, name: &str, description: String) -> String {
    let answer = host.post("lab", incident(json!({"source-ref": name, "description": description}))).await;
    assert_eq!(answer.status_word(), "accepted", "{answer:?}");
    answer.body["incident_id"].as_str().unwrap().to_owned()
}

async fn delivery(host: &Host<'_>, incident: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/deliveries?incident={incident}");
    eventually(&path, async || host.list(&path).await.pop().filter(&wanted)).await
}

#[tokio::test]
async fn the_request_is_the_one_that_the_notifier_returns() {
    let receiver = Receiver::start([]).await;
    let folder = folder(&receiver, "[1s]").with("renders", &renders());
    let host = folder.start().await;
    let wanted = json!({"method": "PUT", "url": "/room/7?x=1", "body": "<b>one</b>",
        "headers": {"Content-Type": "text/html", "X-Team": "soc"}});
    create(&host, "a", request(&wanted)).await;
    let received = receiver.wait_for(1).await.pop().unwrap();
    assert_eq!((received.path.as_str(), &received.bytes[..]), ("/room/7", &b"<b>one</b>"[..]));
    assert_eq!((received.header("content-type"), received.header("x-team")), ("text/html", "soc"));
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(&KEY).unwrap();
    mac.update(format!("{}.{}.", received.header("webhook-id"), received.header("webhook-timestamp")).as_bytes());
    mac.update(&received.bytes);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(received.header("webhook-signature"), expected);

    // By default the request is a POST of JSON to the destination's URL.
    create(&host, "b", request(&json!({"method": "POST", "body": "{}"}))).await;
    let received = receiver.wait_for(2).await.pop().unwrap();
    assert_eq!((received.path.as_str(), received.header("content-type")), ("/hook", "application/json"));

    // If there is nothing to send, the delivery ends and its attempt shows the reason.
    let id = create(&host, "c", request(&json!(null))).await;
    let skipped = delivery(&host, &id, |delivery| delivery["status"] == "delivered").await;
    assert_eq!(skipped["attempts"][0]["error"], "the notifier sends nothing for this entry");
    assert_eq!(skipped["attempts"][0]["http_status"], Value::Null);
    assert_eq!(host.metric("deliveries_total{destination=\"chat\",result=\"skipped\"}").await, 1.0);
    assert_eq!(receiver.received().len(), 2);

    // The same in a dry run, with the entry as the API shows it.
    let entry = &host.list(&format!("/api/incidents/{id}/audit")).await[0];
    let answer = host.call(Method::POST, "/api/plugins/renders/run", json!({"payload": entry}).to_string()).await;
    assert_eq!((answer.status, &answer.body["request"]), (200, &json!(null)), "{answer:?}");
    assert_eq!(host.call(Method::POST, "/api/plugins/renders/run", r#"{"payload": {}}"#).await.status, 400);
}

#[tokio::test]
async fn a_request_that_is_not_allowed_fails_the_attempt() {
    let receiver = Receiver::start([]).await;
    let folder = folder(&receiver, "[]").with("renders", &renders());
    let host = folder.start().await;
    let with = |name: &str, value: Value| {
        let mut wanted = json!({"method": "POST", "body": "x"});
        wanted[name] = value;
        request(&wanted)
    };
    let many: serde_json::Map<String, Value> = (0..51).map(|index| (format!("x-{index}"), json!("1"))).collect();
    let cases = [
        ("traps", "T".to_owned(), "unreachable"),
        ("refuses", request(&json!("no room is configured")), "notifier renders 1.0: no room is configured"),
        ("method", with("method", json!("CONNECT")), "method `CONNECT`"),
        ("elsewhere", with("url", json!("http://169.254.169.254/latest")), "another scheme, host or port"),
        ("other port", with("url", json!("http://127.0.0.1:1/")), "another scheme, host or port"),
        ("file", with("url", json!("file:///etc/passwd")), "another scheme, host or port"),
        ("long URL", with("url", json!("/".repeat(4097))), "4097 bytes"),
        ("host", with("headers", json!({"Host": "x"})), "cannot set the header `host`"),
        ("signature", with("headers", json!({"Webhook-Signature": "x"})), "`webhook-signature`"),
        ("authorization", with("headers", json!({"Authorization": "x"})), "cannot set the header `authorization`"),
        (
            "user name",
            with("url", json!(format!("{}/x", receiver.url.replace("//", "//a:b@")))),
            "contains a user name",
        ),
        ("bad header", with("headers", json!({"X": "a\r\nb: c"})), "invalid value"),
        ("bad name", with("headers", json!({"a b": "c"})), "invalid name"),
        ("many", with("headers", Value::Object(many)), "51 headers"),
        ("large", with("headers", json!({"x": "y".repeat(17_000)})), "bytes; at most 16384"),
    ];
    for (name, description, words) in cases {
        let id = create(&host, name, description).await;
        let dead = delivery(&host, &id, |delivery| delivery["status"] == "dead").await;
        assert!(dead["error"].as_str().unwrap().contains(words), "{name}: {dead}");
    }
    assert!(receiver.received().is_empty());
    assert_eq!(host.post("lab", incident(json!({"source-ref": "still"}))).await.status_word(), "accepted");
}

#[tokio::test]
async fn deliveries_wait_for_a_missing_notifier() {
    let receiver = Receiver::start([]).await;
    let folder = folder(&receiver, "[1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s]");
    let host = folder.start().await;
    let id = create(&host, "a", request(&json!({"method": "POST", "body": "{}"}))).await;
    let pending = delivery(&host, &id, |delivery| !delivery["attempts"].as_array().unwrap().is_empty()).await;
    assert_eq!(pending["attempts"][0]["error"], "request: notifier: plugin `renders` is not loaded");
    folder.put("renders", &renders());
    host.plugin_when("renders", |plugin| plugin["kind"] == "notifier").await;
    delivery(&host, &id, |delivery| delivery["status"] == "delivered").await;
    assert_eq!(receiver.received().len(), 1);
}
