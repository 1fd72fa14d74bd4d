//! Sources that the host reads: its requests, the items that it stores, its position, and failures.

use crate::guest::echo;
use crate::host::{Folder, Host, eventually};
use crate::receiver::Receiver;
use crate::server::{Page, Server};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub const NETWORKS: &str = "allow_networks: [127.0.0.0/8]";

pub fn folder(sources: &str) -> Folder {
    Folder::new(&format!("sources:\n{sources}")).with("echo", &echo("1.0"))
}

fn stream_of(server: &Server, keys: &str) -> String {
    format!(
        "  octi: {{ kind: opencti-stream, url: \"{}\", token: a-token-of-the-tests, stream: live, plugin: echo, {NETWORKS}{keys} }}\n",
        server.url
    )
}

pub fn poll_of(name: &str, server: &Server, path: &str, keys: &str) -> String {
    let keys = if keys.contains("interval:") { keys } else { &format!("{keys}, interval: 1s") };
    format!("  {name}: {{ kind: http-poll, url: \"{}{path}\", plugin: echo, {NETWORKS}{keys} }}\n", server.url)
}

fn frame(id: &str, event: &str, object: &str) -> String {
    format!("id: {id}\nevent: {event}\ndata: {{\"data\":{{\"id\":\"{object}\"}}}}\n\n")
}

pub async fn source_when(host: &Host<'_>, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/sources/{name}");
    eventually(&format!("source {name}"), async || Some(host.get(&path).await).filter(&wanted)).await
}

/// Returns the bodies of a source's events, oldest first.
pub async fn bodies(host: &Host<'_>, source: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    for event in host.list(&format!("/api/events?source={source}")).await {
        let event = host.get(&format!("/api/events/{}", event["id"].as_str().unwrap())).await;
        bodies.insert(0, event["body"]["data"].as_str().unwrap().to_owned());
    }
    bodies
}

#[tokio::test]
async fn a_stream_is_read_and_resumed_at_its_position() {
    let frames = [
        "retry: 10\n\nevent: connected\ndata: {\"connectionId\":\"c\"}\n\n".to_owned(),
        frame("1700000000005-0", "create", "a"),
        // The object that b depends on is sent under b's id.
        frame("1700000000006-0", "create", "dependency"),
        frame("1700000000006-0", "create", "b"),
        ": nothing\n\nid: 1700000000006-0\nevent: heartbeat\ndata: \"2026-01-31T08:00:00Z\"\n\n".to_owned(),
    ];
    let again = [
        frame("1700000000006-0", "create", "dependency"),
        frame("1700000000006-0", "create", "b"),
        frame("1700000000006-0", "delete", "b"),
    ];
    let server = Server::start([Page::stream(&frames.concat())]).await;
    let receiver = Receiver::start([]).await;
    let folder =
        folder(&stream_of(&server, ", start: 1700000000000-2, no_dependencies: true, recover: 2024-01-31T08:00:00Z"));
    folder.append(&format!("webhooks: {{ soc: {{ url: \"{}\", {NETWORKS} }} }}", receiver.url));
    let host = folder.start().await;
    // More messages may follow under 6-0.
    let source =
        source_when(&host, "octi", |source| source["position"] == "1700000000005-0" && source["accepted"] == 3).await;
    assert_eq!(
        (&source["kind"], &source["scheme"], &source["accepted"]),
        (&json!("opencti-stream"), &Value::Null, &json!(3))
    );
    let asked = &server.asked(1).await[0];
    assert_eq!(asked.line, "GET /stream/live?recover=2024-01-31T08%3A00%3A00Z");
    for (name, value) in [
        ("authorization", "Bearer a-token-of-the-tests"),
        ("accept", "text/event-stream"),
        ("last-event-id", "1700000000000-2"),
        ("listen-delete", "true"),
        ("no-dependencies", "true"),
        ("with-inferences", "false"),
    ] {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    receiver.wait_for(3).await;
    let events = host.list("/api/events?source=octi").await;
    let event = host.get(&format!("/api/events/{}", events[0]["id"].as_str().unwrap())).await;
    let context = |name: &str, value: &str| json!({"name": name, "value": value});
    assert_eq!(event["context"], json!([context("sse.event", "create"), context("sse.id", "1700000000006-0")]));
    assert_eq!((&event["status"], &event["content_type"]), (&json!("mapped"), &json!("application/json")));
    host.kill();

    server.answer_next([Page::stream(&(again.concat() + &frame("1700000000007-0", "create", "c")))]);
    let host = folder.start().await;
    let source =
        source_when(&host, "octi", |source| source["position"] == "1700000000006-0" && source["duplicates"] == 2).await;
    assert_eq!(source["duplicates"], 2, "{source}");
    assert_eq!(server.asked(2).await[1].header("last-event-id"), Some("1700000000005-0"));
    // The same object with another topic is another event.
    let expected = ["a", "dependency", "b", "b", "c"].map(|object| format!("{{\"data\":{{\"id\":\"{object}\"}}}}"));
    assert_eq!(bodies(&host, "octi").await, expected);
    assert_eq!(host.list("/api/incidents").await.len(), 4);
}

/// A poll goes on while other parts of the configuration change. A change of its own declaration begins another poll.
#[tokio::test]
async fn a_poll_in_progress_is_kept_when_the_configuration_changes() {
    let (slow, other) = (Server::start([Page::stream("[")]).await, Server::start([Page::json(&json!([]))]).await);
    let sources = poll_of("slow", &slow, "/items", "");
    let folder = folder(&sources);
    let host = folder.start().await;
    slow.asked(1).await;
    let more = poll_of("zone", &other, "/items", "");
    folder.configure(&format!("sources:\n{sources}{more}"));
    other.asked(2).await;
    assert_eq!(slow.asked(1).await.len(), 1);
    let changed = poll_of("slow", &slow, "/items", ", settings: { team: soc }");
    folder.configure(&format!("sources:\n{changed}{more}"));
    slow.asked(2).await;
    host.logs("hookmill.yaml applied").await;
}

/// Each failure has its code and message, and the host recovers from it.
#[tokio::test]
async fn failures_of_a_server_are_shown_and_recovered_from() {
    let rest = json!([{"a": 1}]);
    let cases: [(&str, Page, &str, &str); 9] = [
        ("stream", Page::status(401, "who are you"), "status", "the server answered 401 Unauthorized: who are you"),
        ("stream", Page::status(410, "This live stream is stopped"), "status", "410 Gone: This live stream is stopped"),
        ("stream", Page::status(500, ""), "status", "500"),
        ("stream", Page::status(200, "<html>"), "answer", "not an event stream"),
        (
            "poll",
            Page::status(404, "no /items?token=a-secret-of-the-url"),
            "status",
            "404 Not Found: no /items?token=***",
        ),
        (
            "poll",
            Page::status(302, "").with("location", "http://soc@127.0.0.1/new?token=a-secret-of-the-url"),
            "status",
            "redirects to http://127.0.0.1/new; redirects are not followed",
        ),
        ("poll", Page::status(200, "<html>"), "answer", "not JSON"),
        ("poll", Page::json(&json!("text")), "answer", "neither a list nor an object"),
        ("poll", Page::status(503, "").with("retry-after", "1"), "status", "503"),
    ];
    let (mut sources, mut servers) = (String::new(), Vec::new());
    for (index, (kind, page, _, _)) in cases.iter().enumerate() {
        let server = Server::start([page.clone()]).await;
        let name = format!("source-{index}");
        sources += &match *kind {
            "stream" => stream_of(&server, "").replace("octi", &name),
            _ => poll_of(&name, &server, "/items?token=a-secret-of-the-url", ""),
        };
        servers.push(server);
    }
    let folder = folder(&sources);
    let host = folder.start().await;
    for (index, ((kind, _, code, text), server)) in cases.iter().zip(&servers).enumerate() {
        let source = source_when(&host, &format!("source-{index}"), |source| !source["last_error"].is_null()).await;
        let error = &source["last_error"];
        assert!(error["code"] == *code && error["message"].as_str().unwrap().contains(text), "{kind} {text}: {source}");
        assert_eq!(source["last_success"], Value::Null);
        let good = if *kind == "stream" {
            Page::stream(&frame("1-0", "create", "a"))
        } else {
            Page::status(200, &format!("\u{feff}{rest}"))
        };
        server.answer_next([good]);
    }
    for (index, (_, _, code, _)) in cases.iter().enumerate() {
        let name = format!("source-{index}");
        source_when(&host, &name, |source| source["accepted"] == 1 && !source["last_success"].is_null()).await;
        let errors = host.metric(&format!("webhook_errors_total{{source=\"{name}\",code=\"{code}\"}}")).await;
        assert!(errors >= 1.0, "{name}");
    }
    assert!(!host.log().contains("a-secret-of-the-url"));
}

#[tokio::test]
async fn frames_and_items_that_are_too_large_are_left_out_and_counted() {
    let large = "x".repeat((1 << 20) + 1);
    let stream = format!("{}id: 2-0\ndata: {large}\n\n{}", frame("1-0", "create", "a"), frame("3-0", "create", "b"));
    let octi = Server::start([Page::stream(&stream)]).await;
    let items = Server::start([Page::json(&json!([{"a": 1}, {"b": large}, {"c": 3}]))]).await;
    let folder = folder(&(stream_of(&octi, "") + &poll_of("items", &items, "/items", ", interval: 1h")));
    let host = folder.start().await;
    for (name, expected) in [
        ("octi", vec![r#"{"data":{"id":"a"}}"#, r#"{"data":{"id":"b"}}"#]),
        ("items", vec![r#"{"a":1}"#, r#"{"c":3}"#]),
    ] {
        let source = source_when(&host, name, |source| source["accepted"] == 2).await;
        assert_eq!((&source["received"], &source["refused"]), (&json!(3), &json!(1)), "{source}");
        assert_eq!(source["last_error"]["code"], "payload_too_large");
        assert_eq!(bodies(&host, name).await, expected);
    }
}

#[tokio::test]
async fn a_stream_that_ends_or_is_silent_is_reconnected() {
    let ends = Page::frames(&("retry: 1000\n\n".to_owned() + &frame("1700000000001-0", "create", "a")));
    let server = Server::start([ends, Page::stream(&frame("1700000000002-0", "create", "b"))]).await;
    let folder = folder(&stream_of(&server, ", timeout: 1s"));
    let host = folder.start().await;
    let source = source_when(&host, "octi", |source| source["accepted"] == 2).await;
    assert_eq!(source["last_error"], Value::Null);
    let source = source_when(&host, "octi", |source| !source["last_error"].is_null()).await;
    assert_eq!(source["last_error"]["message"], "the server sent nothing in time (1 s)");
    server.asked(4).await;
    host.terminate();
}

/// Returns the time in a request, in milliseconds.
fn since(line: &str) -> i64 {
    let (_, text) = line.split_once("since=").unwrap();
    text.split('&').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_poll_asks_for_new_items_and_stores_each_once() {
    let page = |items: Value| Page::json(&json!({"data": {"items": items}}));
    let wrong = [Page::status(500, "no"), Page::json(&json!({"data": null})), Page::status(200, "")];
    let right = [
        page(json!([{"id": 1}, {"id": 12345678901234567890_u64}])),
        page(json!([])),
        page(json!([{"id": 1}, {"id": 3}])),
    ];
    let server = Server::start(right[..1].iter().cloned().chain(wrong).chain(right[1..].iter().cloned())).await;
    let keys = ", items: /data/items, time_format: unix_ms, overlap: 10s, start: 2026-01-31T08:00:00Z";
    let folder = folder(&poll_of("items", &server, "/items?since=LAST_POLL_TIME&all=true", keys));
    let host = folder.start().await;
    let started = server.asked(1).await;
    assert_eq!(started[0].line, "GET /items?since=1769846390000&all=true");
    let source = source_when(&host, "items", |source| source["accepted"] == 3).await;
    assert_eq!(bodies(&host, "items").await, [r#"{"id":1}"#, r#"{"id":12345678901234567890}"#, r#"{"id":3}"#]);
    assert!(source["duplicates"].as_u64().unwrap() >= 1);
    let asked: Vec<i64> = server.asked(6).await.iter().map(|asked| since(&asked.line)).collect();
    // After a failure, the next poll starts from the last successful one.
    assert!(
        asked[1] > asked[0] && asked[1..=4].iter().all(|since| *since == asked[1]) && asked[5] > asked[1],
        "{asked:?}"
    );
    let position: i64 = source["position"].as_str().unwrap().parse().unwrap();
    host.terminate();
    drop(host);
    let polls = server.asked(6).await.len();
    let host = folder.start().await;
    let next = since(&server.asked(polls + 1).await[polls].line);
    assert!(next >= position - 10_000, "{next} {position}");
    drop(host);

    // Another `start` begins again.
    folder.configure(&format!(
        "sources:\n{}",
        poll_of("items", &server, "/items?since=LAST_POLL_TIME&all=true", &keys.replace("2026", "2025"))
    ));
    let host = folder.start().await;
    let asked = eventually("a poll from the new start", async || {
        server.asked(1).await.into_iter().find(|asked| since(&asked.line) == 1_738_310_390_000)
    });
    asked.await;
    drop(host);
}

/// The server's `Date` counts if it is behind the host's clock.
#[tokio::test]
async fn the_earlier_of_both_clocks_is_the_time_of_a_poll() {
    let late = SystemTime::now() - Duration::from_secs(3600);
    let server = Server::start([Page::json(&json!([])).with("date", httpdate::fmt_http_date(late))]).await;
    let keys = ", time_format: unix_s, overlap: 0s, start: 2026-01-31T08:00:00Z";
    let folder = folder(&poll_of("items", &server, "/items?since=LAST_POLL_TIME", keys));
    let _host = folder.start().await;
    let second = since(&server.asked(2).await[1].line);
    let late = late.duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((late - 60..=late).contains(&second), "{second} {late}");
}

#[tokio::test]
async fn every_page_is_read_and_only_from_the_same_server() {
    let elsewhere = Server::start([Page::json(&json!([{"stolen": true}]))]).await;
    let by_link = Server::start([
        Page::json(&json!([{"l": 1}]))
            .with("link", "</items?page=2&fields=l,m>; rel=\"next\", </items>; rel=\"first\""),
        Page::json(&json!([{"l": 2}])).with("link", "</items>; rel=first"),
    ])
    .await;
    let by_url = Server::start([
        Page::json(&json!({"value": [{"u": 1}], "@odata.nextLink": "?skip=1"})),
        Page::json(&json!({"value": [{"u": 2}], "@odata.nextLink": null})),
    ])
    .await;
    let by_token = Server::start([
        Page::json(&json!({"data": [{"t": 1}], "next_cursor": "a&b"})),
        Page::json(&json!({"data": [{"t": 2}], "next_cursor": "c"})),
        Page::json(&json!({"data": [], "next_cursor": "d"})),
        Page::json(&json!({"data": [{"t": 3}], "next_cursor": "e"})),
        Page::json(&json!({"data": [], "next_cursor": "e"})),
    ])
    .await;
    let away =
        Server::start([Page::json(&json!([{"a": 1}])).with("link", format!("<{}/>; rel=next", elsewhere.url))]).await;
    let round = Server::start([Page::json(&json!([{"r": 1}])).with("link", "</items?page=1>; rel=next")]).await;
    let sources = [
        poll_of("link", &by_link, "/items?a=b", ", interval: 1h, start: 0, token: a-token-of-the-tests"),
        poll_of("url", &by_url, "/v1/items?a=b", ", interval: 1h, start: 0, items: /value, next: /@odata.nextLink"),
        poll_of(
            "token",
            &by_token,
            "/items?a=b&c=",
            ", interval: 1h, start: 0, items: /data, next: /next_cursor, next_parameter: cursor",
        ),
        poll_of("away", &away, "/items", ", start: 0, token: a-token-of-the-tests"),
        poll_of("round", &round, "/items", ", start: 0"),
    ];
    let folder = folder(&sources.concat());
    let host = folder.start().await;
    for (name, server, lines) in [
        ("link", &by_link, &["GET /items?a=b", "GET /items?page=2&fields=l,m"][..]),
        ("url", &by_url, &["GET /v1/items?a=b", "GET /v1/items?skip=1"]),
        (
            "token",
            &by_token,
            &[
                "GET /items?a=b&c=",
                "GET /items?a=b&c=&cursor=a%26b",
                "GET /items?a=b&c=&cursor=c",
                "GET /items?a=b&c=&cursor=d",
            ],
        ),
    ] {
        let items = if name == "token" { 3 } else { 2 };
        source_when(&host, name, |source| source["accepted"] == items && source["position"] != "0").await;
        let asked = server.asked(lines.len()).await;
        assert_eq!(asked[..lines.len()].iter().map(|asked| asked.line.as_str()).collect::<Vec<_>>(), lines);
    }
    assert_eq!(by_link.asked(2).await[1].header("authorization"), Some("Bearer a-token-of-the-tests"));
    for (name, text) in [("away", "another scheme, host or port"), ("round", "named before")] {
        let source = source_when(&host, name, |source| !source["last_error"].is_null()).await;
        let error = &source["last_error"];
        assert!(error["code"] == "answer" && error["message"].as_str().unwrap().contains(text), "{source}");
        assert_eq!((&source["accepted"], &source["position"]), (&json!(1), &json!("0")), "{source}");
    }
    assert!(elsewhere.asked(0).await.is_empty());
}

#[tokio::test]
async fn graphql_is_queried_and_its_errors_are_failures() {
    let answer = |edges: Value, end: Value| {
        Page::json(&json!({"data": {"works": {"edges": edges, "pageInfo": {"endCursor": end}}}}))
    };
    let server = Server::start([
        Page::json(&json!({"errors": [{"message": "unknown field x"}], "data": null})),
        answer(json!([{"node": 1}]), json!("after-1")),
        answer(json!([{"node": 2}]), json!("after-2")),
        answer(json!([]), json!(null)),
    ])
    .await;
    let query = "query($after: ID) { works(from: \\\"LAST_POLL_TIME-180000\\\", after: $after) { edges { node } } }";
    let folder = folder(&format!(
        "  works: {{ kind: graphql-poll, url: \"{}/graphql\", token: a-token-of-the-tests, query: \"{query}\", \
         items: \"['data']['works']['edges']\", next: /data/works/pageInfo/endCursor, start: 2026-01-31T08:03:00Z, \
         overlap: 0s, plugin: none, headers: {{ x-team: soc }}, {NETWORKS} }}\n",
        server.url
    ));
    let host = folder.start().await;
    let source =
        source_when(&host, "works", |source| source["accepted"] == 2 && !source["last_success"].is_null()).await;
    assert_eq!(source["last_error"]["message"], "the server's answer: GraphQL error: unknown field x");
    let asked = server.asked(4).await;
    assert_eq!(asked[0].line, "POST /graphql");
    assert_eq!((asked[0].header("content-type"), asked[0].header("x-team")), (Some("application/json"), Some("soc")));
    let expected = "query($after: ID) { works(from: \"1769846400000\", after: $after) { edges { node } } }";
    assert_eq!(asked[1].body, json!({"query": expected}));
    assert_eq!(asked[3].body, json!({"query": expected, "variables": {"after": "after-2"}}));
    assert_eq!(bodies(&host, "works").await, [r#"{"node":1}"#, r#"{"node":2}"#]);
}

#[tokio::test]
async fn with_ignore_duplicates_false_every_item_is_an_event() {
    let server = Server::start([Page::json(&json!([{"a": 1}, {"a": 1}]))]).await;
    let folder = folder(&poll_of("items", &server, "/", ", ignore_duplicates: false"));
    let host = folder.start().await;
    source_when(&host, "items", |source| source["accepted"].as_u64() >= Some(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_next_poll_and_stores_nothing() {
    let items = Server::start([Page::json(&json!([{"a": 1}, {"a": 2}]))]).await;
    let frames = frame("1-0", "create", "a") + &frame("2-0", "create", "b");
    let octi = Server::start([Page::stream(&frames)]).await;
    let broken = Server::start([Page::status(401, "no")]).await;
    let folder = folder(
        &[poll_of("items", &items, "/", ", interval: 1h"), stream_of(&octi, ""), poll_of("broken", &broken, "/", "")]
            .concat(),
    );
    let host = folder.start().await;
    source_when(&host, "items", |source| source["accepted"] == 2).await;
    source_when(&host, "octi", |source| source["accepted"] == 2).await;
    items.answer_next([Page::json(&json!([{"a": 2}, {"a": 3}]))]);
    let stages = |dry_run: &Value| -> Vec<String> {
        let stages = dry_run["stages"].as_array().unwrap().iter();
        stages
            .map(|stage| format!("{}: {}", stage["stage"].as_str().unwrap(), stage["detail"].as_str().unwrap()))
            .collect()
    };
    let dry_run = host.call(Method::POST, "/api/sources/items/test", "").await.body;
    let shown = stages(&dry_run);
    assert!(dry_run["ok"] == true && shown[0].starts_with("poll: 2 items since "), "{shown:?}");
    assert_eq!(shown.last().unwrap(), "items: 1 tried, 1 known already, 0 more would follow");
    assert_eq!(dry_run["incidents"][0]["source_ref"], r#"{"a":3}"#);
    let dry_run = host.call(Method::POST, "/api/sources/octi/test", "").await.body;
    assert_eq!(stages(&dry_run).last().unwrap(), "items: 0 tried, 2 known already, 0 more would follow");
    let dry_run = host.call(Method::POST, "/api/sources/octi/test", r#"{"payload": {"x": 1}}"#).await.body;
    assert_eq!(dry_run["incidents"][0]["source_ref"], r#"{"x":1}"#);
    let (succeeded, output, errors) =
        folder.run(&["webhook", "test", "broken", "--url", &host.url, "--token", crate::host::ADMIN_TOKEN]);
    assert!(!succeeded && output.contains("FAILED  status: the server answered 401"), "{output}{errors}");
    assert_eq!(host.list("/api/events").await.len(), 4);
    let (_, output, _) = folder.run(&["webhook", "list", "--url", &host.url, "--token", crate::host::ADMIN_TOKEN]);
    assert!(output.contains("opencti-stream") && output.contains("http-poll"), "{output}");
}

#[tokio::test]
async fn read_sources_take_no_posts_and_need_allow_networks() {
    let server = Server::start([Page::json(&json!([]))]).await;
    let folder = folder(&poll_of("items", &server, "/", "").replace(NETWORKS, "silent_after: 1h"));
    let host = folder.start().await;
    assert_eq!(host.post("items", "{}").await.error_code(), "unknown_source");
    let source = source_when(&host, "items", |source| !source["last_error"].is_null()).await;
    assert_eq!(source["last_error"]["code"], "refused_address");
    assert!(server.asked(0).await.is_empty());
    let body =
        json!({"source": "more", "kind": "http-poll", "url": "http://192.0.2.1/", "token": "a-token-of-the-tests"});
    let answer = host.call(Method::POST, "/api/webhooks", body.to_string()).await;
    assert_eq!((answer.status, answer.error_code()), (400, "invalid_request"), "{answer:?}");

    // A changed configuration takes effect immediately.
    folder.configure(&format!("sources:\n{}", poll_of("items", &server, "/other", "")));
    assert_eq!(server.asked(1).await[0].line, "GET /other");
}
