//! Notifications: triggers, order, and pauses of failing destinations.

use crate::guest::guest;
use crate::host::{Folder, eventually};
use crate::outcome::incident;
use crate::receiver::{Receiver, Reply};
use reqwest::Method;
use serde_json::{Value, json};

const NETWORKS: &str = "allow_networks: [127.0.0.0/8]";

fn folder(config: &str) -> Folder {
    Folder::new(&format!("sources: {{ lab: {{ scheme: none, plugin: returns }} }}\n{config}"))
        .with("returns", &guest("returns"))
}

/// Each trigger about incidents sends the operation and the number of observables.
#[tokio::test]
async fn each_trigger_about_incidents_occurs_when_it_should() {
    let receiver = Receiver::start([]).await;
    let triggers =
        ["incident_created", "incident_updated", "incident_resolved", "severity_raised", "observable_added", "any"];
    let mut config =
        format!("destinations:\n  all: {{ type: http, url: \"{}\", {NETWORKS} }}\nnotifications:\n", receiver.url);
    for trigger in triggers {
        config += &format!(
            "  - {{ name: on-{trigger}, trigger: {trigger}, notify: [{{ to: all, \
             body: '{{\"trigger\": \"{trigger}\", \"operation\": {{{{json audit.operation}}}}}}' }}] }}\n"
        );
    }
    let folder = folder(&config);
    let host = folder.start().await;
    let answer = host.post("lab", incident(json!({"source-ref": "a", "severity": "low"}))).await;
    let path = format!("/api/incidents/{}", answer.body["incident_number"].as_str().unwrap());
    for patch in [r#"{"severity": "high"}"#, r#"{"severity": "medium"}"#, r#"{"status": "resolved"}"#] {
        assert_eq!(host.call(Method::PATCH, &path, patch).await.status, 200);
    }
    let observable = json!([{"data-type": "ip", "value": "192.0.2.1", "tags": [], "ioc": false}]);
    host.post("lab", incident(json!({"source-ref": "a", "observables": observable}))).await;
    assert_eq!(host.call(Method::DELETE, &path, "").await.status, 204);

    let expected = [
        ("any", "Creation"),
        ("any", "Delete"),
        ("any", "Update"),
        ("any", "Update"),
        ("any", "Update"),
        ("any", "Update"),
        ("incident_created", "Creation"),
        ("incident_resolved", "Update"),
        ("incident_updated", "Update"),
        ("incident_updated", "Update"),
        ("incident_updated", "Update"),
        ("incident_updated", "Update"),
        ("observable_added", "Update"),
        ("severity_raised", "Update"),
    ];
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let received = receiver.wait_for(expected.len()).await;
    let mut told: Vec<_> =
        received.iter().map(|one| (word(&one.body["trigger"]), word(&one.body["operation"]))).collect();
    told.sort();
    let told: Vec<(&str, &str)> = told.iter().map(|(trigger, operation)| (&**trigger, &**operation)).collect();
    assert_eq!(told, expected);
}

/// The command reads the message of every type of destination, and the reason why there is none.
#[tokio::test]
async fn dry_runs_show_the_messages_of_every_type() {
    let folder = folder(
        "destinations:
  chat: { type: slack, url: \"https://chat.example/a-secret-path\" }
  hive: { type: thehive, url: \"https://hive.example\", auth: { type: bearer, token: a-token-that-nobody-sees } }
  lines: { type: file, path: lines.jsonl }
  mail: { type: email, url: \"smtp://mail.example\", from: soc@example.com, to: [ann@example.com] }
notifications:
  - { name: all, trigger: any, notify: [{ to: chat }, { to: hive }, { to: lines }, { to: mail }] }
",
    );
    let host = folder.start().await;
    let answer = host.post("lab", incident(json!({"source-ref": "a", "title": "Malware here"}))).await;
    let number = answer.body["incident_number"].as_str().unwrap();
    let arguments = [
        "notification",
        "test",
        "all",
        "--incident",
        number,
        "--url",
        &host.url,
        "--token",
        "an-admin-token-of-the-tests",
    ];
    let (ok, text, error) = folder.run(&arguments);
    assert!(ok, "{text} {error}");
    let shown = ["POST https://chat.example/…", "\"create\": {", "line: {", "From: soc@example.com", "Malware here"];
    for shown in shown {
        assert!(text.contains(shown), "no `{shown}` in {text}");
    }
    assert!(!text.contains("secret"), "{text}");

    let path = format!("/api/incidents/{number}");
    assert_eq!(host.call(Method::PATCH, &path, r#"{"severity": "critical"}"#).await.status, 200);
    let (ok, text, error) = folder.run(&arguments);
    assert!(ok && text.contains("\"update\": {"), "{text} {error}");

    assert_eq!(host.call(Method::DELETE, &path, "").await.status, 204);
    let (ok, text, error) = folder.run(&arguments);
    assert!(ok && text.contains("skipped: an alert is kept when its incident is deleted"), "{text} {error}");
}

/// Deliveries of one incident arrive in order and do not block those of another.
#[tokio::test]
async fn changes_of_an_incident_wait_for_each_other() {
    let fails_once = || Receiver::start([Reply::Status(500)]);
    let (ordered, any) = (fails_once().await, fails_once().await);
    let folder = folder(&format!(
        "webhooks:\n  ordered: {{ url: \"{}\", {NETWORKS}, retry_schedule: [1500ms] }}
  any: {{ url: \"{}\", {NETWORKS}, retry_schedule: [1500ms], ordering: none }}\n",
        ordered.url, any.url
    ));
    let host = folder.start().await;
    let answer = host.post("lab", incident(json!({"source-ref": "a"}))).await;
    for receiver in [&ordered, &any] {
        receiver.wait_for(1).await;
    }
    let path = format!("/api/incidents/{}", answer.body["incident_number"].as_str().unwrap());
    for status in ["triaged", "in_progress"] {
        host.call(Method::PATCH, &path, json!({"status": status}).to_string()).await;
    }
    host.post("lab", incident(json!({"source-ref": "b"}))).await;
    eventually("all are delivered", async || {
        (host.list("/api/deliveries?status=delivered").await.len() == 8).then_some(())
    })
    .await;
    let told = |receiver: &Receiver| -> Vec<String> {
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let received = receiver.received();
        let objects = received.iter().map(|one| &one.body["object"]);
        objects.map(|object| word(&object["source_ref"]) + " " + &word(&object["status"])).collect()
    };
    assert_eq!(told(&ordered), ["a new", "b new", "a new", "a triaged", "a in_progress"]);
    assert_eq!(
        told(&any).last().unwrap(),
        "a new",
        "without order, the failed delivery arrives last: {:?}",
        told(&any)
    );
}

/// A receiver that only fails is paused, then disabled. Once it is enabled, dead letters can be sent.
#[tokio::test]
async fn a_failing_destination_is_paused_then_disabled() {
    let (broken, operators) = (Receiver::start(vec![Reply::Status(500); 11]).await, Receiver::start([]).await);
    let folder = folder(&format!(
        "destinations:\n  broken: {{ type: webhook, url: \"{}\", {NETWORKS}, retry_schedule: [1ms, 1ms, 1ms, 1ms, 1s, 1s], \
         disable_after: 4s, ordering: none, concurrency: 1 }}
  operators: {{ type: slack, url: \"{}\", {NETWORKS} }}
notifications:
  - {{ name: every, trigger: incident_created, notify: [{{ to: broken }}] }}
  - {{ name: tell, trigger: destination_disabled, notify: [{{ to: operators, template: \"{{{{object.name}}}} & {{{{object.reason}}}}\" }}] }}\n",
        broken.url, operators.url
    ));
    let host = folder.start().await;
    for reference in ["a", "b", "c"] {
        host.post("lab", incident(json!({"source-ref": reference}))).await;
    }
    host.logs("destination paused").await;
    assert_eq!(broken.received().len(), 10, "ten failures in a row are enough");
    let failing = || async { host.get("/api/destinations").await["data"][0].clone() };
    let state = failing().await;
    assert!(state["failing_since"].is_string() && state["disabled"].is_null(), "{state}");
    assert_eq!((&state["name"], &state["type"], &state["pending"]), (&json!("broken"), &json!("webhook"), &json!(3)));
    let (failures, last) = (&state["failures"], &state["last_failure"]);
    assert_eq!((failures, &last["http_status"]), (&json!(10), &json!(500)), "{state}");
    assert!(last["error"].as_str().unwrap().starts_with("status: the server answered 500"), "{state}");
    assert!(state["p50_ms"].as_i64() <= state["p95_ms"].as_i64() && state["p95_ms"].is_i64(), "{state}");
    let time = |name: &str| state[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(time("oldest_pending_at") < time("paused_until"), "{state}");
    // The single attempt after the pause fails too, and `disable_after` has passed.
    let told = operators.wait_for(1).await;
    let text = told[0].body["text"].as_str().unwrap();
    assert!(text.starts_with("broken & ") && text.contains("disable_after"), "{text}");
    eventually("its deliveries are dead", async || {
        let state = failing().await;
        ((&state["pending"], &state["dead"]) == (&json!(0), &json!(3))).then_some(())
    })
    .await;
    assert_eq!(broken.received().len(), 11);

    let url = host.url.clone();
    let as_admin = ["--url", &url, "--token", "an-admin-token-of-the-tests"];
    let (ok, said, _) = folder.run(&[&["destinations", "enable", "broken"], &as_admin[..]].concat());
    assert!(ok && said.contains("broken is enabled"), "{said}");
    let (ok, said, _) =
        folder.run(&[&["deliveries", "retry", "--dead", "--destination", "broken"], &as_admin[..]].concat());
    assert!(ok && said.contains("3 deliveries are due again"), "{said}");
    eventually("they arrive", async || (broken.received().len() == 14).then_some(())).await;
    let delivered = eventually("they are recorded", async || {
        Some(host.list("/api/deliveries?destination=broken&status=delivered").await).filter(|list| list.len() == 3)
    })
    .await;
    assert!(
        delivered.iter().all(|delivery| delivery["attempts"].as_array().unwrap().last().unwrap()["code"].is_null())
    );
    let state = failing().await;
    for name in ["failing_since", "paused_until", "oldest_pending_at"] {
        assert_eq!(state[name], json!(null), "{state}");
    }
    assert_eq!(state["failures"], 0);
}

/// Waiting deliveries of a removed or changed notification become dead.
#[tokio::test]
async fn deliveries_of_removed_notifications_end() {
    let receiver = Receiver::start([Reply::Status(500)]).await;
    let destination = format!(
        "destinations: {{ x: {{ type: http, url: \"{}\", {NETWORKS}, retry_schedule: [2s] }} }}\n",
        receiver.url
    );
    let rule = "notifications: [{ name: n, trigger: any, notify: [{ to: x }] }]\n";
    let folder = folder(&format!("{destination}{rule}"));
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    receiver.wait_for(1).await;
    folder.configure(&format!("sources: {{ lab: {{ scheme: none, plugin: returns }} }}\n{destination}"));
    host.signal("HUP");
    host.logs("hookmill.yaml applied").await;
    let dead = eventually("it is dead", async || host.list("/api/deliveries?status=dead").await.pop()).await;
    assert!(dead["error"].as_str().unwrap().contains("`n` is no longer configured"), "{dead}");
    assert_eq!(receiver.received().len(), 1);
}

/// Events are forwarded unchanged, and operators are notified about the host itself.
#[tokio::test]
async fn triggers_about_events_and_the_host_occur() {
    let (relay, operators) = (Receiver::start([]).await, Receiver::start([]).await);
    let folder = Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: returns }}, raw: {{ scheme: none, plugin: none, silent_after: 1s }} }}
destinations:
  relay: {{ type: http, url: \"{}\", {NETWORKS} }}
  operators: {{ type: webhook, format: standard-webhooks, url: \"{}\", {NETWORKS} }}
notifications:
  - {{ name: relay, trigger: event_received, filter: {{ event.source: raw }}, notify: [{{ to: relay }}] }}
  - {{ name: quarantined, trigger: event_quarantined, notify: [{{ to: operators }}] }}
  - {{ name: refused, trigger: plugin_refused, notify: [{{ to: operators }}] }}
  - {{ name: silent, trigger: source_silent, notify: [{{ to: operators }}] }}\n",
        relay.url, operators.url
    ))
    .with("returns", &guest("returns"));
    let host = folder.start().await;
    let sent = host.webhook("raw").header("content-type", "text/x-odd").body("any \u{1} bytes").send().await.unwrap();
    assert_eq!(sent.status(), 202);
    let received = relay.wait_for(1).await;
    assert_eq!((&*received[0].bytes, received[0].header("content-type")), ("any \u{1} bytes".as_bytes(), "text/x-odd"));
    let bad = host.post("lab", incident(json!({"source-ref": ""}))).await;
    folder.put("broken", b"no plugin");
    let told = eventually("all three must receive a message", async || {
        let told = operators.received();
        (told.len() >= 3).then_some(told)
    })
    .await;
    let by_type = |name: &str| {
        let found = told.iter().find(|one| one.body["type"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {told:?}")).body["data"].clone()
    };
    let event = &by_type("event.quarantined")["event"];
    assert_eq!((&event["id"], &event["error"]["code"]), (&json!(bad.event_id()), &json!("invalid_incident")));
    let refused = &by_type("plugin.refused")["object"];
    assert!(refused["name"] == "broken" && refused["error"].as_str().unwrap().contains("WebAssembly"), "{refused}");
    let silent = &by_type("source.silent")["object"];
    assert_eq!((&silent["name"], &silent["silent_after"]), (&json!("raw"), &json!("1s")));
    assert_eq!(host.list("/api/deliveries?notification=silent").await.len(), 1, "once for each silence");
}

/// A template that leaves nothing of a message sends nothing and says so.
#[tokio::test]
async fn an_empty_text_is_not_sent() {
    let receiver = Receiver::start([]).await;
    let url = &receiver.url;
    let folder = Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: returns }} }}
destinations:
  chat: {{ type: slack, url: \"{url}\", allow_networks: [127.0.0.0/8] }}
  json: {{ type: http, url: \"{url}\", allow_networks: [127.0.0.0/8], body: '{{{{#if object.assignee}}}}{{\"a\": 1}}{{{{/if}}}}' }}
  text: {{ type: http, url: \"{url}\", allow_networks: [127.0.0.0/8], headers: {{ content-type: text/plain }}, body: \"{{{{object.assignee}}}} \" }}
  mail: {{ type: email, url: \"smtp://mail.example\", from: a@x.example, to: [b@x.example] }}
  lines: {{ type: file, path: lines }}
notifications:
  - name: n
    trigger: any
    notify:
      - {{ to: chat, template: \"{{{{#if object.assignee}}}}x{{{{/if}}}}\" }}
      - {{ to: json }}
      - {{ to: text }}
      - {{ to: mail, template: \"{{{{object.assignee}}}}\" }}
      - {{ to: lines, template: '{{{{#if object.assignee}}}}1{{{{/if}}}}' }}
"
    ))
    .with("returns", &guest("returns"));
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a"}))).await;
    let deliveries = host.settled("/api/deliveries").await;
    assert_eq!(deliveries.len(), 5);
    for delivery in deliveries {
        assert_eq!(delivery["status"], "delivered", "{delivery}");
        assert!(delivery["error"].as_str().unwrap().contains("makes an empty text"), "{delivery}");
    }
    assert!(receiver.received().is_empty() && !folder.path("lines").exists());
}
