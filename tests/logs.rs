//! The newest log lines in the API and the command line, and the request ids in them.

use crate::guest::guest;
use crate::host::{ADMIN_TOKEN, Folder, Host, SECRET, send, signed, unix_s};
use crate::outcome::incident;
use reqwest::Method;
use serde_json::{Value, json};

async fn lines(host: &Host<'_>, query: &str) -> Vec<String> {
    serde_json::from_value(host.get(&format!("/api/logs{query}")).await["data"].clone()).unwrap()
}

#[tokio::test]
async fn lines_are_filtered_by_text() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: none } }");
    let host = folder.start().await;
    host.post("lab", "taken").await;
    for name in ["first", "second%0Aof%20two%20lines"] {
        host.post(name, "refused").await;
    }
    let refused = lines(&host, "?filter=WEBHOOK%20refused").await;
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused[0].contains("INFO") && refused[0].contains("'first' is not registered"), "{refused:?}");
    assert!(refused[1].contains("'second\\nof two lines' is not registered"), "{refused:?}");
    assert_eq!(lines(&host, "?tail=1&filter=webhook").await, refused[1..]);
    let all = lines(&host, "").await;
    assert!(all[0].contains("hookmill listens on"), "{all:?}");
    assert!(!all.iter().any(|line| line.contains("taken")), "accepted payloads must not be logged: {all:?}");
    assert_eq!(lines(&host, "?tail=99999999").await, all);
    assert_eq!(host.get("/api/logs?filter=nowhere").await, json!({"data": [], "next_cursor": null}));
    for query in ["tail=0", "tail=-1", "tail=many", "tail=", "tail=1&tail=2", "filter=a&filter=b", "limit=5"] {
        let answer = host.call(Method::GET, &format!("/api/logs?{query}"), "").await;
        assert_eq!((answer.status, answer.error_code()), (400, "invalid_request"), "{query}");
    }

    let token = folder.run(&["token", "create", "--scope", "read"]).1;
    let logs =
        |arguments: &[&str]| folder.run(&[&["logs", "--url", &host.url, "--token", token.trim()], arguments].concat());
    assert_eq!(logs(&["--filter", "webhook", "--tail", "100"]), (true, refused.join("\n") + "\n", String::new()));
    let (_, text, _) = logs(&["--filter", "webhook", "--tail", "1", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["data"], json!(refused[1..]));
    let (success, _, errors) = logs(&["--tail", "0"]);
    assert!(!success && errors.contains("a number from 1 to 10000"), "{errors}");
}

/// Lines of level `info` are kept, independent of the level that is written to standard error.
#[tokio::test]
async fn lines_are_kept_apart_from_standard_error() {
    let folder = Folder::new("");
    let mut command = folder.hookmill(&["serve", "--log", "warn,hookmill_host::serve=info"]);
    let host = folder.start_listening_by(&mut command).await;
    host.ready().await;
    host.post("nobody", "").await;
    assert_eq!(lines(&host, "?filter=webhook%20refused").await.len(), 1);
    assert!(!host.log().contains("webhook refused"), "{}", host.log());
}

#[tokio::test]
async fn no_line_contains_a_secret() {
    const CANARY: &str = "canary-that-nobody-may-log";
    let folder = Folder::new(&format!(
        "sources: {{ edr: {{ secret: {SECRET}, plugin: returns }} }}
webhooks: {{ soc: {{ url: \"http://user:{CANARY}@127.0.0.1:1/{CANARY}?token={CANARY}\", allow_networks: [127.0.0.1/32],
  secret: whsec_{}, retry_schedule: [] }} }}",
        "Y2FuYXJ5".repeat(4)
    ))
    .with("returns", &guest("returns"));
    let host = folder.start().await;
    let canary = |path: &str| host.client.post(format!("{}{path}", host.url)).bearer_auth(CANARY);
    for request in [
        canary(&format!("/api/webhooks/edr?token={CANARY}&key={CANARY}")).header("x-webhook-signature", CANARY),
        canary("/api/webhooks/edr").header("x-webhook-signature", format!("sha256={CANARY}")).body(CANARY),
        signed(canary("/api/webhooks/edr"), 1, CANARY),
        signed(canary(&format!("/api/webhooks/edr?secret={CANARY}")), unix_s(), CANARY),
        canary("/api/webhooks/nobody").header("cookie", CANARY).header("x-api-key", CANARY),
        canary(&format!("/api/webhooks/edr/{CANARY}")),
        canary(&format!("/api/incidents?token={CANARY}")),
        canary("/api/plugins/returns/run").header("authorization", format!("Basic {CANARY}")),
        host.request(Method::POST, "/api/plugins/returns/run").body(format!("{{\"secret\": \"{CANARY}\"}}")),
        host.request(Method::PATCH, "/api/incidents/INC-2026-0001").body(format!("{{\"status\": \"{CANARY}\"}}")),
        host.request(Method::GET, &format!("/api/events?token={CANARY}")),
    ] {
        let answer = send(request).await.unwrap();
        assert!(answer.status < 500, "{answer:?}");
    }
    host.signed("edr", incident(json!({"source-ref": "delivered"}))).await;
    host.logs("delivery attempt").await;
    // Internal errors contain no secret either.
    let disk = rusqlite::Connection::open(folder.path("data/hookmill.db")).unwrap();
    disk.execute_batch("DROP TABLE recent_repeats").unwrap();
    let failing = canary(&format!("/api/webhooks/edr?token={CANARY}"));
    // Another body: a repeat is recognised without the table.
    assert_eq!(send(signed(failing, unix_s(), CANARY.repeat(2))).await.unwrap().status, 500);
    let kept = lines(&host, "?tail=10000").await.join("\n");
    for text in ["webhook refused", "event quarantined", "delivery attempt", "no such table: recent_repeats"] {
        assert!(kept.contains(text), "{text} in {kept}");
    }
    for secret in [CANARY, SECRET, ADMIN_TOKEN, "Y2FuYXJ5"] {
        assert!(!kept.contains(secret), "{secret} in {kept}");
    }
}

#[tokio::test]
async fn every_request_has_an_id() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: returns } }").with("returns", &guest("returns"));
    let host = folder.start().await;
    let body = incident(json!({"source-ref": "a"}));
    let taken = host.post("lab", body.clone()).await;
    assert_eq!(taken.request_id, taken.event_id());
    let repeat = host.post("lab", body).await;
    assert_ne!(repeat.request_id, repeat.event_id(), "it made no event");
    let refused = host.post("nobody", "").await;
    assert_eq!(lines(&host, &format!("?filter={}", refused.request_id)).await.len(), 1);

    let path = format!("/api/incidents/{}", taken.body["incident_number"].as_str().unwrap());
    let patched = host.call(Method::PATCH, &path, r#"{"status": "triaged"}"#).await;
    let deleted = host.call(Method::DELETE, &path, "").await;
    let trail = host.list(&format!("{path}/audit")).await;
    let ids: Vec<&Value> = trail.iter().map(|entry| &entry["requestId"]).collect();
    assert_eq!(ids, [&taken.request_id, &patched.request_id, &deleted.request_id]);

    for path in ["/healthz", "/readyz", "/openapi.json", "/nowhere", "/api/events/x", "/api/events?limit=0"] {
        let of_the_senders_choice = host.request(Method::GET, path).header("x-request-id", "chosen");
        let answer = send(of_the_senders_choice).await.unwrap();
        assert!(answer.request_id.parse::<uuid::Uuid>().is_ok(), "{path}: {answer:?}");
    }
    let disk = rusqlite::Connection::open(folder.path("data/hookmill.db")).unwrap();
    disk.execute_batch("DROP TABLE deliveries").unwrap();
    let failed = host.call(Method::GET, "/api/deliveries", "").await;
    assert_eq!((failed.status, failed.error_code()), (500, "internal"));
    let said = lines(&host, &format!("?filter={}", failed.request_id)).await;
    assert!(said.len() == 1 && said[0].contains("no such table: deliveries"), "{said:?}");
}

#[tokio::test]
async fn the_openapi_document_needs_no_token() {
    let folder = Folder::new("");
    let host = folder.start().await;
    let (status, text) = host.get_open("/openapi.json").await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
}
