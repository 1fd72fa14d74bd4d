//! Requests with which vendors check an endpoint before they post.

use crate::host::{Folder, SECRET, eventually, send};
use crate::schemes::{now_ms, request, scheme};
use crate::server::{Page, Server};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::time::Instant;

async fn text(request: RequestBuilder) -> (u16, String, String) {
    let response = request.send().await.unwrap();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    (response.status().as_u16(), kind.unwrap_or_default(), response.text().await.unwrap())
}

#[tokio::test]
async fn handshakes_are_answered() {
    let folder = Folder::new(&format!(
        "sources:
           slack: {{ scheme: slack, secret: {SECRET}, plugin: none }}
           zoom: {{ scheme: zoom, secrets: [{{ secret: {SECRET}-old }}, {{ secret: {SECRET} }}], plugin: none }}
           graph: {{ scheme: microsoft-graph, secret: {SECRET}, plugin: none }}
           okta: {{ scheme: okta, secret: {SECRET}, plugin: none }}
           elsewhere: {{ scheme: okta, secret: {SECRET}, plugin: none, allow_ips: [192.0.2.0/24] }}"
    ));
    let host = folder.start().await;
    let signed = |name: &str, body: &str| scheme(name, SECRET).sign(body.as_bytes(), now_ms(), "id").unwrap();
    let plain = "text/plain; charset=utf-8".to_owned();

    let asked = r#"{"token": "x", "challenge": "3eZbrw1aBm", "type": "url_verification"}"#;
    let answer = text(request(&host, "slack", &signed("slack", asked))).await;
    assert_eq!(answer, (200, plain.clone(), "3eZbrw1aBm".into()));
    assert_eq!(send(host.webhook("slack").body(asked)).await.unwrap().status, 401, "unsigned");

    let asked = r#"{"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}"#;
    let answer = send(request(&host, "zoom", &signed("zoom", asked))).await.unwrap();
    // The HMAC-SHA256 of the token, with the secret that signed the request.
    let encrypted = scheme("zoom", SECRET).hmac(0, b"qgg8vlvZRS6UYooatFL8Aw").unwrap();
    assert_eq!(answer.body, json!({"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": encrypted}));

    let asked = host.webhook("graph?validationToken=Validation%3A+a%20%3Cb%3E");
    assert_eq!(text(asked).await, (200, plain, "Validation: a <b>".into()));
    assert_eq!(text(host.webhook("slack?validationToken=x")).await.0, 401);

    let ask = |source: &str| {
        let request = host.client.get(format!("{}/api/webhooks/{source}", host.url));
        request.header("x-okta-verification-challenge", "its-value")
    };
    let answer = send(ask("okta")).await.unwrap();
    assert_eq!((answer.status, answer.body), (200, json!({"verification": "its-value"})));
    for nobody in ["slack", "elsewhere", "unknown"] {
        let answer = send(ask(nobody)).await.unwrap();
        assert_eq!((answer.status, answer.error_code()), (405, "method_not_allowed"), "{nobody}");
    }
    assert_eq!(host.list("/api/events").await.len(), 0, "a handshake must not be stored as an event");
    host.logs("handshake answered").await;
}

/// Everybody can send a handshake that has no signature.
#[tokio::test]
async fn handshakes_do_not_flood_the_log() {
    let folder = Folder::new(&format!("sources: {{ okta: {{ scheme: okta, secret: {SECRET}, plugin: none }} }}"));
    let host = folder.start().await;
    let began = Instant::now();
    for _ in 0..500 {
        let ask =
            host.client.get(format!("{}/api/webhooks/okta", host.url)).header("x-okta-verification-challenge", "a");
        assert_eq!(send(ask).await.unwrap().status, 200);
    }
    let logged = host.log().matches("handshake answered").count() as u64;
    // 20 in each second that has begun.
    assert!((1..=20 * (began.elapsed().as_secs() + 2)).contains(&logged), "{logged} lines");
}

/// The names are those of Event Grid. The host requests none of the URLs that it gets.
#[tokio::test]
async fn subscriptions_of_event_grid_and_cloud_events_are_validated() {
    let callback = Server::start([Page::status(200, "")]).await;
    let folder = Folder::new(&format!(
        "sources:
           grid: {{ scheme: azure-event-grid, secret: {SECRET}, plugin: none }}
           events: {{ scheme: {{ type: bearer, origins: [events.example] }}, secret: {SECRET}, plugin: none, \
                     requests_per_second: 2 }}
           url: {{ scheme: url-token, secret: {SECRET}, plugin: none }}
           elsewhere: {{ scheme: azure-event-grid, secret: {SECRET}, plugin: none, allow_ips: [192.0.2.0/24] }}"
    ));
    let host = folder.start().await;
    let event = |kind: &str, data: Value| {
        json!([{"id": "1", "topic": "/subscriptions/x", "subject": "", "eventType": kind, "data": data,
            "eventTime": "2026-01-01T00:00:00Z", "metadataVersion": "1", "dataVersion": "1"}])
        .to_string()
    };
    let validation = event(
        "Microsoft.EventGrid.SubscriptionValidationEvent",
        json!({"validationCode": "512d38b6", "validationUrl": callback.url}),
    );
    let grid = |path: &str, kind: &str, body: &str| {
        send(host.webhook(path).header("aeg-event-type", kind.to_owned()).body(body.to_owned()))
    };
    let right = format!("grid/{SECRET}");
    let answer = grid(&right, "SubscriptionValidation", &validation).await.unwrap();
    assert_eq!((answer.status, &answer.body), (200, &json!({"validationResponse": "512d38b6"})));
    for (path, status) in [
        (format!("grid/{SECRET}x"), 401),
        ("grid".into(), 401),
        (format!("elsewhere/{SECRET}"), 403),
        ("none".into(), 404),
    ] {
        let answer = grid(&path, "SubscriptionValidation", &validation).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.body.to_string().contains("512d38b6"), "{answer:?}");
    }
    assert_eq!(host.list("/api/events").await.len(), 0, "a handshake must not be stored as an event");
    // Everything else is a payload, and so is the same event for a source that expects no handshake.
    for (path, kind, body) in [
        (&right, "Notification", &validation),
        (&right, "SubscriptionValidation", &event("Another.Event", json!({"validationCode": "512d38b6"}))),
        (&right, "SubscriptionValidation", &"{}".to_owned()),
        (&format!("url/{SECRET}"), "SubscriptionValidation", &validation),
    ] {
        let answer = grid(path, kind, body).await.unwrap();
        assert_eq!((answer.status, answer.status_word()), (202, "ignored"), "{kind} {body}: {answer:?}");
    }
    let ended = event("Microsoft.EventGrid.SubscriptionDeletedEvent", json!({}));
    let answer = grid(&right, "SubscriptionDeletion", &ended).await.unwrap();
    assert!(answer.body["message"].as_str().unwrap().contains("removed the subscription"), "{answer:?}");

    let options = |path: &str, origin: &str| {
        let request = host.client.request(Method::OPTIONS, format!("{}/api/webhooks/{path}", host.url));
        let request = request.header("webhook-request-callback", format!("{}/confirm", callback.url));
        if origin.is_empty() { request } else { request.header("webhook-request-origin", origin) }.send()
    };
    for (path, origin, rate) in [
        (&*right, "eventgrid.azure.net", "*"),
        (&right, "EventGrid.azure.net", "*"),
        ("events", "events.example", "120"),
    ] {
        let answer = options(path, origin).await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(
            (header("webhook-allowed-origin").as_str(), header("webhook-allowed-rate").as_str()),
            (origin, rate)
        );
        assert_eq!(header("allow"), "POST");
    }
    for (path, origin) in [
        ("grid", "eventgrid.azure.net"),
        (&format!("grid/{SECRET}x"), "eventgrid.azure.net"),
        (&right, "events.example"),
        (&right, "*"),
        (&right, ""),
        ("events", "eventgrid.azure.net"),
        (&format!("events/{SECRET}"), "events.example"),
        (&format!("url/{SECRET}"), "eventgrid.azure.net"),
        (&format!("elsewhere/{SECRET}"), "eventgrid.azure.net"),
        ("none", "eventgrid.azure.net"),
    ] {
        let answer = options(path, origin).await.unwrap();
        assert_eq!(answer.status(), 405, "{path} {origin}");
        assert!(!answer.headers().contains_key("webhook-allowed-origin"), "{path} {origin}");
    }
    assert_eq!(callback.asked(0).await.len(), 0, "no URL of a request may be requested");
    assert!(!host.log().contains(SECRET), "{}", host.log());
}

/// Strangers can send handshakes without a signature, so that they count in the limit of the host.
#[tokio::test]
async fn handshakes_count_in_the_limit_of_the_host() {
    let folder = Folder::new(&format!(
        "limits: {{ requests_per_second: 1 }}\nsources:\n  sso: {{ scheme: okta, secret: {SECRET}, plugin: none }}\n  \
         grid: {{ scheme: azure-event-grid, secret: {SECRET}, plugin: none }}\n"
    ));
    let host = folder.start().await;
    for (method, path, name, value) in [
        (Method::GET, "sso".to_owned(), "x-okta-verification-challenge", "a-challenge"),
        (Method::OPTIONS, format!("grid/{SECRET}"), "webhook-request-origin", "eventgrid.azure.net"),
        (Method::OPTIONS, "nobody".to_owned(), "webhook-request-origin", "eventgrid.azure.net"),
    ] {
        let limited = eventually("an answer 429", async || {
            let request = host.client.request(method.clone(), format!("{}/api/webhooks/{path}", host.url));
            let answer = request.header(name, value).send().await.unwrap();
            (answer.status() == 429).then_some(answer)
        });
        assert!(limited.await.headers().contains_key("retry-after"), "{path}");
    }
}
