//! The way of an event through the stages, as `GET /api/events/{id}` shows it, and replays with a chosen version.

use crate::guest::{at_version, echo, guest};
use crate::host::{Folder, SECRET, send, signature_with, unix_s};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_event_shows_how_it_was_verified_mapped_and_stored() {
    let folder = Folder::new(
        "sources:
           open: { scheme: none, plugin: floods }
           broken: { scheme: none, plugin: panics }
           stored: { scheme: none, plugin: none }",
    )
    .with("echo", &guest("echo"))
    .with("floods", &guest("floods"))
    .with("panics", &guest("panics"));
    let host = folder.start().await;
    let registration = json!({"source": "edr", "secret": SECRET, "plugin": "echo"}).to_string();
    assert_eq!(host.call(Method::POST, "/api/webhooks", registration).await.status, 201);
    let rotated = host.call(Method::POST, "/api/sources/edr/rotate", json!({"overlap": "1h"}).to_string()).await;
    let new = rotated.body["secret"].as_str().unwrap();
    let mut events = Vec::new();
    for (secret, state) in [(SECRET, "previous"), (new, "current")] {
        let at = unix_s().to_string();
        let signature = format!("sha256={}", signature_with(secret, at.as_bytes(), state.as_bytes()));
        let request = host.webhook("edr").header("x-webhook-timestamp", at).header("x-webhook-signature", signature);
        let answer = send(request.body(state)).await.unwrap();
        let event = host.get(&format!("/api/events/{}", answer.event_id())).await;
        let journey = &event["journey"];
        let verification = &journey["verification"];
        assert_eq!((&verification["scheme"], &verification["secret"]["state"]), (&json!("hookmill"), &json!(state)));
        assert!(journey["receive_us"].is_u64() && journey["verify_us"].is_u64(), "{journey}");
        let stored_after = time(&journey["stored_at"]).duration_since(time(&event["received_at"]));
        assert_eq!(event["stored_after_ms"], json!(stored_after.as_millis()), "{event}");
        let listed = host.get(&format!("/api/events?id={}", answer.event_id())).await;
        assert_eq!(listed["data"][0]["stored_after_ms"], event["stored_after_ms"], "{listed}");
        let runs = journey["runs"].as_array().unwrap();
        let plugin = &runs[0]["plugin"];
        assert_eq!((runs.len(), &plugin["name"], &plugin["version"]), (1, &json!("echo"), &json!("1.0")));
        assert_eq!(event["tried"], json!([format!("echo@{}", plugin["sha256"].as_str().unwrap())]));
        assert!(runs[0]["duration_us"].as_u64() > Some(0) && runs[0]["memory_bytes"].as_u64() > Some(0), "{journey}");
        assert_eq!((&runs[0]["code"], &runs[0]["log"]), (&Value::Null, &json!([])));
        events.push(event);
    }
    let index = |event: &Value| event["journey"]["verification"]["secret"]["index"].clone();
    assert_ne!(index(&events[0]), index(&events[1]));
    let text = json!(events).to_string();
    assert!(!text.contains(SECRET) && !text.contains(new), "{text}");

    let journey = async |source: &str| {
        let answer = host.post(source, "x").await;
        host.get(&format!("/api/events/{}", answer.event_id())).await["journey"].clone()
    };
    let flooded = journey("open").await;
    assert_eq!(flooded["verification"], json!({"scheme": "none", "secret": null}));
    let log = flooded["runs"][0]["log"].as_array().unwrap();
    assert_eq!((log.len(), &log[0]["level"]), (101, &json!("info")), "{flooded}");
    assert_eq!(log[100]["message"], "9900 further lines were dropped");
    let broken = journey("broken").await;
    assert_eq!(broken["runs"][0]["code"], "trapped");
    let message = |line: usize| &broken["runs"][0]["log"][line]["message"];
    assert_eq!((message(0), message(1)), (&json!("panicked at mapper.rs:7:9:"), &json!("the id is missing")));
    assert_eq!(journey("stored").await["runs"], json!([]));
}

#[tokio::test]
async fn a_replay_calls_the_version_that_is_chosen() {
    let folder =
        Folder::new("reload: immediate\nsources: { lab: { scheme: none, plugin: echo } }").with("echo", &echo("1.0"));
    let host = folder.start().await;
    let posted = host.post("lab", "payload").await;
    let id = posted.event_id();
    let first = host.get(&format!("/api/events/{id}")).await;
    let old = first["tried"][0].as_str().unwrap().to_owned();
    folder.put("echo", &at_version(guest("traps"), "2.0"));
    let live = host.plugin_when("echo", |plugin| plugin["version"] == "2.0").await;
    let new = format!("echo@{}", live["sha256"].as_str().unwrap());
    let replay = async |query: &str| host.call(Method::POST, &format!("/api/events/{id}/replay{query}"), "").await;
    for (query, status, text) in [
        (format!("?dry_run=true&version={new}"), 409, "could not be mapped now"),
        (format!("?dry_run=true&version={old}"), 200, "mapped"),
        ("?dry_run=true".to_owned(), 409, "could not be mapped now"),
        ("?version=echo".to_owned(), 400, "NAME@SHA256"),
        (format!("?version=echo@{}", "0".repeat(64)), 409, "is not kept"),
        (format!("?version={new}"), 409, "could not be mapped now"),
    ] {
        let answer = replay(&query).await;
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        assert!(answer.body.to_string().contains(text), "{query}: {answer:?}");
    }
    let unchanged = host.get(&format!("/api/events/{id}")).await;
    assert_eq!((&unchanged["journey"], &unchanged["attempts"]), (&first["journey"], &json!(1)));
    assert_eq!(replay(&format!("?version={old}")).await.status_word(), "mapped");
    let again = host.get(&format!("/api/events/{id}")).await;
    assert_eq!((&again["tried"], &again["attempts"]), (&json!([old]), &json!(2)));
    let journey = &again["journey"];
    assert!(time(&journey["mapped_again_at"]) >= time(&first["received_at"]), "{journey}");
    assert_eq!(journey["verification"], first["journey"]["verification"]);
    assert_eq!(journey["runs"][0]["plugin"]["version"], "1.0");
    assert_eq!(journey["stored_at"], first["journey"]["stored_at"]);
}
