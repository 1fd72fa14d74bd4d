//! Refused requests: their exact causes, for operators only.

use crate::host::{ADMIN_TOKEN, Folder, Host, SECRET, send, signature_with, signed, unix_s};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::io::Write;

const OTHER: &str = "another-secret-of-the-tests";
const FORMER: &str = "a-former-secret-of-the-tests";

async fn refusals(host: &Host<'_>, query: &str) -> Vec<Value> {
    host.list(&format!("/api/refusals{query}")).await
}

/// Signs with scheme `hookmill` and another secret.
fn signed_with(secret: &str, request: RequestBuilder, body: &str) -> RequestBuilder {
    let at = unix_s().to_string();
    let signature = format!("sha256={}", signature_with(secret, at.as_bytes(), body.as_bytes()));
    request.header("x-webhook-timestamp", at).header("x-webhook-signature", signature).body(body.to_owned())
}

#[tokio::test]
async fn the_operator_sees_the_exact_cause_and_the_sender_does_not() {
    let folder = Folder::new(&format!(
        "sources:
           edr: {{ secret: {SECRET}, plugin: none }}
           rotated: {{ secrets: [{{ secret: {SECRET} }}, {{ secret: {FORMER}, not_after: 2026-01-31T00:00:00Z }}], plugin: none }}
           token: {{ scheme: url-token, secret: {SECRET}, plugin: none }}
           small: {{ scheme: none, plugin: none, payload_mib: 1 }}
           inside: {{ scheme: none, plugin: none, allow_ips: [192.0.2.0/24] }}"
    ));
    let host = folder.start().await;
    let edr = || host.webhook("edr");
    // Refused when it is unpacked: the client could not send a larger body completely.
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&vec![b'x'; 2 << 20]).unwrap();
    let large = packed.finish().unwrap();
    let hidden = "Webhook signature verification failed";
    for (source, request, status, code, message, reason) in [
        ("edr", signed_with(OTHER, edr(), "{}"), 401, "invalid_signature", hidden, "another secret"),
        ("edr", edr().body("{}"), 401, "invalid_signature", hidden, "the header `x-webhook-signature` is missing"),
        (
            "edr",
            edr().header("x-webhook-signature", "sha256=00").body("{}"),
            401,
            "invalid_signature",
            hidden,
            "the header `x-webhook-timestamp` is missing",
        ),
        (
            "edr",
            edr().header("x-webhook-signature", "md5=00").body("{}"),
            401,
            "invalid_signature",
            hidden,
            "the header `x-webhook-signature` does not have the form of the scheme",
        ),
        ("edr", signed(edr(), unix_s() - 420, "{}"), 401, "timestamp_expired", "5 minutes", "signed 7 min"),
        ("edr", signed(edr(), unix_s() + 420, "{}"), 401, "timestamp_expired", "5 minutes", "in the future"),
        ("token", host.webhook("token").body("{}"), 401, "invalid_signature", hidden, "the URL has no secret"),
        (
            "edr",
            host.client.put(format!("{}/api/webhooks/edr", host.url)),
            405,
            "method_not_allowed",
            "this method",
            "this method",
        ),
        (
            "small",
            host.webhook("small").header("content-encoding", "gzip").body(large.clone()),
            413,
            "payload_too_large",
            "1048576",
            "1048576",
        ),
        ("inside", host.webhook("inside").body("{}"), 403, "forbidden", "your address", "`allow_ips`"),
        ("edr", host.webhook("Edr").body("{}"), 404, "unknown_source", "'Edr' is not registered", "'Edr'"),
        (
            "rotated",
            signed_with(FORMER, host.webhook("rotated"), "{}"),
            401,
            "invalid_signature",
            hidden,
            "replaced and is no longer valid",
        ),
    ] {
        let answer = send(request).await.unwrap();
        assert_eq!((answer.status, answer.error_code()), (status, code), "{source} {reason}");
        assert!(answer.body["error"]["message"].as_str().unwrap().contains(message), "{source} {reason}: {answer:?}");
        let newest = refusals(&host, &format!("?source={source}&limit=1")).await.remove(0);
        assert!(newest["reason"].as_str().unwrap().contains(reason), "{source} {reason}: {newest}");
        let rest = (&newest["id"], &newest["source"], &newest["code"], &newest["address"], &newest["count"]);
        let expected = (&json!(answer.request_id), &json!(source), &json!(code), &json!("127.0.0.1"), &json!(1));
        assert_eq!(rest, expected, "{reason}");
        assert_eq!(newest["first_at"], newest["last_at"]);
    }
    host.post("nobody", "{}").await;
    let all = refusals(&host, "").await;
    assert_eq!((all.len(), &all[0]["source"]), (13, &Value::Null));
    let text = json!(all).to_string();
    assert!(!text.contains(OTHER) && !text.contains(SECRET) && !text.contains(FORMER), "{text}");
    let logged = host.log();
    assert!(logged.contains("signed 7 min"), "{logged}");

    for (query, token, status) in [("?colour=red", ADMIN_TOKEN, 400), ("", "hm_0", 401)] {
        let path = format!("{}/api/refusals{query}", host.url);
        assert_eq!(send(host.client.get(path).bearer_auth(token)).await.unwrap().status, status, "{query}");
    }
}

#[tokio::test]
async fn an_attack_is_counted_and_hides_nothing() {
    let folder = Folder::new(&format!("sources: {{ edr: {{ secret: {SECRET}, plugin: none }} }}"));
    let host = folder.start().await;
    host.post("edr", "first").await;
    for _ in 0..100 {
        send(signed(host.webhook("edr"), unix_s() + 9000, "{}")).await.unwrap();
    }
    let names: Vec<String> = ('a'..='j').flat_map(|a| ('a'..='j').map(move |b| format!("unknown-{a}{b}"))).collect();
    for name in &names {
        host.post(name, "{}").await;
    }
    let of_edr = refusals(&host, "?source=edr").await;
    let counts: Vec<&Value> = of_edr.iter().map(|entry| &entry["count"]).collect();
    assert_eq!(counts, [100, 1], "{of_edr:#?}");
    assert!(of_edr[1]["reason"].as_str().unwrap().contains("is missing"), "{of_edr:#?}");
    let all = refusals(&host, "?limit=1000").await;
    let unknown: Vec<&Value> = all.iter().filter(|entry| entry["source"].is_null()).collect();
    assert_eq!(unknown.len(), 32);
    assert!(unknown[0]["reason"].as_str().unwrap().contains("unknown-jj"), "{unknown:?}");
}
