//! Every signature scheme in a real host: accepted requests, answers, handshakes and stored data.

use crate::guest::guest;
use crate::host::{Answer, Folder, Host, SECRET, send, unix_s};
use crate::outcome::returns;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use hookmill_signatures::{Declaration, Scheme, Secret, Signed};
use reqwest::RequestBuilder;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::io::Write;
use tokio::task::JoinSet;

pub fn scheme(name: &str, secret: &str) -> Scheme {
    let declaration = match name {
        "hmac" => Declaration::preset(name).with("signature_header", "x-sum"),
        "static-header" => Declaration::preset(name).with("header", "x-key"),
        "body-secret" => Declaration::preset(name).with("pointer", "/auth/token"),
        _ => Declaration::preset(name),
    };
    Scheme::declare(&declaration, &[Secret::new(secret.into())]).unwrap()
}

pub fn now_ms() -> i64 {
    unix_s() as i64 * 1000
}

/// Makes a request with the scheme's headers, token and body.
pub fn request(host: &Host, source: &str, signed: &Signed) -> RequestBuilder {
    let path = signed.token.as_ref().map_or(source.to_owned(), |token| format!("{source}/{token}"));
    host.webhook(&path).headers(signed.headers.clone()).body(signed.body.clone())
}

async fn post(host: &Host<'_>, source: &str, scheme: &Scheme, body: impl AsRef<[u8]>, id: &str) -> Answer {
    send(request(host, source, &scheme.sign(body.as_ref(), now_ms(), id).unwrap())).await.unwrap()
}

fn secret_of(name: &str) -> String {
    if name == "basic" { format!("soc:{SECRET}") } else { SECRET.into() }
}

#[tokio::test]
async fn every_scheme_accepts_its_signature() {
    // Secrets of standard-webhooks are base64.
    let written = |name: &str| match name {
        "standard-webhooks" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        name => secret_of(name),
    };
    let is_signed_here = |name: &&str| !matches!(*name, "none" | "aws-sns" | "jwt" | "google-pubsub");
    let names: Vec<&str> = hookmill_signatures::scheme_names().filter(is_signed_here).collect();
    let mut config = "sources:\n".to_owned();
    for name in &names {
        let scheme = match *name {
            "hmac" => "{ type: hmac, signature_header: X-Sum }",
            "static-header" => "{ type: static-header, header: X-Key }",
            "body-secret" => "{ type: body-secret, pointer: /auth/token }",
            name => name,
        };
        config += &format!("  {name}: {{ scheme: {scheme}, secret: \"{}\", plugin: none }}\n", written(name));
    }
    let folder = Folder::new(&config);
    let host = folder.start().await;
    for name in names {
        let sender = scheme(name, &written(name));
        let answer = post(&host, name, &sender, r#"{"value": [{"id": "1"}]}"#, "id-1").await;
        assert_eq!((answer.status, answer.status_word()), (202, "ignored"), "{name}: {answer:?}");
        let event = host.get(&format!("/api/events/{}", answer.event_id())).await;
        let headers = event["headers"].to_string();
        assert!(!headers.contains(SECRET) && !headers.contains("signature"), "{name}: {headers}");
        assert!(!headers.contains("x-sum") && !headers.contains("x-key"), "{name}: {headers}");

        let stranger = scheme(name, &written(name).replace("MfKQ", "MfKR").replace("a-secret", "b-secret"));
        let refused = post(&host, name, &stranger, r#"{"value": [{"id": "2"}]}"#, "id-2").await;
        assert_eq!((refused.status, refused.error_code()), (401, "invalid_signature"), "{name}");
        let refused = send(host.webhook(name).body("{}")).await.unwrap();
        assert_eq!((refused.status, refused.error_code()), (401, "invalid_signature"), "{name}");
    }
}

/// Vendor schemes are answered 202, because vendors disable an endpoint that answers 4xx.
#[tokio::test]
async fn refused_payloads_are_answered_by_the_kind_of_scheme() {
    let folder = Folder::new(&format!(
        "sources:
           own: {{ secret: {SECRET}, plugin: returns }}
           custom: {{ secret: {SECRET}, plugin: returns, scheme: bearer }}
           vendor: {{ secret: {SECRET}, plugin: returns, scheme: github }}
           told: {{ secret: {SECRET}, plugin: returns, scheme: github, on_unmappable: reject }}"
    ))
    .with("returns", &guest("returns"));
    let host = folder.start().await;
    let body = returns(&json!({"unsupported": "another kind"}));
    for (source, name, status) in
        [("own", "hookmill", 422), ("custom", "bearer", 422), ("vendor", "github", 202), ("told", "github", 422)]
    {
        assert_eq!(post(&host, source, &scheme(name, SECRET), &body, "id").await.status, status, "{source}");
    }
}

/// A payload that is mapped, one that waits in quarantine, and one that is refused.
#[tokio::test]
async fn a_secret_in_the_body_is_never_stored_or_logged() {
    const CANARY: &str = "canary-in-the-body-of-a-webhook";
    let folder = Folder::new(&format!(
        "sources:
           wiz: {{ scheme: {{ type: body-secret, pointer: /auth/token }}, secret: {CANARY}, plugin: none }}
           traps: {{ scheme: {{ type: body-secret, pointer: /auth/token }}, secret: {CANARY}, plugin: traps }}"
    ))
    .with("traps", &guest("traps"));
    let host = folder.start().await;
    let body = |secret: &str, n: u32| {
        format!(r#"{{"n": {n}, "auth": {{"token": "{secret}", "user": "wiz"}}, "url": "/x?token={secret}"}}"#)
    };
    let first = host.post("wiz", body(CANARY, 1)).await;
    assert_eq!((first.status, first.status_word()), (202, "ignored"), "{first:?}");
    assert_eq!(host.post("wiz", body(CANARY, 1)).await.body["duplicate"], true);
    let failed = host.post("traps", body(CANARY, 2)).await;
    assert_eq!((failed.status, failed.status_word()), (202, "queued"), "{failed:?}");
    let refused = host.post("wiz", body(&format!("{CANARY}-not"), 3)).await;
    assert_eq!((refused.status, refused.error_code()), (401, "invalid_signature"));
    let event = host.get(&format!("/api/events/{}", first.event_id())).await;
    let stars = "*".repeat(CANARY.len());
    let expected = format!(r#"{{"n": 1, "auth": {{"user": "wiz"}}, "url": "/x?token={stars}"}}"#);
    assert_eq!(event["body"]["data"], expected, "{event}");
    let quarantine = host.get("/api/quarantine").await.to_string();
    let (_, metrics) = host.get_open("/metrics").await;
    let mut kept = [host.log(), metrics, quarantine].concat().into_bytes();
    for entry in std::fs::read_dir(folder.path("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            kept.extend(std::fs::read(path).unwrap());
        }
    }
    assert!(kept.windows(3).any(|bytes| bytes == b"wiz"));
    assert!(!kept.windows(CANARY.len()).any(|bytes| bytes == CANARY.as_bytes()));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn compressed_payloads_are_unpacked_after_verification() {
    let folder = Folder::new(&format!("sources: {{ edr: {{ secret: {SECRET}, plugin: none }} }}"));
    let host = folder.start().await;
    let scheme = scheme("hookmill", SECRET);
    let packed = gzip(b"{\"alert\": 1}");
    let bomb = gzip(&vec![b' '; 1024 * 1024 + 1]);
    for (encoding, body, status, code) in [
        ("gzip", &packed, 202, None),
        ("GZIP", &gzip(b"{\"alert\": 2}"), 202, None),
        ("gzip", &bomb, 413, Some("payload_too_large")),
        ("gzip", &b"{}".to_vec(), 400, Some("invalid_request")),
        ("gzip", &[&packed[..], b"x"].concat(), 400, Some("invalid_request")),
        ("br", &packed, 400, Some("invalid_request")),
        ("gzip, gzip", &packed, 400, Some("invalid_request")),
    ] {
        let signed = scheme.sign(body, now_ms(), "id").unwrap();
        let answer = send(request(&host, "edr", &signed).header("content-encoding", encoding)).await.unwrap();
        assert_eq!(answer.status, status, "{encoding}: {answer:?}");
        if let Some(code) = code {
            assert_eq!(answer.error_code(), code, "{encoding}: {answer:?}");
        }
    }
    // The signature covers the bytes on the wire.
    let mut signed = scheme.sign(b"{\"alert\": 1}", now_ms(), "id").unwrap();
    signed.body = packed;
    let answer = send(request(&host, "edr", &signed).header("content-encoding", "gzip")).await.unwrap();
    assert_eq!((answer.status, answer.error_code()), (401, "invalid_signature"));

    let events = host.list("/api/events").await;
    assert_eq!(events.len(), 2);
    let event = host.get(&format!("/api/events/{}", events[1]["id"].as_str().unwrap())).await;
    assert_eq!(event["body"], json!({"encoding": "utf-8", "data": "{\"alert\": 1}"}));
    assert!(!event["headers"].to_string().contains("content-encoding"), "{event}");
}

#[tokio::test]
async fn a_token_in_the_url_is_never_stored_or_logged() {
    const TOKEN: &str = "canary-in-the-url-of-a-webhook";
    let folder = Folder::new(&format!(
        "sources:
           splunk: {{ scheme: url-token, secret: {TOKEN}, plugin: none }}
           edr: {{ secret: {SECRET}, plugin: none }}
           open: {{ scheme: none, plugin: none }}"
    ));
    let host = folder.start().await;
    for (path, status, code) in [
        (format!("splunk/{TOKEN}"), 202, ""),
        (format!("splunk/{TOKEN}-not"), 401, "invalid_signature"),
        ("splunk".into(), 401, "invalid_signature"),
        (format!("edr/{TOKEN}"), 401, "invalid_signature"),
        (format!("open/{TOKEN}"), 401, "invalid_signature"),
        (format!("unknown/{TOKEN}"), 404, "unknown_source"),
        (format!("splunk/{TOKEN}/more"), 404, "not_found"),
    ] {
        let answer = send(host.webhook(&path).body("{}")).await.unwrap();
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(code.is_empty() || answer.error_code() == code, "{path}: {answer:?}");
        assert!(!answer.body.to_string().contains(TOKEN), "{answer:?}");
    }
    let (_, metrics) = host.get_open("/metrics").await;
    let mut kept = [host.log(), metrics].concat().into_bytes();
    for entry in std::fs::read_dir(folder.path("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            kept.extend(std::fs::read(path).unwrap());
        }
    }
    assert!(!kept.windows(TOKEN.len()).any(|bytes| bytes == TOKEN.as_bytes()));
}

#[tokio::test]
async fn only_allowed_addresses_may_send() {
    let folder = Folder::new(
        "trusted_proxies: [127.0.0.0/8]
sources:
  here: { scheme: none, plugin: none, allow_ips: [127.0.0.1/32] }
  there: { scheme: none, plugin: none, allow_ips: [192.0.2.0/24, \"2001:db8::/32\"] }",
    );
    let host = folder.start().await;
    for (source, forwarded, status) in [
        ("here", None, 202),
        ("there", None, 403),
        ("there", Some("192.0.2.7"), 202),
        ("there", Some("2001:db8::7"), 202),
        ("there", Some("192.0.2.7, 198.51.100.1"), 403),
        ("there", Some("198.51.100.1, 192.0.2.7, 127.0.0.9"), 202),
        ("there", Some("nonsense"), 403),
        ("here", Some("192.0.2.7"), 403),
    ] {
        let mut request = host.webhook(source).body(format!("{forwarded:?}"));
        if let Some(forwarded) = forwarded {
            request = request.header("x-forwarded-for", forwarded);
        }
        let answer = send(request).await.unwrap();
        assert_eq!(answer.status, status, "{source} {forwarded:?}: {answer:?}");
        if status == 403 {
            assert_eq!(answer.error_code(), "forbidden");
        }
    }
}

#[tokio::test]
async fn every_secret_is_accepted_until_it_expires() {
    let folder = Folder::new(
        "sources:
  edr:
    plugin: none
    secrets:
      - { secret: the-one-that-has-passed-its-time, not_after: 2020-01-01T00:00:00Z }
      - { secret: the-one-that-is-on-its-way-out, not_after: 2999-01-01T00:00:00Z }
      - secret: the-one-that-is-to-be-used-now",
    );
    let host = folder.start().await;
    for (secret, status) in [
        ("the-one-that-has-passed-its-time", 401),
        ("the-one-that-is-on-its-way-out", 202),
        ("the-one-that-is-to-be-used-now", 202),
        ("the-one-that-nobody-ever-set-up", 401),
    ] {
        let answer = post(&host, "edr", &scheme("hookmill", secret), secret, "id").await;
        assert_eq!(answer.status, status, "{secret}: {answer:?}");
    }
}

#[tokio::test]
async fn the_delivery_id_or_signing_time_identifies_a_repeat() {
    let folder = Folder::new(&format!(
        "dedup_window: 1s
sources:
  github: {{ scheme: github, secret: {SECRET}, plugin: none }}
  sentry: {{ scheme: sentry, secret: {SECRET}, plugin: none }}"
    ));
    let host = folder.start().await;
    let github = scheme("github", SECRET);
    let first = post(&host, "github", &github, "one", "a").await;
    // With a delivery id, a repeat is recognised after the window too.
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    for (body, id, repeats) in [("one", "a", true), ("two", "a", false), ("one", "b", false)] {
        let answer = post(&host, "github", &github, body, id).await;
        assert_eq!(answer.body["duplicate"] == true, repeats, "{body} {id}: {answer:?}");
        assert_eq!(answer.event_id() == first.event_id(), repeats, "{body} {id}");
    }
    let event = host.get(&format!("/api/events/{}", first.event_id())).await;
    assert_eq!(event["context"], json!([{"name": "delivery-id", "value": "a"}]));

    let mut requests = JoinSet::new();
    for _ in 0..16 {
        requests.spawn(send(request(&host, "github", &github.sign(b"at once", now_ms(), "c").unwrap())));
    }
    let answers: Vec<Answer> = requests.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| answer.body["duplicate"].is_null()).count(), 1, "{answers:?}");

    // Without id and time: the same body within the window.
    let sentry = scheme("sentry", SECRET);
    let first = post(&host, "sentry", &sentry, "one", "a").await;
    assert_eq!(post(&host, "sentry", &sentry, "one", "b").await.event_id(), first.event_id());
}

const TOPIC: &str = "arn:aws:sns:us-west-2:123456789012:MyTopic";
const SNS_KEY: &str = include_str!("../signatures/tests/sns/key.pem");
const SNS_CERTIFICATE: &str = include_str!("../signatures/tests/sns/certificate.pem");

/// Makes a signed message of Amazon SNS.
fn sns(kind: &str, more: &Value) -> String {
    let now = jiff::Timestamp::now().to_string();
    let certificate = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-c6f8.pem";
    let mut message = json!({"Type": kind, "MessageId": "22b80b92", "TopicArn": TOPIC, "Message": "Hello",
        "Timestamp": now, "SignatureVersion": "2", "SigningCertURL": certificate});
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
    let signed = |name: &&str| message[*name].as_str().map(|value| format!("{name}\n{value}\n"));
    let text: String = names.iter().filter_map(signed).collect();
    let key = PrivatePkcs8KeyDer::from_pem_slice(SNS_KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    message["Signature"] = STANDARD.encode(signature).into();
    message.to_string()
}

#[tokio::test]
async fn amazon_sns_is_verified_and_confirmed() {
    let scheme = |more: &str| format!("{{ scheme: {{ type: aws-sns, topics: [\"{TOPIC}\"], {more} }}, plugin: none }}");
    let folder = Folder::new(&format!(
        "sources:
           sns: {}
           confirms: {}",
        scheme("certificate: sns.pem"),
        scheme("certificate: sns.pem, confirm: true"),
    ));
    std::fs::write(folder.path("sns.pem"), SNS_CERTIFICATE).unwrap();
    let host = folder.start().await;
    let message = sns("Notification", &json!({"Subject": "An alert"}));
    let first = host.post("sns", message.clone()).await;
    assert_eq!((first.status, first.status_word()), (202, "ignored"), "{first:?}");
    let again = host.post("sns", message.clone()).await;
    assert_eq!((again.event_id(), &again.body["duplicate"]), (first.event_id(), &json!(true)));
    // A change of an unsigned member does not make a new message.
    let spaced = host.post("sns", message.replace(",\"", ", \"")).await;
    assert_eq!((spaced.event_id(), &spaced.body["duplicate"]), (first.event_id(), &json!(true)), "{spaced:?}");
    let changed = host.post("sns", message.replace("An alert", "Another")).await;
    assert_eq!((changed.status, changed.error_code()), (401, "invalid_signature"));

    let ask = |url: &str| sns("SubscriptionConfirmation", &json!({"Token": "x", "SubscribeURL": url}));
    for (source, url, words) in [
        ("sns", "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription", "`confirm: true`"),
        ("confirms", "https://169.254.169.254/latest/meta-data", "not a host of Amazon SNS"),
        ("confirms", "http://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription", "not a host of Amazon SNS"),
    ] {
        let answer = host.post(source, ask(url)).await;
        assert_eq!((answer.status, answer.status_word()), (202, "ignored"), "{answer:?}");
        assert!(answer.body["message"].as_str().unwrap().contains(words), "{answer:?}");
    }
    assert_eq!(host.list("/api/events").await.len(), 1, "a handshake must not be stored as an event");
}
