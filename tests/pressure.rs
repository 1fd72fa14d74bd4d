//! Misbehaving senders, and too many senders. Connections, heads, bodies and rates are limited, and a well-behaved
//! sender within the limits is always served. The last test has 10,000 connections.

use crate::guest::{guest, guest_in};
use crate::host::{Answer, Folder, Host, SECRET, client, eventually, send, signed, unix_s};
use crate::wire::Wire;
use reqwest::Method;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Makes a request on a new connection, because the host may close a kept one at any time.
fn newcomer(host: &Host<'_>, source: &str) -> reqwest::RequestBuilder {
    client().post(format!("{}/api/webhooks/{source}", host.url))
}

#[tokio::test]
async fn connections_without_a_whole_head_are_closed() {
    let folder = Folder::new("limits: { head_timeout: 1s }\nsources: { lab: { scheme: none, plugin: none } }");
    let host = folder.start().await;
    let [mut silent, mut slow, mut kept] = [Wire::to(&host).await, Wire::to(&host).await, Wire::to(&host).await];
    slow.send("POST /api/webhooks/lab HTTP/1.1\r\nhost: te").await;
    for _ in 0..3 {
        kept.send_head("lab", "content-length: 2\r\n").await;
        kept.send("hi").await;
        assert_eq!(kept.answer().await.status, 202);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    for wire in [&mut silent, &mut slow, &mut kept] {
        wire.closed().await;
    }
    assert_eq!(host.post("lab", "after").await.status, 202);
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: none } }");
    let host = folder.start().await;
    let many = |count: usize| (0..count).map(|index| format!("x-{index}: y\r\n")).collect::<String>();
    for (headers, status) in [
        (format!("x-large: {}\r\n", "y".repeat(24 * 1024)), 202),
        (format!("x-large: {}\r\n", "y".repeat(40 * 1024)), 431),
        (many(90), 202),
        (many(101), 431),
        (many(3000), 431),
        (format!("{}: y\r\n", "x".repeat(40 * 1024)), 431),
    ] {
        let mut wire = Wire::to(&host).await;
        wire.send_head("lab", &format!("content-length: 0\r\n{headers}")).await;
        assert_eq!(wire.answer().await.status, status, "{} bytes of headers", headers.len());
    }
    let mut wire = Wire::to(&host).await;
    wire.send(format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(40 * 1024))).await;
    assert_eq!(wire.answer().await.status, 431);
    wire.closed().await;
}

#[tokio::test]
async fn bodies_that_are_late_or_too_large_are_refused() {
    let folder = Folder::new("limits: { body_timeout: 1s }\nsources: { lab: { scheme: none, plugin: none } }");
    let host = folder.start().await;
    for promise in ["content-length: 10\r\n", "transfer-encoding: chunked\r\n"] {
        let mut wire = Wire::to(&host).await;
        wire.send_head("lab", promise).await;
        wire.send("3\r\n").await;
        let answer = wire.answer().await;
        assert_eq!((answer.status, answer.code()), (408, "request_timeout"));
        wire.closed().await;
    }
    assert_eq!(host.metric("webhook_errors_total{source=\"lab\",code=\"request_timeout\"}").await, 2.0);

    // A body that is too large is refused before it arrives; a sender that sends it anyway still gets the answer.
    for length in ["1048577", "999999999999999"] {
        let mut wire = Wire::to(&host).await;
        wire.send_head("lab", &format!("content-length: {length}\r\n")).await;
        wire.send(vec![b'x'; 1024 * 1024]).await;
        let answer = wire.answer().await;
        assert_eq!((answer.status, answer.code()), (413, "payload_too_large"), "{length}");
    }
    let mut wire = Wire::to(&host).await;
    wire.send_head("lab", "content-length: 99999999999999999999999\r\n").await;
    assert_eq!(wire.answer().await.status, 400);

    // A chunked body is refused when it exceeds the limit.
    let mut wire = Wire::to(&host).await;
    wire.send_head("lab", "transfer-encoding: chunked\r\n").await;
    let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    for _ in 0..64 {
        wire.send(&chunk).await;
    }
    let answer = wire.answer().await;
    assert_eq!((answer.status, answer.code()), (413, "payload_too_large"));
    assert!(host.list("/api/events").await.is_empty());
}

/// The memory of all bodies is limited; a declared length alone reserves nothing.
#[tokio::test]
async fn the_memory_of_bodies_is_bounded() {
    let folder = Folder::new("limits: { body_memory_mib: 1 }\nsources: { lab: { scheme: none, plugin: none } }");
    let host = folder.start().await;
    let mut promises = Wire::to_each(&host, 50).await;
    for wire in &mut promises {
        wire.send_head("lab", "content-length: 1048576\r\n").await;
    }
    assert_eq!(host.post("lab", vec![b'x'; 100_000]).await.status, 202);

    // While both bodies arrive, either may take the remaining memory; if the large one is refused, it is sent again.
    let (mut large, refused) = eventually("a body that exceeds the memory for bodies", async || {
        let mut large = Wire::to(&host).await;
        large.send_head("lab", "content-length: 1000000\r\n").await;
        large.send(vec![b'x'; 999_999]).await;
        for _ in 0..50 {
            let answer = host.post("lab", vec![b'x'; 100_000]).await;
            if answer.status != 202 {
                return Some((large, answer));
            }
        }
        None
    })
    .await;
    assert_eq!((refused.status, refused.error_code()), (503, "overloaded"));
    assert_eq!(refused.retry_after.as_deref(), Some("1"));
    assert_eq!(host.post("lab", "a small one").await.status, 202);
    large.send("x").await;
    assert_eq!(large.answer().await.status, 202);
    assert_eq!(host.post("lab", vec![b'y'; 100_000]).await.status, 202);
}

/// Bodies of API requests do not use the memory for payloads.
#[tokio::test]
async fn bodies_of_the_api_have_memory_of_their_own() {
    let folder = Folder::new(
        "limits: { body_memory_mib: 1 }
plugins: { sleeps: { deadline_ms: 5000 } }
sources: { lab: { scheme: none, plugin: none } }",
    )
    .with("sleeps", &guest_in("sleeps", "wasi"));
    let host = folder.start().await;
    let body = json!({"body": "x".repeat(900_000)}).to_string();
    let run = tokio::spawn(send(host.request(Method::POST, "/api/plugins/sleeps/run").body(body)));
    for index in 0..10 {
        let answer = host.post("lab", vec![index; 900_000]).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    assert_eq!(run.await.unwrap().unwrap().status, 200);
}

/// A sender is served however many connections are open without sending anything, or almost anything.
#[tokio::test]
async fn idle_connections_give_way_to_new_ones() {
    let folder = Folder::new("limits: { connections: 16 }\nsources: { lab: { scheme: none, plugin: none } }");
    let host = folder.start().await;
    let half_a_head = "POST /api/webhooks/lab HTTP/1.1\r\nhost: te";
    let half_a_body = "POST /api/webhooks/lab HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf";
    let mut kept = Wire::to(&host).await;
    for sent in ["", half_a_head, half_a_body] {
        let mut idle = Wire::to_each(&host, 32).await;
        for wire in &mut idle {
            // Some are closed already.
            let _ = wire.0.write_all(sent.as_bytes()).await;
        }
        let started = Instant::now();
        assert_eq!(send(newcomer(&host, "lab").body(format!("after {sent:?}"))).await.unwrap().status, 202);
        assert!(started.elapsed() < Duration::from_secs(5), "{sent:?}: {:?}", started.elapsed());
        let open = idle.iter().filter(|wire| !wire.is_closed()).count();
        assert!((1..=16).contains(&open), "{sent:?}: {open} are open");
    }
    kept.closed().await;
    host.logs("those that have waited longest").await;
}

/// If all connections are working, the next one waits until one is done.
#[tokio::test]
async fn working_connections_are_kept() {
    let folder = Folder::new(
        "limits: { connections: 4 }
plugins: { sleeps: { deadline_ms: 2000 } }
sources: { slow: { scheme: none, plugin: sleeps } }",
    )
    .with("sleeps", &guest_in("sleeps", "wasi"));
    let host = folder.start().await;
    let mut requests = JoinSet::new();
    for index in 0..12 {
        requests.spawn(send(newcomer(&host, "slow").body(format!("{index}"))));
    }
    for answer in requests.join_all().await {
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.status_word()), (202, "queued"), "{answer:?}");
    }
}

#[tokio::test]
async fn rate_limits_of_the_host_and_of_a_source_apply() {
    let folder = Folder::new(&format!(
        "limits: {{ requests_per_second: 20 }}
sources:
  slow: {{ secret: {SECRET}, plugin: none, requests_per_second: 2 }}
  other: {{ scheme: none, plugin: none }}"
    ));
    let host = folder.start().await;
    let limited = |answer: &Answer| {
        assert_eq!((answer.status, answer.error_code()), (429, "rate_limited"), "{answer:?}");
        assert_eq!(answer.retry_after.as_deref(), Some("1"), "{answer:?}");
    };
    // Unsigned payloads do not count for the source's limit, only for the host's.
    for index in 0..5 {
        assert_eq!(host.post("slow", format!("stranger {index}")).await.error_code(), "invalid_signature");
    }
    let answers = at_once(4, |index| signed(host.webhook("slow"), unix_s(), format!("sender {index}"))).await;
    let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 202);
    assert!((2..=3).contains(&taken.len()), "{taken:?}");
    refused.iter().for_each(limited);
    assert_eq!(host.post("other", "of another source").await.status, 202);

    // A refused payload can be sent again and is then accepted.
    eventually("a free slot in another second", async || {
        let answer = host.signed("slow", "once more").await;
        if answer.status != 202 {
            limited(&answer);
        }
        (answer.status == 202 && answer.body["duplicate"].is_null()).then_some(())
    })
    .await;

    let answers = at_once(60, |index| host.webhook("other").body(format!("many {index}"))).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 202).collect();
    assert!(!refused.is_empty());
    refused.iter().for_each(|answer| limited(answer));
    let counted = host.metric("webhook_errors_total{source=\"other\",code=\"rate_limited\"}").await;
    assert_eq!(counted, refused.len() as f64);
    // The rate limit of payloads does not apply to the API.
    assert!(!host.list("/api/events").await.is_empty());
}

async fn at_once(count: usize, request: impl Fn(usize) -> reqwest::RequestBuilder) -> Vec<Answer> {
    let mut requests = JoinSet::new();
    (0..count).for_each(|index| drop(requests.spawn(send(request(index)))));
    requests.join_all().await.into_iter().map(Result::unwrap).collect()
}

/// An event that gets no instance in time is stored and mapped later, and its sender is answered soon.
#[tokio::test]
async fn events_without_a_free_instance_are_queued() {
    let folder = Folder::new(
        "limits: { instances: 2, deadline_ms: 20000 }
plugins: { sleeps: { deadline_ms: 3000 } }
sources: { slow: { scheme: none, plugin: sleeps }, good: { scheme: none, plugin: echo } }",
    )
    .with("sleeps", &guest_in("sleeps", "wasi"))
    .with("echo", &guest("echo"));
    let host = folder.start().await;
    let mut slow = JoinSet::new();
    for index in 0..4 {
        slow.spawn(send(host.webhook("slow").body(format!("{index}"))));
    }
    let started = Instant::now();
    let first = slow.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!((first.status, first.status_word()), (202, "queued"));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(host.post("good", "meanwhile").await.status_word(), "accepted");
    for answer in slow.join_all().await {
        assert_eq!(answer.unwrap().status_word(), "queued");
    }
}

/// All refusals have the same shape.
#[tokio::test]
async fn unreadable_requests_are_refused_in_the_common_shape() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: none } }");
    let host = folder.start().await;
    for (method, path, status, code) in [
        (Method::POST, "/api/webhooks/%ff", 400, "invalid_request"),
        (Method::GET, "/api/incidents/%ff", 400, "invalid_request"),
        (Method::GET, "/api/plugins/%ff/run", 405, "method_not_allowed"),
        (Method::GET, "/api/webhooks/lab", 405, "method_not_allowed"),
        (Method::PUT, "/api/events", 405, "method_not_allowed"),
        (Method::DELETE, "/healthz", 405, "method_not_allowed"),
    ] {
        let response = host.request(method.clone(), path).send().await.unwrap();
        let allow = response.headers().get("allow").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        assert_eq!(allow.is_some(), status == 405, "{method} {path}: {allow:?}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], code, "{method} {path}: {body}");
    }
    let large = vec![b'x'; 16 * 1024 * 1024 + 1];
    let answer = host.call(Method::POST, "/api/plugins/x/run", large).await;
    assert_eq!((answer.status, answer.error_code()), (413, "payload_too_large"));
}

/// Shutdown closes idle connections immediately and waits for requests in progress.
#[tokio::test]
async fn shutdown_waits_for_requests_in_progress_only() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: none } }");
    let mut host = folder.start().await;
    let mut idle = Wire::to_each(&host, 20).await;
    for wire in &mut idle[..10] {
        wire.send_head("lab", "content-length: 2\r\n").await;
        wire.send("hi").await;
        assert_eq!(wire.answer().await.status, 202);
    }
    let mut busy = Wire::to(&host).await;
    busy.send_head("lab", "content-length: 4\r\n").await;
    busy.send("ha").await;
    eventually("the busy request", async || {
        (host.metric("webhook_received_total{source=\"lab\"}").await == 11.0).then_some(())
    })
    .await;
    host.terminate();
    for wire in &mut idle {
        wire.closed().await;
    }
    let address = host.url.strip_prefix("http://").unwrap().to_owned();
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!busy.is_closed());
    busy.send("lf").await;
    let answer = busy.answer().await;
    assert_eq!((answer.status, &answer.body["status"]), (202, &Value::from("ignored")));
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    busy.closed().await;
    assert_eq!(host.end().await.code(), Some(0), "{}", host.log());
}

const MANY: usize = 10_000;
/// The memory limits of an unused connection and of a connection that waits for its next request.
const SILENT_BYTES_MAX: f64 = 8.0 * 1024.0;
const KEPT_BYTES_MAX: f64 = 40.0 * 1024.0;

/// 10,000 idle connections, before and after one request each: another sender is still served, and the host's memory
/// stays limited.
#[tokio::test]
async fn ten_thousand_idle_connections() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    if limit.maximum.is_some_and(|maximum| maximum < MANY as u64 + 1000) {
        eprintln!("skipped: this machine lets a process open only {:?} files", limit.maximum);
        return;
    }
    let folder = Folder::new(
        "limits: { head_timeout: 10m, connections: 11000 }\nsources: { lab: { scheme: none, plugin: none } }",
    );
    let host = folder.start().await;
    assert_eq!(host.post("lab", "before").await.status, 202);
    let before = host.resident_bytes();
    let each = |bytes: f64| (bytes - before) / MANY as f64;

    let mut wires = Wire::to_each(&host, MANY).await;
    let started = Instant::now();
    assert_eq!(host.post("lab", "silent").await.status, 202);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let silent = each(host.resident_bytes());

    for wire in &mut wires {
        wire.send("GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").await;
    }
    for wire in &mut wires {
        assert_eq!(wire.answer().await.status, 200);
    }
    let started = Instant::now();
    assert_eq!(host.post("lab", "kept").await.status, 202);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let kept = each(host.resident_bytes());
    eprintln!("a silent connection costs {silent:.0} bytes, a used connection {kept:.0}");
    assert!(silent < SILENT_BYTES_MAX && kept < KEPT_BYTES_MAX, "{silent} {kept}");
}
