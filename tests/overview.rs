//! The work that waits, as `/api/overview` shows it.

use crate::guest::guest;
use crate::host::{ADMIN_TOKEN, Answer, Folder, client, eventually, send};
use crate::outcome::{incident, returns};
use hookmill_incident::Clock;
use reqwest::Method;
use serde_json::{Value, json};

const HOUR_MS: i64 = 60 * 60 * 1000;

#[tokio::test]
async fn open_incidents_waiting_events_and_silent_sources_are_counted() {
    let folder = Folder::new(
        "sources:
  lab: { scheme: none, plugin: returns }
  late: { scheme: none, plugin: absent }
  quiet: { scheme: none, plugin: none, silent_after: 30h }
",
    )
    .with("returns", &guest("returns"));
    let clock = Clock::default();
    let host = folder.start_with(&clock).await;
    host.ready().await;
    let url = format!("http://{}", host.address);
    let call = async |method: Method, path: &str, body: Vec<u8>| -> Answer {
        send(client().request(method, format!("{url}{path}")).bearer_auth(ADMIN_TOKEN).body(body)).await.unwrap()
    };
    let overview = async || call(Method::GET, "/api/overview", Vec::new()).await.body;
    let empty = json!({
        "version": env!("CARGO_PKG_VERSION"), "public_url": null, "open_incidents": [],
        "events": {"queued": 0, "quarantined": 0}, "silent_sources": []
    });
    assert_eq!(overview().await, empty);

    let create = async |reference: &str, severity: &str| {
        let body = incident(json!({"source-ref": reference, "severity": severity}));
        let answer = call(Method::POST, "/api/webhooks/lab", body).await;
        format!("/api/incidents/{}", answer.body["incident_number"].as_str().unwrap())
    };
    let change = async |path: &str, status: &str| {
        assert_eq!(call(Method::PATCH, path, json!({"status": status}).to_string().into()).await.status, 200);
    };
    call(Method::POST, "/api/webhooks/quiet", b"one".to_vec()).await;
    create("old", "high").await;
    change(&create("closed", "critical").await, "closed").await;
    clock.shift_ms(8 * 24 * HOUR_MS);
    change(&create("week", "high").await, "escalated").await;
    clock.shift_ms(25 * HOUR_MS);
    create("day", "low").await;
    clock.shift_ms(2 * HOUR_MS);
    create("hour", "high").await;
    assert_eq!(call(Method::DELETE, &create("deleted", "high").await, Vec::new()).await.status, 204);
    call(Method::POST, "/api/webhooks/lab", returns(&json!({"malformed": "no"}))).await;
    call(Method::POST, "/api/webhooks/late", b"waits".to_vec()).await;

    let counts = |severity: &str, hour: i64, day: i64, week: i64, older: i64| json!({"severity": severity, "within_hour": hour, "within_day": day, "within_week": week, "older": older});
    let shown = eventually("the source is silent", async || {
        Some(overview().await).filter(|shown: &Value| shown["silent_sources"][0]["name"] == "quiet")
    })
    .await;
    assert_eq!(shown["open_incidents"], json!([counts("high", 1, 0, 1, 1), counts("low", 0, 1, 0, 0)]));
    assert_eq!(shown["events"], json!({"queued": 1, "quarantined": 1}));
    host.stop().await;
}

#[tokio::test]
async fn the_configured_url_of_the_host_is_shown() {
    let folder = Folder::new("public_url: https://hooks.example/");
    let host = folder.start().await;
    assert_eq!(host.get("/api/overview").await["public_url"], "https://hooks.example");
}
