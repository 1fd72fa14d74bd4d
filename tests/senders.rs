//! Senders with small faults: wrong URLs, secrets in wrong places, repeats with other ids, and messages about the webhook.

use crate::guest::guest;
use crate::host::{Answer, Folder, Host, SECRET, eventually, send, signed, unix_s};
use hookmill_signatures::{Declaration, Scheme, Secret};
use reqwest::Method;
use serde_json::{Value, json};

/// The secret of `standard-webhooks`.
const BASE64: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn scheme(name: &str) -> Scheme {
    let secret = if name == "standard-webhooks" { BASE64 } else { SECRET };
    Scheme::declare(&Declaration::preset(name), &[Secret::new(secret.into())]).unwrap()
}

async fn post(host: &Host<'_>, name: &str, body: &str, id: &str) -> Answer {
    let signed = scheme(name).sign(body.as_bytes(), unix_s() as i64 * 1000, id).unwrap();
    send(host.webhook(name).headers(signed.headers).body(signed.body)).await.unwrap()
}

async fn source(host: &Host<'_>, name: &str) -> Value {
    host.get(&format!("/api/sources/{name}")).await
}

/// Slashes too many are forgiven. Other requests to nearly the right URL are refused, and counted for the source.
#[tokio::test]
async fn nearly_right_urls_are_taken_or_counted() {
    const TOKEN: &str = "canary-in-the-url-of-a-webhook";
    let folder = Folder::new(&format!(
        "sources:
           edr: {{ secret: {SECRET}, plugin: none }}
           splunk: {{ scheme: url-token, secret: {TOKEN}, plugin: none }}"
    ));
    let host = folder.start().await;
    for path in ["/api/webhooks/edr/", "//api/webhooks/edr", "/api//webhooks//edr//"] {
        let request = host.client.post(format!("{}{path}", host.url));
        let answer = send(signed(request, unix_s(), path)).await.unwrap();
        assert_eq!((answer.status, answer.status_word()), (202, "ignored"), "{path}: {answer:?}");
    }
    for (path, status) in [
        (format!("//api/webhooks/splunk/{TOKEN}/"), 202),
        (format!("//api/webhooks/splunk/{TOKEN}-not/"), 401),
        ("/api/webhooks/splunk/".to_owned(), 401),
        ("/api/webhooks/unknown/".to_owned(), 404),
        ("/api/webhooks/Edr".to_owned(), 404),
        ("/api/webhooks/edr%20".to_owned(), 404),
    ] {
        let answer = send(host.client.post(format!("{}{path}", host.url)).body(path.clone())).await.unwrap();
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    assert_eq!(host.metric("webhook_errors_total{source=\"edr\",code=\"unknown_source\"}").await, 2.0);
    let edr = source(&host, "edr").await;
    assert_eq!((&edr["refused"], &edr["last_error"]["code"]), (&json!(2), &json!("unknown_source")), "{edr}");
    assert!(host.log().lines().any(|line| line.contains("source=\"edr\"") && line.contains("'Edr' is not registered")));
    let refused = source(&host, "splunk").await["refused"].as_u64().unwrap();
    for (method, path, status, code) in [
        (Method::POST, format!("/api/webhooks/splunk/{TOKEN}/more"), 404, "not_found"),
        (Method::POST, format!("/webhooks/splunk/{TOKEN}"), 404, "not_found"),
        (Method::POST, "/api/webhook/splunk".to_owned(), 404, "not_found"),
        (Method::PUT, "/api/webhooks/splunk".to_owned(), 405, "method_not_allowed"),
        (Method::GET, "/api/webhooks/splunk".to_owned(), 405, "method_not_allowed"),
    ] {
        let answer = host.call(method, &path, "").await;
        assert_eq!((answer.status, answer.error_code()), (status, code), "{path}: {answer:?}");
    }
    let splunk = source(&host, "splunk").await;
    assert_eq!(splunk["refused"].as_u64().unwrap(), refused + 5, "{splunk}");
    assert_eq!(splunk["last_error"]["code"], "method_not_allowed");
    assert_eq!(host.metric("webhook_errors_total{source=\"splunk\",code=\"not_found\"}").await, 3.0);
    host.logs("webhook refused: there is no such path").await;
    assert!(!host.log().contains(TOKEN));
}

/// Proxies copy the URL and credentials into headers, and senders put secrets under any name.
#[tokio::test]
async fn no_header_or_parameter_with_a_secret_is_stored() {
    const TOKEN: &str = "canary/in the+url of%a webhook";
    const ENCODED: &str = "canary%2Fin%20the%2Burl%20of%25a%20webhook";
    let folder =
        Folder::new(&format!("sources: {{ splunk: {{ scheme: url-token, secret: \"{TOKEN}\", plugin: none }} }}"));
    let host = folder.start().await;
    let url = format!("/api/webhooks/splunk/{ENCODED}");
    let request = host
        .client
        .post(format!("{}{url}?sig=canary1&api_key=canary2&k={ENCODED}&{ENCODED}&shown=yes", host.url))
        .header("x-original-uri", &url)
        .header("x-forwarded-uri", &url)
        .header("referer", format!("https://soc.example/login?next={}", ENCODED.replace('%', "%25")))
        .header("x-note", format!("the token is {TOKEN}"))
        .header("x-apikey", "canary3")
        .header("x_api_key", "canary4")
        .header("X-Forwarded-Authorization", "canary5")
        .header("x-event-key", "repo:push");
    let answer = send(request.body("{}")).await.unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    let event = host.get(&format!("/api/events/{}", answer.event_id())).await;
    let (headers, context) = (event["headers"].to_string(), event["context"].to_string());
    assert!(!headers.contains("canary") && !context.contains("canary"), "{headers} {context}");
    assert!(headers.contains("repo:push") && context.contains("query.shown"), "{headers} {context}");
    let kept = std::fs::read(folder.path("data/hookmill.db-wal")).unwrap();
    assert!(!kept.windows(6).any(|bytes| bytes == b"canary"));
}

/// An attacker who has seen a signed request can send it again with another id, if the id is not signed.
#[tokio::test]
async fn an_unsigned_id_does_not_make_a_repeat_new() {
    let folder = Folder::new(&format!(
        "sources:
  github: {{ scheme: github, secret: {SECRET}, plugin: none }}
  standard-webhooks: {{ scheme: standard-webhooks, secret: {BASE64}, plugin: none }}"
    ));
    let host = folder.start().await;
    let first = post(&host, "github", "one", "a").await;
    for id in ["a", "b", "b"] {
        let answer = post(&host, "github", "one", id).await;
        assert_eq!((answer.event_id(), &answer.body["duplicate"]), (first.event_id(), &json!(true)), "{id}");
    }
    assert!(post(&host, "github", "two", "a").await.body["duplicate"].is_null());
    // A signed id tells two deliveries apart.
    let first = post(&host, "standard-webhooks", "one", "a").await;
    assert_ne!(post(&host, "standard-webhooks", "one", "b").await.event_id(), first.event_id());
}

/// Vendors test the webhook and report the end of subscriptions. No mapper has to understand that.
#[tokio::test]
async fn messages_about_the_webhook_are_ignored_with_what_the_vendor_asks_for() {
    let folder = Folder::new(&format!(
        "sources:
  microsoft-graph: {{ scheme: microsoft-graph, secret: {SECRET}, plugin: traps }}
  pagerduty: {{ scheme: pagerduty, secret: {SECRET}, plugin: traps }}
  github: {{ scheme: github, secret: {SECRET}, plugin: traps }}"
    ))
    .with("traps", &guest("traps"));
    let host = folder.start().await;
    let lifecycle = |event: &str| {
        json!({"subscriptionId": "sub-1", "subscriptionExpirationDateTime": "2026-12-01T00:00:00Z",
            "clientState": SECRET, "lifecycleEvent": event})
    };
    let change = |content: Value| {
        json!({"subscriptionId": "sub-1", "clientState": SECRET, "changeType": "created",
            "resource": "security/alerts_v2/1", "resourceData": content})
    };
    let list = |items: Value| json!({"value": items}).to_string();
    for (body, words) in [
        (
            list(json!([lifecycle("reauthorizationRequired")])),
            &["reauthorize", "sub-1", "before 2026-12-01T00:00:00Z"][..],
        ),
        (list(json!([lifecycle("subscriptionRemoved"), lifecycle("missed")])), &["new subscription", "missed"]),
        (lifecycle("missed").to_string(), &["could not deliver"]),
        (format!("\u{feff}{}", list(json!([lifecycle("missed")]))), &["could not deliver"]),
        (
            list(json!([lifecycle("missed"), change(json!({"id": "1"}))])),
            &["could not deliver", "alerts_v2/1 was created"],
        ),
        (
            change(json!({"@odata.type": "#microsoft.graph.security.alert", "id": "1"})).to_string(),
            &["without its content"],
        ),
    ] {
        let answer = host.post("microsoft-graph", body.clone()).await;
        assert_eq!((answer.status, answer.status_word()), (202, "ignored"), "{body}: {answer:?}");
        let message = answer.body["message"].as_str().unwrap();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        let event = host.get(&format!("/api/events/{}", answer.event_id())).await;
        assert!(!event["body"].to_string().contains(SECRET), "{event}");
    }
    let ping = r#"{"event": {"id": "1", "event_type": "pagey.ping"}}"#;
    assert_eq!(post(&host, "pagerduty", ping, "id").await.body["message"], "PagerDuty tested the webhook (pagey.ping)");
    let signed = scheme("github").sign(b"{\"zen\": \"x\"}", unix_s() as i64 * 1000, "id").unwrap();
    let request = host.webhook("github").headers(signed.headers).header("x-github-event", "ping").body(signed.body);
    assert_eq!(send(request).await.unwrap().status_word(), "ignored");

    // Everything else goes to the mapper, also a notification with content beside a lifecycle event, or without a list.
    for body in [
        list(json!([lifecycle("missed"), change(json!({"title": "Malware"}))])),
        change(json!({"title": "Malware"})).to_string(),
    ] {
        assert_eq!(host.post("microsoft-graph", body).await.status_word(), "queued");
    }
}

/// A secret that ends with a newline works the same from the environment, the file and the API.
#[tokio::test]
async fn a_newline_after_a_secret_does_not_matter() {
    let folder = Folder::new(&format!(
        "sources:
  from-environment: {{ secret: \"${{EDR_SECRET}}\", plugin: none }}
  from-file: {{ secret: \"{SECRET}\\n\", plugin: none }}"
    ));
    let host = folder.start_listening_by(folder.hookmill(&["serve"]).env("EDR_SECRET", format!("{SECRET}\n"))).await;
    host.ready().await;
    let declared = json!({"source": "from-api", "secret": format!("{SECRET}\r\n"), "plugin": "none"});
    assert_eq!(host.call(Method::POST, "/api/webhooks", declared.to_string()).await.status, 201);
    let rotated = json!({"source": "rotated", "plugin": "none"}).to_string();
    assert_eq!(host.call(Method::POST, "/api/webhooks", rotated).await.status, 201);
    let secret = json!({"secret": format!("{SECRET}\n")}).to_string();
    assert_eq!(host.call(Method::POST, "/api/sources/rotated/rotate", secret).await.status, 200);
    for name in ["from-environment", "from-file", "from-api", "rotated"] {
        assert_eq!(host.signed(name, "{}").await.status, 202, "{name}");
    }
    eventually("the counts", async || (source(&host, "rotated").await["accepted"] == 1).then_some(())).await;
}
