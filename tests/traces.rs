//! Traces: the spans that a stand-in collector gets over OTLP/HTTP, decoded independently of the host's code.

use crate::guest::{echo, guest, guest_of_kind};
use crate::host::{Folder, Host, eventually, send};
use crate::outcome::{incident, judgement, returns};
use crate::receiver::{Received, Receiver, Reply};
use crate::server::{Page, Server};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use prost::Message;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
/// A token in a URL, which is a secret.
const TOKEN: &str = "hunter2hunter2hunter2hunter2";
const REQUEST: &str = "POST /api/webhooks/{source}";

/// A folder with the source `lab`, the source `agent` with a token, and the destination `soc`.
fn folder(traces: &str, destination: &Receiver, keys: &str) -> Folder {
    Folder::new(&format!(
        "traces: {traces}
sources:
  lab: {{ scheme: none, plugin: returns }}
  agent: {{ scheme: url-token, secret: {TOKEN}, plugin: returns }}
webhooks:
  soc: {{ url: \"{}\", allow_networks: [127.0.0.1/32], {keys} }}",
        destination.url
    ))
    .with("returns", &guest("returns"))
}

fn to(collector: &Receiver) -> String {
    format!("{{ otlp: \"{}\" }}", collector.url)
}

/// Returns the spans of the requests that a collector got.
fn spans(collector: &Receiver) -> Vec<Span> {
    let requests = collector.received().into_iter().map(|request| {
        assert_eq!((&*request.path, request.header("content-type")), ("/hook/v1/traces", "application/x-protobuf"));
        ExportTraceServiceRequest::decode(request.bytes).unwrap()
    });
    let of_scopes = requests.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
    of_scopes.flat_map(|scope| scope.spans).collect()
}

/// Waits for this many spans of a name, and returns all spans.
async fn wait_for(collector: &Receiver, name: &str, count: usize) -> Vec<Span> {
    eventually(&format!("{count} spans `{name}`"), async || {
        Some(spans(collector)).filter(|spans| spans.iter().filter(|span| span.name == name).count() >= count)
    })
    .await
}

fn only<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let found: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "`{name}` in {spans:?}");
    found[0]
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let value = |attribute: &'_ opentelemetry_proto::tonic::common::v1::KeyValue| {
        text(attribute.value.as_ref().unwrap().value.as_ref().unwrap())
    };
    span.attributes.iter().map(|attribute| (&*attribute.key, value(attribute))).collect()
}

fn traceparent(span: &Span) -> String {
    format!("00-{}-{}-01", hex::encode(&span.trace_id), hex::encode(&span.span_id))
}

async fn post_with(host: &Host<'_>, traceparent: &str) {
    let body = incident(json!({"source-ref": "a-1"}));
    let answer = send(host.webhook("lab").header("traceparent", traceparent).body(body)).await.unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
}

#[tokio::test]
async fn a_payload_is_one_trace_up_to_its_deliveries() {
    let (collector, soc) = (Receiver::start([]).await, Receiver::start([]).await);
    let host = folder(&to(&collector), &soc, "traceparent: true");
    let host = host.start().await;
    let answer = host.post("lab", incident(json!({"source-ref": "a-1", "title": "secret-title"}))).await;
    wait_for(&collector, REQUEST, 1).await;
    let spans = wait_for(&collector, "deliver", 1).await;
    assert_eq!(spans.len(), 7, "{spans:?}");

    let request = only(&spans, REQUEST);
    assert!(request.parent_span_id.is_empty() && spans.iter().all(|span| span.trace_id == request.trace_id));
    assert_eq!(request.kind, SpanKind::Server as i32);
    let expected = [
        ("hookmill.event.id", answer.event_id()),
        ("hookmill.event.status", "mapped"),
        ("hookmill.source", "lab"),
        ("http.request.method", "POST"),
        ("http.response.status_code", "202"),
        ("http.route", "/api/webhooks/{source}"),
    ];
    assert_eq!(attributes(request), expected.map(|(name, value)| (name, value.to_owned())).into());
    for step in ["receive", "verify", "map", "commit", "deliver"] {
        let step = only(&spans, step);
        assert_eq!((&step.parent_span_id, step.kind), (&request.span_id, SpanKind::Internal as i32), "{step:?}");
        assert!(step.start_time_unix_nano >= request.start_time_unix_nano, "{step:?}");
    }
    let map = attributes(only(&spans, "map"));
    assert_eq!((&*map["hookmill.plugin.name"], &*map["hookmill.plugin.version"]), ("returns", "1.0"));
    assert!(map["hookmill.plugin.memory_bytes"].parse::<u64>().unwrap() > 0);

    let (deliver, call) = (only(&spans, "deliver"), only(&spans, "POST"));
    let [link] = &deliver.links[..] else { panic!("{deliver:?}") };
    assert_eq!((&link.trace_id, &link.span_id), (&request.trace_id, &request.span_id));
    let delivered = attributes(deliver);
    assert_eq!((&*delivered["hookmill.destination"], &*delivered["hookmill.delivery.attempt"]), ("soc", "1"));
    assert_eq!(delivered["hookmill.delivery.result"], "delivered");
    assert_eq!((&call.parent_span_id, call.kind), (&deliver.span_id, SpanKind::Client as i32));
    let called = attributes(call);
    assert_eq!((&*called["server.address"], &*called["http.response.status_code"]), ("127.0.0.1", "200"));
    assert_eq!(soc.received()[0].header("traceparent"), traceparent(call));
}

#[tokio::test]
async fn attempts_after_a_restart_belong_to_the_trace_of_their_event() {
    let (collector, soc) = (Receiver::start([]).await, Receiver::start([Reply::Status(500)]).await);
    let folder = folder(&to(&collector), &soc, "retry_schedule: [1h]");
    let mut host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a-1"}))).await;
    let first = wait_for(&collector, "deliver", 1).await;
    host.terminate();
    host.end().await;
    let host = folder.start().await;
    let delivery = host.list("/api/deliveries?status=pending").await.remove(0);
    let path = format!("/api/deliveries/{}/retry", delivery["id"].as_str().unwrap());
    assert!(host.call(Method::POST, &path, "").await.status < 300);
    let spans = wait_for(&collector, "deliver", 2).await;

    let request = only(&spans, REQUEST);
    let attempts: Vec<&Span> = spans.iter().filter(|span| span.name == "deliver").collect();
    assert_eq!(only(&first, "deliver").status.as_ref().unwrap().code, StatusCode::Error as i32);
    for (number, attempt) in attempts.iter().enumerate() {
        assert_eq!((&attempt.trace_id, &attempt.parent_span_id), (&request.trace_id, &request.span_id));
        assert_eq!(attempt.links[0].span_id, request.span_id);
        assert_eq!(attributes(attempt)["hookmill.delivery.attempt"], (number + 1).to_string());
    }
    let has_header = |received: &Received| received.headers.contains_key("traceparent");
    assert!(!soc.received().iter().any(has_header), "the destination has no `traceparent: true`");
}

#[tokio::test]
async fn an_event_that_is_mapped_later_stays_in_its_trace() {
    let (collector, soc) = (Receiver::start([]).await, Receiver::start([]).await);
    let folder = folder(&to(&collector), &soc, "");
    std::fs::remove_file(folder.plugin("returns")).unwrap();
    let host = folder.start().await;
    let answer = host.post("lab", incident(json!({"source-ref": "a-1"}))).await;
    assert_eq!(answer.status_word(), "queued");
    folder.put("returns", &guest("returns"));
    let spans = wait_for(&collector, "deliver", 1).await;
    let request = only(&spans, REQUEST);
    for name in ["map", "deliver"] {
        let span = only(&spans, name);
        assert_eq!((&span.trace_id, &span.parent_span_id), (&request.trace_id, &request.span_id));
    }
    assert_eq!(spans.iter().filter(|span| span.name == "commit").count(), 2, "{spans:?}");
}

#[tokio::test]
async fn the_trace_of_a_sender_is_continued_if_it_is_valid() {
    let (collector, soc) = (Receiver::start([]).await, Receiver::start([]).await);
    let folder = folder(&to(&collector), &soc, "traceparent: true");
    let host = folder.start().await;
    // The sender decides that this one is not traced. It is sent first, so that its spans would arrive first.
    post_with(&host, &format!("00-{TRACE}-1111111111111111-00")).await;
    post_with(&host, &format!("00-{TRACE}-{PARENT}-01")).await;
    let invalid = ["", "x", "00-0-0-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"];
    let zero = format!("00-{TRACE}-0000000000000000-01");
    for text in invalid.into_iter().chain([&*zero]) {
        post_with(&host, text).await;
    }
    let spans = wait_for(&collector, REQUEST, 1 + 5).await;
    let requests: Vec<&Span> = spans.iter().filter(|span| span.name == REQUEST).collect();
    let (continued, new): (Vec<&Span>, Vec<&Span>) =
        requests.iter().partition(|span| hex::encode(&span.trace_id) == TRACE);
    let [continued] = &continued[..] else { panic!("{continued:?}") };
    assert_eq!(hex::encode(&continued.parent_span_id), PARENT);
    assert!(new.len() == 5 && new.iter().all(|span| span.parent_span_id.is_empty()), "{new:?}");
    let untraced = soc.wait_for(1).await.remove(0);
    let header = untraced.header("traceparent");
    assert!(header.starts_with(&format!("00-{TRACE}-")) && header.ends_with("-00"), "{header}");
}

#[tokio::test]
async fn only_a_share_of_new_traces_is_sampled_and_a_stopping_host_sends_what_waits() {
    let (collector, soc) = (Receiver::start([]).await, Receiver::start([]).await);
    let folder = folder(&format!("{{ otlp: \"{}\", sample: 0 }}", collector.url), &soc, "");
    let mut host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "a-1"}))).await;
    post_with(&host, &format!("00-{TRACE}-{PARENT}-01")).await;
    host.terminate();
    host.end().await;
    let spans = spans(&collector);
    only(&spans, REQUEST);
    assert!(spans.iter().all(|span| hex::encode(&span.trace_id) == TRACE), "{spans:?}");
}

#[tokio::test]
async fn spans_hold_neither_payloads_nor_secrets() {
    let (collector, soc) = (Receiver::start([]).await, Receiver::start([Reply::Echo(400, "secret-answer")]).await);
    let traces = format!("{{ otlp: \"{}\", auth: {{ type: bearer, token: secret-of-collector }} }}", collector.url);
    let folder = folder(&traces, &soc, "auth: { type: bearer, token: secret-of-soc }");
    let host = folder.start().await;
    let body = incident(json!({"source-ref": "secret-ref", "title": "secret-title"}));
    let path = format!("agent/{TOKEN}?key=secret-query");
    let answer = send(host.webhook(&path).header("x-note", "secret-header").body(body)).await.unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    host.post("lab", returns(&json!({"malformed": "secret-message"}))).await;
    send(host.webhook("agent/secret-wrong-token").body("secret-body")).await.unwrap();
    wait_for(&collector, "deliver", 1).await;
    wait_for(&collector, REQUEST, 1).await;
    let spans = wait_for(&collector, "POST /api/webhooks/{source}/{token}", 2).await;
    assert_eq!(
        spans.iter().filter(|span| attributes(span).get("hookmill.source").is_some_and(|name| name == "agent")).count(),
        2
    );
    let codes: Vec<String> = spans.iter().filter_map(|span| attributes(span).remove("error.type")).collect();
    for code in ["malformed", "invalid_signature", "status"] {
        assert!(codes.iter().any(|found| found == code), "{code} in {codes:?}");
    }
    for request in collector.received() {
        assert_eq!(request.header("authorization"), "Bearer secret-of-collector");
        let bytes = String::from_utf8_lossy(&request.bytes);
        assert!(!bytes.contains("secret") && !bytes.contains("hunter2"), "{bytes}");
    }
}

#[tokio::test]
async fn a_collector_that_fails_delays_nothing_and_its_spans_are_counted() {
    let soc = Receiver::start([]).await;
    let refusing = Receiver::start((0..64).map(|_| Reply::Status(400))).await;
    let silent = Receiver::start((0..64).map(|_| Reply::Never)).await;
    // The spans of 20 payloads, and more than the queue of a host can hold.
    for (collector, dropped) in [(&*refusing.url, 100.0), ("http://127.0.0.1:1", 100.0), (&*silent.url, 1.0)] {
        let folder = folder(&format!("{{ otlp: \"{collector}\" }}"), &soc, "");
        let mut host = folder.start().await;
        eventually("dropped spans are counted", async || {
            for _ in 0..20 {
                let answer = host.post("lab", incident(json!({"source-ref": "a-1"}))).await;
                assert_eq!(answer.status_word(), "accepted");
            }
            (host.metric("trace_spans_dropped_total").await >= dropped).then_some(())
        })
        .await;
        let lines = host.log().matches("the collector does not take traces").count();
        assert!(lines <= 3, "{}", host.log());
        // Less than the time in which a request to the collector fails.
        let stopping = Instant::now();
        host.terminate();
        host.end().await;
        assert!(stopping.elapsed() < Duration::from_secs(8), "{collector}: {:?}", stopping.elapsed());
    }
}

#[tokio::test]
async fn a_page_that_is_read_is_one_trace_up_to_its_deliveries() {
    let (collector, soc) = (Receiver::start([]).await, Receiver::start([]).await);
    let server =
        Server::start([Page::status(500, "secret-answer"), Page::json(&json!([{"id": "a"}, {"id": "b"}]))]).await;
    let folder = Folder::new(&format!(
        "traces: {}
sources:
  polled:
    kind: http-poll
    url: \"{}/secret-path?secret-query\"
    plugin: echo
    interval: 1h
    allow_networks: [127.0.0.0/8]
webhooks: {{ soc: {{ url: \"{}\", allow_networks: [127.0.0.0/8] }} }}",
        to(&collector),
        server.url,
        soc.url
    ))
    .with("echo", &echo("1.0"));
    let _host = folder.start().await;
    let spans = wait_for(&collector, "deliver", 2).await;
    let pulls: Vec<&Span> = spans.iter().filter(|span| span.name == "pull").collect();
    let [failed, pull] = &pulls[..] else { panic!("{pulls:?}") };
    assert_eq!(attributes(failed)["error.type"], "status");
    let expected = [("hookmill.pull.items", "2"), ("hookmill.source", "polled")];
    assert_eq!(attributes(pull), expected.map(|(name, value)| (name, value.to_owned())).into());
    assert!(pull.parent_span_id.is_empty() && pull.trace_id != failed.trace_id);
    let of_pull = |name: &str| {
        let steps = spans.iter().filter(|span| span.name == name && span.parent_span_id == pull.span_id);
        steps.inspect(|step| assert_eq!(step.trace_id, pull.trace_id)).collect::<Vec<_>>()
    };
    assert_eq!((of_pull("map").len(), of_pull("commit").len()), (2, 1), "{spans:?}");
    let [call] = &of_pull("GET")[..] else { panic!("{spans:?}") };
    assert_eq!((call.kind, &*attributes(call)["http.response.status_code"]), (SpanKind::Client as i32, "200"));
    let deliveries = of_pull("deliver");
    assert_eq!(deliveries.len(), 2, "{spans:?}");
    for delivery in deliveries {
        assert_eq!((delivery.links.len(), &delivery.links[0].span_id), (1, &pull.span_id));
    }
    for request in collector.received() {
        assert!(!String::from_utf8_lossy(&request.bytes).contains("secret"));
    }
}

#[tokio::test]
async fn the_call_of_a_playbook_belongs_to_the_trace_of_its_event() {
    let (collector, soc) = (Receiver::start([]).await, Receiver::start([]).await);
    let folder = folder(&to(&collector), &soc, "");
    let config = std::fs::read_to_string(folder.path("hookmill.yaml")).unwrap();
    let triaged = "plugin: returns, auto_triage: true, playbook: judges }\n  agent";
    std::fs::write(folder.path("hookmill.yaml"), config.replacen("plugin: returns }\n  agent", triaged, 1)).unwrap();
    folder.put("judges", &guest_of_kind("judges", "playbook"));
    let host = folder.start().await;
    let description = judgement(&json!([{"set-category": "secret-category"}]));
    let answer = host.post("lab", incident(json!({"source-ref": "a-1", "description": description}))).await;
    let spans = wait_for(&collector, "deliver", 2).await;
    let (request, triage) = (only(&spans, REQUEST), only(&spans, "triage"));
    assert_eq!((&triage.trace_id, &triage.parent_span_id), (&request.trace_id, &request.span_id));
    assert_eq!((triage.links.len(), &triage.links[0].span_id), (1, &request.span_id));
    let found = attributes(triage);
    assert_eq!((&*found["hookmill.plugin.name"], &*found["hookmill.triage.result"]), ("judges", "done"));
    assert_eq!(found["hookmill.incident.id"], answer.body["incident_id"].as_str().unwrap());
    let of_triage = |name: &str| {
        let steps = spans.iter().filter(|span| span.name == name && span.parent_span_id == triage.span_id);
        steps.filter(|step| step.trace_id == request.trace_id).count()
    };
    assert_eq!((of_triage("commit"), of_triage("deliver")), (1, 1), "{spans:?}");
    // A triage that an operator requests is a trace of its own. The playbook refuses this one.
    let path = format!("/api/incidents/{}", answer.body["incident_id"].as_str().unwrap());
    let change = json!({"description": judgement(&json!("secret-refusal"))}).to_string();
    assert_eq!(host.call(Method::PATCH, &path, change).await.status, 200);
    assert_eq!(host.call(Method::POST, &format!("{path}/triage"), "").await.status, 202);
    let spans = wait_for(&collector, "triage", 2).await;
    let triages: Vec<&Span> = spans.iter().filter(|span| span.name == "triage").collect();
    assert!(triages[1].parent_span_id.is_empty() && triages[1].links.is_empty(), "{triages:?}");
    assert_eq!(attributes(triages[1])["hookmill.triage.result"], "failed");
    assert_eq!(triages[1].status.as_ref().unwrap().code, StatusCode::Error as i32);
    for request in collector.received() {
        assert!(!String::from_utf8_lossy(&request.bytes).contains("secret"));
    }
}

#[tokio::test]
async fn without_traces_nothing_is_stored_or_passed_on() {
    let soc = Receiver::start([]).await;
    let folder = folder("", &soc, "traceparent: true");
    let host = folder.start().await;
    host.logs("`traceparent` of destination `soc` has no effect without `traces`").await;
    post_with(&host, &format!("00-{TRACE}-{PARENT}-01")).await;
    let received = soc.wait_for(1).await.remove(0);
    assert!(!received.headers.contains_key("traceparent"), "{received:?}");
    host.kill();
    let database = rusqlite::Connection::open(folder.path("data/hookmill.db")).unwrap();
    for table in ["events", "deliveries"] {
        let query = format!("SELECT count(*) = 1 AND count(traceparent) = 0 FROM {table}");
        assert!(database.query_row(&query, [], |row| row.get::<_, bool>(0)).unwrap(), "{table}");
    }
}
