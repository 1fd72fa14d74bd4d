//! Filters of notifications: what they read of a change and of a payload.

use crate::guest::guest;
use crate::host::Folder;
use crate::outcome::incident;
use crate::receiver::Receiver;
use reqwest::Method;
use serde_json::json;

const NETWORKS: &str = "allow_networks: [127.0.0.0/8]";

fn folder(config: &str) -> Folder {
    Folder::new(&format!("sources: {{ lab: {{ scheme: none, plugin: returns }} }}\n{config}"))
        .with("returns", &guest("returns"))
}

/// A filter is evaluated in the same transaction; without a match there is no delivery.
#[tokio::test]
async fn filters_select_deliveries_and_dry_runs_show_them() {
    let receiver = Receiver::start([]).await;
    let folder = folder(&format!(
        "public_url: https://soc.example/hookmill/
destinations:
  ticket: {{ type: http, method: PUT, url: \"{}/{{{{object.source_ref}}}}\", headers: {{ x-team: soc }}, {NETWORKS},
             auth: {{ type: bearer, token: a-token-that-nobody-sees }} }}
notifications:
  - name: high
    trigger: incident_created
    filter: {{ _and: [{{ _gte: {{ _field: object.severity, _value: high }} }}, {{ _like: {{ _field: object.title, _value: \"*MALWARE*\" }} }}] }}
    notify: [{{ to: ticket, body: '{{\"title\": {{{{json object.title}}}}, \"url\": \"{{{{url}}}}\"}}' }}]
  - {{ name: off, enabled: false, trigger: any, notify: [{{ to: ticket }}] }}
",
        receiver.url
    ));
    let host = folder.start().await;
    for (reference, severity, title) in [
        ("low", "low", "Malware here"),
        ("other", "critical", "A login"),
        ("../hit?&#", "critical", "Found \"malware\"\nhere"),
    ] {
        let told = incident(json!({"source-ref": reference, "severity": severity, "title": title}));
        assert_eq!(host.post("lab", told).await.status, 202);
    }
    let received = receiver.wait_for(1).await;
    let number = host.list("/api/incidents").await[0]["number"].clone();
    let url = format!("https://soc.example/hookmill/api/incidents/{}", number.as_str().unwrap());
    assert_eq!(received[0].path, "/hook/..%2Fhit%3F%26%23");
    assert_eq!(received[0].header("x-team"), "soc");
    assert_eq!(received[0].header("authorization"), "Bearer a-token-that-nobody-sees");
    assert_eq!(received[0].body, json!({"title": "Found \"malware\"\nhere", "url": url}));
    let deliveries = host.list("/api/deliveries").await;
    assert_eq!(deliveries.len(), 1, "{deliveries:?}");
    assert_eq!((&deliveries[0]["notification"], &deliveries[0]["operation"]), (&json!("high"), &json!("Creation")));

    let test = |incident: &str, send: bool| json!({"incident": incident, "send": send}).to_string();
    let low = host.list("/api/incidents?source_ref=low").await[0]["number"].as_str().unwrap().to_owned();
    let dry = host.call(Method::POST, "/api/notifications/high/test", test(&low, false)).await;
    assert_eq!((dry.status, &dry.body["matches"]), (200, &json!(false)), "{}", dry.body);
    assert_eq!(dry.body["steps"][0]["request"]["method"], "PUT");
    assert!(!dry.body.to_string().contains("a-token-that-nobody-sees"), "{}", dry.body);
    assert_eq!(receiver.received().len(), 1, "a dry run sends nothing");
    let sent = host.call(Method::POST, "/api/notifications/high/test", test(&low, true)).await;
    assert_eq!(sent.body["steps"][0]["sent"]["http_status"], 200, "{}", sent.body);
    assert_eq!(receiver.wait_for(2).await[1].path, "/hook/low");
    assert_eq!(host.list("/api/deliveries").await.len(), 1, "a dry run must not queue a delivery");
    for (name, body, status) in
        [("none", test(&low, false), 404), ("high", "{}".into(), 400), ("high", test("INC-1999-0001", false), 404)]
    {
        let answer = host.call(Method::POST, &format!("/api/notifications/{name}/test"), body).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let url = host.url.clone();
    let (ok, said, error) = folder.run(&[
        "notification",
        "test",
        "high",
        "--incident",
        &low,
        "--url",
        &url,
        "--token",
        "an-admin-token-of-the-tests",
    ]);
    assert!(ok && said.contains("does not match") && said.contains("PUT http://"), "{said} {error}");
}

/// A filter sees the details of a change although they are made for filters that read them only.
#[tokio::test]
async fn filters_read_what_a_change_changed() {
    let receiver = Receiver::start([]).await;
    let rule = |name: &str, filter: &str| {
        format!(
            "  - {{ name: {name}, trigger: any, filter: {{ {filter} }}, notify: [{{ to: all, \
             body: '{{\"name\": \"{name}\", \"operation\": {{{{json audit.operation}}}}}}' }}] }}\n"
        )
    };
    let rules = [rule("severity", "_has: details.severity"), rule("title", "_eq: { details.title: Changed }")];
    let folder = folder(&format!(
        "destinations:\n  all: {{ type: http, url: \"{}\", {NETWORKS} }}\nnotifications:\n{}",
        receiver.url,
        rules.concat()
    ));
    let host = folder.start().await;
    let answer = host.post("lab", incident(json!({"source-ref": "a", "severity": "low"}))).await;
    let path = format!("/api/incidents/{}", answer.body["incident_number"].as_str().unwrap());
    for patch in [r#"{"status": "in_progress"}"#, r#"{"severity": "high"}"#, r#"{"title": "Changed"}"#] {
        assert_eq!(host.call(Method::PATCH, &path, patch).await.status, 200);
    }
    let deliveries = host.settled("/api/deliveries").await;
    let mut told: Vec<_> =
        deliveries.iter().map(|one| format!("{} {}", one["notification"], one["operation"]).replace('"', "")).collect();
    told.sort();
    assert_eq!(told, ["severity Creation", "severity Update", "title Update"]);
}

/// Vendors write times and numbers in several ways, and bodies with marks and broken characters.
#[tokio::test]
async fn times_and_numbers_of_payloads_are_read_in_every_spelling() {
    let receiver = Receiver::start([]).await;
    let format = |field: &str| format!("{{{{dateFormat event.body.{field} \"yyyy-MM-dd\"}}}}");
    let days = ["seconds", "text", "fraction", "ms"].map(format).join(" ");
    let rule = |name: &str, filter: &str, template: &str| {
        format!(
            "  - {{ name: {name}, trigger: event_received, filter: {{ {filter} }}, \
             notify: [{{ to: x, body: '{{\"name\": \"{name}\", \"text\": \"{template}\"}}' }}] }}\n"
        )
    };
    let rules = [
        rule("days", "_has: event.body.seconds", &days),
        rule("number", "_eq: { event.body.result.EventCode: 4625 }", "{{event.body.host.name}}"),
        rule("risk", "_gte: { event.body.result.risk_score: 75 }", ""),
        rule("low", "_lt: { event.body.result.risk_score: 75 }", ""),
        rule("since", "_gte: { event.body.seconds: \"2023-11-14\" }", ""),
    ];
    let folder = Folder::new(&format!(
        "sources: {{ raw: {{ scheme: none, plugin: none }} }}
destinations: {{ x: {{ type: http, url: \"{}\", {NETWORKS} }} }}
notifications:\n{}",
        receiver.url,
        rules.concat()
    ));
    let host = folder.start().await;
    host.post(
        "raw",
        r#"{"seconds": 1700000000, "text": "1700000000", "fraction": 1700000000.25, "ms": 1700000000000}"#,
    )
    .await;
    let search = r#"{"note": "cut \ud83d", "result": {"EventCode": "4625", "risk_score": "80"}, "host.name": "srv-1"}"#;
    host.post("raw", format!("\u{feff}{search}")).await;
    let deliveries = host.settled("/api/deliveries").await;
    assert_eq!(deliveries.len(), 4, "{deliveries:?}");
    let received = receiver.wait_for(4).await;
    let mut told: Vec<String> =
        received.iter().map(|one| format!("{}: {}", one.body["name"], one.body["text"]).replace('"', "")).collect();
    told.sort();
    let day = "2023-11-14";
    assert_eq!(
        told,
        [format!("days: {day} {day} {day} {day}"), "number: srv-1".into(), "risk: ".into(), "since: ".into()]
    );
}
