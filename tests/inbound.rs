//! Answers to senders, signature checks, and the data that is stored.

use crate::guest::{echo, guest};
use crate::host::{ADMIN_TOKEN, Answer, Folder, Host, SECRET, send, signature, signed, unix_s};
use crate::outcome::returns;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Replaces every id in an answer by `ID` and every number by `NUMBER`.
fn shape(value: &Value) -> Value {
    match value {
        Value::String(text) if text.parse::<Uuid>().is_ok() => json!("ID"),
        Value::String(text) if text.starts_with("INC-") => json!("NUMBER"),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn every_answer_and_its_repeat_have_the_documented_shape() {
    let folder = Folder::new(&format!(
        "sources:
           edr: {{ secret: {SECRET}, plugin: returns }}
           vendor: {{ secret: {SECRET}, plugin: returns, on_unmappable: accept }}
           broken: {{ secret: {SECRET}, plugin: traps }}
           waiting: {{ secret: {SECRET}, plugin: [missing, returns] }}
           stored: {{ secret: {SECRET}, plugin: none }}"
    ))
    .with("returns", &guest("returns"))
    .with("traps", &guest("traps"));
    let host = folder.start().await;
    let incident = |created| json!({"id": "ID", "number": "NUMBER", "created": created});
    let accepted = |incidents: Value| {
        json!({"status": "accepted", "event_id": "ID", "incident_id": "ID", "incident_number": "NUMBER",
            "incidents": incidents})
    };
    let unmappable =
        |message: &str| json!({"error": {"code": "unmappable_payload", "message": message, "event_id": "ID"}});
    let kept = |status: &str, message: &str| json!({"status": status, "event_id": "ID", "message": message});
    let queued = |message: &str| json!({"status": "queued", "event_id": "ID", "queue_id": "ID", "message": message});
    let one = json!({"incidents": [{"source-ref": "one"}]});
    let cases = [
        ("edr", one.clone(), 202, accepted(json!([incident(true)]))),
        ("edr", one, 202, accepted(json!([incident(false)]))),
        (
            "edr",
            json!({"incidents": [{"source-ref": "one"}, {"source-ref": "two"}, {"source-ref": "two"}]}),
            202,
            accepted(json!([incident(false), incident(true)])),
        ),
        (
            "edr",
            json!({"skipped": ["an audit record", "a heartbeat"]}),
            202,
            kept("ignored", "an audit record; a heartbeat"),
        ),
        ("edr", json!({}), 202, json!({"status": "ignored", "event_id": "ID"})),
        ("stored", json!({}), 202, kept("ignored", "the source has `plugin: none`")),
        ("edr", json!({"malformed": "no id"}), 422, unmappable("returns 1.0: no id")),
        ("edr", json!({"unsupported": "another kind"}), 422, unmappable("returns 1.0: another kind")),
        ("vendor", json!({"malformed": "no id"}), 202, kept("quarantined", "returns 1.0: no id")),
        ("vendor", json!({"unsupported": "another kind"}), 202, kept("quarantined", "returns 1.0: another kind")),
        ("waiting", json!({}), 202, queued("plugin `missing` is not loaded")),
        ("broken", json!({}), 202, queued("traps 1.0: wasm trap: wasm `unreachable` instruction executed")),
    ];
    for (source, outcome, status, expected) in cases {
        let (body, at) = (returns(&outcome), unix_s());
        let first = send(signed(host.webhook(source), at, body.clone())).await.unwrap();
        assert_eq!((first.status, shape(&first.body)), (status, expected), "{source} {outcome}");

        let repeat = send(signed(host.webhook(source), at, body.clone())).await.unwrap();
        let mut expected = first.body.clone();
        expected["duplicate"] = json!(true);
        assert_eq!((repeat.status, repeat.body), (status, expected), "again: {source} {outcome}");

        // The same body with another signing time is another event.
        let again = send(signed(host.webhook(source), at - 1, body)).await.unwrap();
        assert_ne!(again.event_id(), first.event_id());
    }
    let partial = json!({"incidents": [{"source-ref": "part"}], "problems": ["record 2 has no id"]});
    let answer = host.signed("edr", returns(&partial)).await;
    assert_eq!(answer.status_word(), "accepted");
    let event = host.get(&format!("/api/events/{}", answer.event_id())).await;
    assert_eq!((&event["status"], &event["message"]), (&json!("partial"), &json!("record 2 has no id")));
}

type Header = (&'static str, Vec<u8>);
const SIGNATURE: &str = "x-webhook-signature";
const TIMESTAMP: &str = "x-webhook-timestamp";

/// Returns the two headers with a valid signature for this spelling of the timestamp.
fn spelled(timestamp: &str, body: &str) -> Vec<Header> {
    let signature = format!("sha256={}", signature(timestamp.as_bytes(), body.as_bytes()));
    vec![(TIMESTAMP, timestamp.into()), (SIGNATURE, signature.into())]
}

#[tokio::test]
async fn only_valid_signatures_are_accepted() {
    let folder =
        Folder::new(&format!("sources: {{ edr: {{ secret: {SECRET}, plugin: echo }} }}")).with("echo", &guest("echo"));
    let host = folder.start().await;
    let now = unix_s();
    let at = |offset: i64| now.checked_add_signed(offset).unwrap().to_string();
    // Each case writes the signature in another way; the body is the case's name.
    type Change<'a> = &'a dyn Fn(&str, &str) -> Vec<Header>;
    let with_signature = |body: &str, change: &dyn Fn(String) -> String| {
        let digits = signature(at(0).as_bytes(), body.as_bytes());
        vec![(TIMESTAMP, at(0).into_bytes()), (SIGNATURE, change(digits).into_bytes())]
    };
    macro_rules! written {
        ($change:expr) => {
            &|_, body| with_signature(body, &$change)
        };
    }
    macro_rules! at {
        ($timestamp:expr) => {
            &|_, body| spelled(&$timestamp, body)
        };
    }
    let cases: &[(&str, &str, Change)] = &[
        ("as it should be", "accepted", written!(|digits| format!("sha256={digits}"))),
        ("upper case", "accepted", written!(|digits| format!("sha256={}", digits.to_uppercase()))),
        ("white space around", "accepted", written!(|digits| format!(" \tsha256={digits} \t"))),
        ("white space within", "invalid_signature", written!(|digits| format!("sha256 = {digits}"))),
        ("no prefix", "invalid_signature", written!(|digits| digits)),
        ("another prefix", "invalid_signature", written!(|digits| format!("sha512={digits}"))),
        ("empty", "invalid_signature", written!(|_| String::new())),
        ("only the prefix", "invalid_signature", written!(|_| "sha256=".into())),
        ("a part", "invalid_signature", written!(|digits| format!("sha256={}", &digits[..8]))),
        ("too much", "invalid_signature", written!(|digits| format!("sha256={digits}00"))),
        ("two in one", "invalid_signature", written!(|digits| format!("sha256={digits},sha256={digits}"))),
        ("not hexadecimal", "invalid_signature", written!(|digits| format!("sha256=g{}", &digits[1..]))),
        ("zeros", "invalid_signature", written!(|_| format!("sha256={}", "0".repeat(64)))),
        ("none", "invalid_signature", &|_, _| vec![]),
        ("no signature", "invalid_signature", &|_, body| spelled(&at(0), body)[..1].to_vec()),
        ("no timestamp", "invalid_signature", &|_, body| spelled(&at(0), body)[1..].to_vec()),
        ("signature twice", "invalid_signature", &|_, body| {
            let mut headers = spelled(&at(0), body);
            headers.push(headers[1].clone());
            headers
        }),
        ("timestamp twice", "invalid_signature", &|_, body| {
            let mut headers = spelled(&at(0), body);
            headers.push(headers[0].clone());
            headers
        }),
        ("tampered body", "invalid_signature", &|_, _| spelled(&at(0), "another body")),
        ("tampered timestamp", "invalid_signature", &|_, body| {
            vec![(TIMESTAMP, at(0).into()), spelled(&at(-1), body)[1].clone()]
        }),
        ("old", "accepted", at!(at(-280))),
        ("too old", "timestamp_expired", at!(at(-320))),
        ("too old and wrong", "invalid_signature", &|_, _| spelled(&at(-320), "another body")),
        ("ahead", "accepted", at!(at(280))),
        ("too far ahead", "timestamp_expired", at!(at(320))),
        ("in milliseconds", "timestamp_expired", at!(at(0) + "000")),
        ("with a sign", "invalid_signature", at!(format!("+{}", at(0)))),
        ("with a fraction", "invalid_signature", at!(at(0) + ".5")),
        ("negative", "invalid_signature", at!("-1")),
        ("too large", "invalid_signature", at!("9".repeat(40))),
        ("no time", "invalid_signature", at!("")),
        ("not ASCII", "invalid_signature", at!("１７")),
    ];
    let mut accepted = 0;
    for (name, expected, headers) in cases {
        let mut request = host.webhook("edr").body(*name);
        for (header, value) in headers(&at(0), name) {
            request = request.header(header, value);
        }
        let answer = send(request).await.unwrap();
        if *expected == "accepted" {
            accepted += 1;
            assert_eq!((answer.status, answer.status_word()), (202, "accepted"), "{name}: {answer:?}");
            continue;
        }
        assert_eq!((answer.status, answer.error_code()), (401, *expected), "{name}: {answer:?}");
        match *name {
            "too old" => {
                assert_eq!(answer.body["error"]["message"], "Webhook timestamp is too old (>5 minutes)");
            }
            "none" => assert_eq!(answer.body["error"]["message"], "Webhook signature verification failed"),
            _ => {}
        }
    }
    assert_eq!(host.list("/api/events").await.len(), accepted, "a refused payload must not be stored");
}

#[tokio::test]
async fn bodies_may_contain_any_bytes() {
    let folder = Folder::new(&format!("sources: {{ edr: {{ secret: {SECRET}, plugin: none }} }}"));
    let host = folder.start().await;
    for (body, shown) in [
        (&b""[..], json!({"encoding": "utf-8", "data": ""})),
        (b"caf\xc3\xa9", json!({"encoding": "utf-8", "data": "café"})),
        (b"\xff\x00\xfe", json!({"encoding": "base64", "data": "/wD+"})),
    ] {
        let answer = host.signed("edr", body).await;
        assert_eq!(answer.status, 202, "{body:?}: {answer:?}");
        assert_eq!(host.get(&format!("/api/events/{}", answer.event_id())).await["body"], shown);
    }
}

/// Sends raw bytes and reads the answer's status and body.
fn raw(host: &Host<'_>, head: &str, body: &[u8]) -> (u16, Value) {
    let mut stream = TcpStream::connect(host.url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(format!("{head}\r\nhost: test\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn payloads_are_accepted_up_to_the_limit() {
    const MIB: usize = 1024 * 1024;
    let folder = Folder::new(
        "sources:
           usual: { scheme: none, plugin: none }
           large: { scheme: none, plugin: none, payload_mib: 2 }",
    );
    let host = folder.start().await;
    for (source, bytes, expected) in [("usual", MIB, 202), ("large", MIB + 1, 202), ("large", 2 * MIB, 202)] {
        assert_eq!(host.post(source, vec![b'x'; bytes]).await.status, expected, "{source} {bytes}");
    }
    for (source, max) in [("usual", MIB), ("large", 2 * MIB)] {
        let post = format!("POST /api/webhooks/{source} HTTP/1.1\r\n");
        // A declared length that is too large is refused immediately; a body without a declared length is refused when
        // it exceeds the limit.
        let declared = raw(&host, &format!("{post}content-length: {}", max + 1), b"");
        let chunk = [format!("{:x}\r\n", max + 1).into_bytes(), vec![b'x'; max + 1]].concat();
        let undeclared = raw(&host, &format!("{post}transfer-encoding: chunked"), &chunk);
        for (status, body) in [declared, undeclared] {
            assert_eq!((status, &body["error"]["code"]), (413, &json!("payload_too_large")), "{source}");
        }
    }
    assert_eq!(host.list("/api/events").await.len(), 3);
}

#[tokio::test]
async fn unknown_paths_and_sources_are_refused() {
    let folder = Folder::new("sources: { known: { scheme: none, plugin: none } }");
    let host = folder.start().await;
    let answer = host.post("x", "").await;
    let expected = json!({"error": {"code": "unknown_source", "message": "Webhook source 'x' is not registered"}});
    assert_eq!((answer.status, answer.body), (404, expected));
    for (method, path) in [(Method::POST, "/api/webhooks/known/deeper/still"), (Method::GET, "/nowhere")] {
        let answer = host.call(method.clone(), path, "").await;
        assert_eq!((answer.status, answer.error_code()), (404, "not_found"), "{method} {path}: {answer:?}");
    }
}

/// 503 is answered immediately with `Retry-After`, and nothing is stored.
#[tokio::test]
async fn overload_is_answered_503_and_stores_nothing() {
    let folder = Folder::new(
        "limits: { store_queue: 2, deadline_ms: 20000 }
sources: { lab: { scheme: none, plugin: echo } }",
    )
    .with("echo", &guest("echo"));
    let host = folder.start().await;
    assert_eq!(host.post("lab", "before").await.status, 202);

    let disk = rusqlite::Connection::open(folder.path("data/hookmill.db")).unwrap();
    disk.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut requests = JoinSet::new();
    for index in 0..16 {
        requests.spawn(send(host.webhook("lab").body(format!("during {index}"))));
    }
    // While the database is locked, only the queue's and the writer's requests wait; the rest are answered.
    for _ in 0..12 {
        let answer = requests.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!((answer.status, answer.error_code()), (503, "store_busy"));
        assert!(answer.retry_after.unwrap().parse::<u32>().unwrap() > 0);
    }
    disk.execute_batch("ROLLBACK").unwrap();
    let answers: Vec<Answer> = requests.join_all().await.into_iter().map(Result::unwrap).collect();
    let taken = answers.iter().filter(|answer| answer.status == 202).count();
    assert!(taken > 0, "{answers:?}");
    assert_eq!(host.list("/api/events").await.len(), 1 + taken);
}

#[tokio::test]
async fn internal_errors_appear_in_the_log_only() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: none } }");
    let host = folder.start().await;
    let disk = rusqlite::Connection::open(folder.path("data/hookmill.db")).unwrap();
    disk.execute_batch("DROP TABLE recent_repeats").unwrap();
    let answer = host.post("lab", "x").await;
    assert_eq!((answer.status, answer.error_code()), (500, "internal"));
    assert!(!answer.body.to_string().contains("repeats"), "{answer:?}");
    host.logs("no such table: recent_repeats").await;
}

#[tokio::test]
async fn secrets_are_never_stored() {
    const CANARY: &str = "canary-that-nobody-may-keep";
    let folder =
        Folder::new(&format!("sources: {{ edr: {{ secret: {SECRET}, plugin: echo }} }}")).with("echo", &guest("echo"));
    let host = folder.start().await;
    let mut request = host.client.post(format!("{}/api/webhooks/edr?token={CANARY}&team=soc", host.url));
    for name in [
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-auth-token",
        "client-secret",
        "x-hub-signature-256",
        "x-api-key",
        "x-password",
    ] {
        request = request.header(name, CANARY);
    }
    let request = request.header("x-request-id", "kept").header("content-type", "application/json");
    let answer = send(signed(request, unix_s(), "{}")).await.unwrap();
    let event = host.get(&format!("/api/events/{}", answer.event_id())).await;
    let mut headers: Vec<&str> =
        event["headers"].as_array().unwrap().iter().map(|header| header["name"].as_str().unwrap()).collect();
    headers.sort_unstable();
    assert_eq!(headers, ["accept", "content-length", "content-type", "host", "x-request-id", "x-webhook-timestamp"]);
    assert_eq!(event["context"], json!([{"name": "query.team", "value": "soc"}]));
    assert_eq!(event["content_type"], "application/json");
    // Refused requests do not store their secrets either.
    send(host.webhook("edr").header("x-webhook-signature", CANARY).header("cookie", CANARY).body("")).await.unwrap();
    host.logs("webhook refused").await;
    let mut kept = host.log().into_bytes();
    for entry in std::fs::read_dir(folder.path("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            kept.extend(std::fs::read(path).unwrap());
        }
    }
    for secret in [CANARY, SECRET, ADMIN_TOKEN] {
        assert!(!kept.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "{secret} was kept");
    }
}

/// Of many identical concurrent requests, exactly one has an effect, with or without a signing time.
#[tokio::test]
async fn concurrent_repeats_have_one_effect() {
    let folder = Folder::new(&format!(
        "sources:
           signed: {{ secret: {SECRET}, plugin: echo }}
           unsigned: {{ scheme: none, plugin: echo }}"
    ))
    .with("echo", &guest("echo"));
    let host = folder.start().await;
    for source in ["signed", "unsigned"] {
        let at = unix_s();
        let mut requests = JoinSet::new();
        for _ in 0..24 {
            requests.spawn(send(match source {
                "signed" => signed(host.webhook(source), at, "the same"),
                _ => host.webhook(source).body("the same"),
            }));
        }
        let answers: Vec<Answer> = requests.join_all().await.into_iter().map(Result::unwrap).collect();
        let first: Vec<&Answer> = answers.iter().filter(|answer| answer.body["duplicate"].is_null()).collect();
        assert_eq!(first.len(), 1, "{answers:?}");
        for answer in &answers {
            assert_eq!((answer.status, answer.status_word()), (202, "accepted"));
            assert_eq!(answer.event_id(), first[0].event_id());
        }
        assert_eq!(host.list(&format!("/api/events?source={source}")).await.len(), 1);
        let incidents = host.list(&format!("/api/incidents?source={source}")).await;
        assert_eq!((incidents.len(), &incidents[0]["occurrences"]), (1, &json!(1)));
    }
    // The same body from another source is another event.
    assert_eq!(host.list("/api/incidents").await.len(), 2);
}

/// Without a signing time, a body is a repeat only within `dedup_window`.
#[tokio::test]
async fn the_same_body_after_the_window_is_a_new_event() {
    let folder =
        Folder::new("dedup_window: 1s\nsources: { lab: { scheme: none, plugin: echo } }").with("echo", &echo("1.1"));
    let host = folder.start().await;
    let first = host.post("lab", "again and again").await;
    let second = crate::host::eventually("the window ends", async || {
        let answer = host.post("lab", "again and again").await;
        (answer.event_id() != first.event_id()).then_some(answer)
    })
    .await;
    assert_eq!(second.body["incidents"][0]["created"], false);
    assert_eq!(host.get("/api/incidents").await["data"][0]["occurrences"], 2);
}
