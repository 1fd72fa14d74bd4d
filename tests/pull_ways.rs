//! Ways in which vendors' interfaces differ from a list with a time: positions of the server, windows of time, files, and
//! details with pages or without an answer. Each has a stand-in server with the vendor's faults.

use crate::guest::guest;
use crate::host::{Folder, Host, eventually};
use crate::outcome::incident;
use crate::pull::{NETWORKS, bodies, folder, poll_of, source_when};
use crate::server::{Asked, Page, Server};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const START: &str = "1769846400000";

/// Returns the keys of a source that begins at 2026-01-31T08:00:00Z.
fn from_start(keys: &str) -> String {
    format!(", overlap: 0s, start: 2026-01-31T08:00:00Z{keys}")
}

fn lines(asked: &[Asked]) -> Vec<String> {
    asked.iter().map(|asked| asked.line.clone()).collect()
}

fn message(source: &Value) -> &str {
    source["last_error"]["message"].as_str().unwrap_or_default()
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Waits until these are the bodies of a source's events.
async fn stored(host: &Host<'_>, source: &str, expected: &[&str]) {
    eventually(&format!("{expected:?}"), async || Some(bodies(host, source).await).filter(|bodies| bodies == expected))
        .await;
}

/// The time part of a position stays until the poll has finished, and the server's part moves with each page.
#[tokio::test]
async fn a_position_of_the_server_is_kept_over_polls_and_restarts() {
    let page = |item: u32, cursor: &str, has_more: bool| {
        Page::json(&json!({"items": [{"id": item}], "next_cursor": cursor, "has_more": has_more}))
    };
    let server = Server::start([page(1, "c1", true), Page::stream("")]).await;
    let keys = from_start(
        ", time_format: unix_s, interval: 1h, items: /items, next: /next_cursor, next_parameter: cursor, keep_next: true, more: /has_more",
    );
    let folder = folder(&poll_of("events", &server, "/events?from_date=LAST_POLL_TIME", &keys));
    let host = folder.start().await;
    server.asked(2).await;
    let source = source_when(&host, "events", |source| source["accepted"] == 1).await;
    assert_eq!(source["position"], format!("{START} \"c1\""));
    host.kill();

    // The host goes on at the position, and stops when there is no more although the server names a next one.
    server.answer_next([page(2, "c2", true), page(3, "c3", false)]);
    let host = folder.start().await;
    let source = source_when(&host, "events", |source| source["position"].as_str().unwrap().ends_with(" \"c3\"")).await;
    assert!(!source["position"].as_str().unwrap().starts_with(START), "{source}");
    stored(&host, "events", &[r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#]).await;
    let since = "GET /events?from_date=1769846400";
    let expected = ["", "&cursor=c1", "&cursor=c1", "&cursor=c2"].map(|cursor| format!("{since}{cursor}"));
    assert_eq!(lines(&server.asked(4).await), expected);
    host.terminate();
    drop(host);

    // A position that the server does not know any more costs nothing but a longer answer.
    let refused = || Page::status(400, "the cursor has expired");
    server.answer_next([refused(), refused(), page(3, "d1", true), page(4, "d2", false)]);
    folder.configure(&format!(
        "sources:\n{}",
        poll_of(
            "events",
            &server,
            "/events?from_date=LAST_POLL_TIME",
            &keys.replace("items: /items", "retries: 1, items: /items")
        )
    ));
    let host = folder.start().await;
    let source = source_when(&host, "events", |source| source["position"].as_str().unwrap().ends_with("\"d2\"")).await;
    stored(&host, "events", &[r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#, r#"{"id":4}"#]).await;
    let forgotten =
        "the server does not continue at its own position, so that the time is used: the server answered 400";
    assert!(message(&source).starts_with(forgotten), "{source}");
    let asked = lines(&server.asked(8).await);
    assert!(asked[4].ends_with("&cursor=c3") && asked[5] == asked[4] && !asked[6].contains("cursor"), "{asked:?}");
    assert!(asked[7].ends_with("&cursor=d1"), "{asked:?}");
}

/// The position may be the URL of a page. One of a server that the source left is not requested.
#[tokio::test]
async fn a_page_whose_url_is_the_position_is_requested_first() {
    let page = |item: u32, next: &str| Page::json(&json!({"items": [{"id": item}], "next": next, "more": false}));
    let (first, second) = (Server::start([page(1, "/events?page=a")]).await, Server::start([page(3, "?page=c")]).await);
    let keys = from_start(", interval: 1s, items: /items, next: /next, keep_next: true, more: /more");
    let folder = folder(&poll_of("events", &first, "/events?since=LAST_POLL_TIME", &keys));
    let host = folder.start().await;
    assert_eq!(lines(&first.asked(2).await)[1], "GET /events?page=a");
    let moved = |url: &str| format!("{url}/events?page=b");
    first.answer_next([page(2, &moved(&first.url))]);
    source_when(&host, "events", |source| source["position"].as_str().unwrap().ends_with("page=b\"")).await;
    folder.configure(&format!("sources:\n{}", poll_of("events", &second, "/events?since=LAST_POLL_TIME", &keys)));
    let asked = lines(&second.asked(2).await);
    assert!(asked[0].starts_with("GET /events?since=") && asked[1] == "GET /events?page=c", "{asked:?}");
    stored(&host, "events", &[r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#]).await;
}

/// A request that may have moved the server's position is never sent again as it was.
#[tokio::test]
async fn a_position_that_the_server_keeps_loses_nothing() {
    let page = |items: Value| Page::json(&json!({"ok": 1, "result": items}));
    let server = Server::start([
        page(json!([{"id": 1}])),
        // The answer is lost, and the position has moved.
        Page::status(502, ""),
        page(json!([{"id": 2}])),
        page(json!([{"id": 3}])),
        page(json!([])),
        Page::stream(""),
    ])
    .await;
    let keys = from_start(
        ", time_format: unix_s, interval: 1s, items: /result, operations: { first: LAST_POLL_TIME, next: next, again: resend }",
    );
    let folder = folder(&poll_of("alerts", &server, "/alert?index=soc&operation=NEXT_OPERATION", &keys));
    let host = folder.start().await;
    source_when(&host, "alerts", |source| source["accepted"] == 3).await;
    let operations = |asked: Vec<String>| -> Vec<String> {
        asked.iter().map(|line| line.strip_prefix("GET /alert?index=soc&operation=").unwrap().to_owned()).collect()
    };
    assert_eq!(operations(lines(&server.asked(6).await)), ["1769846400", "next", "resend", "next", "next", "next"]);
    host.kill();

    // After a start it is not known whether the last answer was stored.
    server.answer_next([page(json!([])), page(json!([{"id": 4}])), page(json!([]))]);
    let host = folder.start().await;
    let ids = [1, 2, 3, 4, 5].map(|id| format!("{{\"id\":{id}}}"));
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    stored(&host, "alerts", &ids[..4]).await;
    assert_eq!(operations(lines(&server.asked(9).await))[6..9], ["resend", "next", "next"]);
    // A dry run moves nothing.
    server.answer_next([page(json!([{"id": 4}, {"id": 5}]))]);
    let before = server.asked(9).await.len();
    host.call(Method::POST, "/api/sources/alerts/test", "").await;
    stored(&host, "alerts", &ids).await;
    assert!(operations(lines(&server.asked(before + 1).await))[before..].contains(&"resend".to_owned()));
}

/// After an outage, the time is read in windows, each once and none skipped, also if one of them fails at first.
#[tokio::test]
async fn an_outage_is_read_in_windows() {
    let server = Server::start([
        Page::json(&json!([{"w": 1}])),
        Page::status(500, ""),
        Page::status(500, ""),
        Page::json(&json!([{"w": 2}])),
        Page::status(204, ""),
        Page::json(&json!([])),
    ])
    .await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let start = now - 2 * 3600 - 600;
    let keys = format!(
        ", time_format: unix_s, interval: 1h, overlap: 60s, window: 1h, history: 7d, retries: 0, start: {start}"
    );
    let folder = folder(&poll_of("siem", &server, "/siem?interval=LAST_POLL_TIME/THIS_POLL_TIME", &keys));
    let host = folder.start().await;
    // There is no position until the source is read for the first time.
    let reached = |source: &Value| source["position"].as_str().map(|position| position.parse::<u64>().unwrap() / 1000);
    source_when(&host, "siem", |source| reached(source).is_some_and(|reached| reached >= now)).await;
    let asked: Vec<(u64, u64)> = lines(&server.asked(5).await)
        .iter()
        .map(|line| {
            let (from, to) = line.strip_prefix("GET /siem?interval=").unwrap().split_once('/').unwrap();
            (from.parse().unwrap(), to.parse().unwrap())
        })
        .collect();
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert_eq!(asked[0], (start - 60, start - 60 + 3600));
    assert_eq!((asked[1], asked[2]), (asked[3], asked[3]));
    for (before, after) in [(asked[0], asked[3]), (asked[3], asked[4])] {
        assert_eq!(after.0, before.1 - 60, "{asked:?}");
        assert!(after.1 - after.0 <= 3600);
    }
    assert!(asked[4].1 >= now);
    assert_eq!(bodies(&host, "siem").await, [r#"{"w":1}"#, r#"{"w":2}"#]);
    drop(host);

    // An outage that is longer than the server keeps its items leaves a gap, which is shown.
    folder.configure(&format!(
        "sources:\n{}",
        poll_of("siem", &server, "/siem?interval=LAST_POLL_TIME/THIS_POLL_TIME", &keys.replace("7d", "90m"))
    ));
    let host = folder.start().await;
    let source = source_when(&host, "siem", |source| !source["last_success"].is_null()).await;
    assert!(!message(&source).contains("were not read"), "{source}");
    drop(host);
    folder.configure(&format!(
        "sources:\n{}",
        poll_of(
            "siem",
            &server,
            "/siem?interval=LAST_POLL_TIME/THIS_POLL_TIME",
            &keys.replace(&start.to_string(), &(start - 3600).to_string()).replace("7d", "90m")
        )
    ));
    let host = folder.start().await;
    let source = source_when(&host, "siem", |source| message(source).contains("were not read")).await;
    assert!(message(&source).ends_with("the server keeps items for the time in `history` only"), "{source}");
}

#[tokio::test]
async fn a_list_that_is_left_out_is_empty_if_the_source_says_so() {
    let mut sources = String::new();
    let mut servers = Vec::new();
    for (name, answer, key) in [
        ("optional", json!({}), ", items_optional: true"),
        ("required", json!({}), ""),
        ("other", json!(["x"]), ", items_optional: true"),
    ] {
        let server = Server::start([Page::json(&answer)]).await;
        sources += &poll_of(name, &server, "/alerts", &format!(", items: /alerts, retries: 0{key}"));
        servers.push(server);
    }
    let folder = folder(&sources);
    let host = folder.start().await;
    source_when(&host, "optional", |source| !source["last_success"].is_null()).await;
    for name in ["required", "other"] {
        let source = source_when(&host, name, |source| !source["last_error"].is_null()).await;
        assert_eq!(message(&source), "the server's answer: there are no items at `items`, /alerts", "{name}");
        assert_eq!(source["last_success"], Value::Null);
    }
    assert_eq!(host.get("/api/sources/optional").await["last_error"], Value::Null);
}

/// The list names files at another server, which gets no token.
#[tokio::test]
async fn the_lines_of_files_become_events() {
    let long = "x".repeat((1 << 20) + 1);
    let storage = Server::start([
        Page::bytes(packed("{\"id\":1}\n\n{\"id\":12345678901234567890}\r\n")),
        Page::status(404, "no such file"),
        Page::status(503, "").with("retry-after", "1"),
        Page::bytes(format!("{{\"id\":3}}\n{{\"id\":\"{long}\"}}\n{{\"id\":4}}").into_bytes()),
        Page::bytes([packed("{\"id\":5}\n"), packed("{\"id\":6}\n")[..12].to_vec()].concat()),
        Page::bytes(packed("{\"id\":7}\n")),
    ])
    .await;
    let file = |name: &str| json!({"url": format!("{}/{name}?sig=a-secret-of-the-file", storage.url), "size": 1});
    let page = |files: Value, next: &str, is_caught_up: bool| {
        Page::json(&json!({"value": files, "@nextPage": next, "isCaughtUp": is_caught_up}))
    };
    let elsewhere = json!({"url": storage.url.replace("127.0.0.1", "localhost")});
    let api = Server::start([
        page(json!([file("1.gz"), file("gone.gz"), file("3"), elsewhere]), "p2", false),
        page(json!([file("damaged.gz")]), "p3", true),
        page(json!([file("7.gz")]), "p4", true),
        page(json!([]), "p4", true),
    ])
    .await;
    let keys = from_start(
        ", time_format: date, token: a-token-of-the-tests, items: /value, files: { url: /url, hosts: [127.0.0.1] }, \
        next: /@nextPage, next_parameter: nextPage, keep_next: true, more: not /isCaughtUp",
    );
    let folder = folder(&poll_of("siem", &api, "/batch?type=url&dateRangeStartsAt=LAST_POLL_TIME", &keys));
    let host = folder.start().await;
    let source = source_when(&host, "siem", |source| source["accepted"] == 6).await;
    assert_eq!(source["refused"], 1, "{source}");
    let expected = ["1", "12345678901234567890", "3", "4", "5", "7"].map(|id| format!("{{\"id\":{id}}}"));
    assert_eq!(bodies(&host, "siem").await, expected);
    let log = host.log();
    for text in [
        "the file 127.0.0.1/gone.gz is gone; the rest is read without it",
        "1 items of the list have no URL at `files.url`, or one of a host that `files.hosts` does not name",
        "the file 127.0.0.1/damaged.gz cannot be read to its end",
    ] {
        assert!(log.contains(text), "{text}: {log}");
    }
    let asked = lines(&api.asked(4).await);
    let first = "GET /batch?type=url&dateRangeStartsAt=2026-01-31";
    assert_eq!(asked[..2], [first.to_owned(), format!("{first}&nextPage=p2")]);
    assert!(asked[2].ends_with("&nextPage=p3") && asked[3].ends_with("&nextPage=p4"), "{asked:?}");
    let asked = storage.asked(6).await;
    assert!(asked.iter().all(|asked| asked.header("authorization").is_none()));
    assert_eq!(asked[0].line, "GET /1.gz?sig=a-secret-of-the-file");
    assert!(!log.contains("a-secret-of-the-file") && !log.contains("a-token-of-the-tests"));

    api.answer_next([page(json!([file("8")]), "p9", true)]);
    storage.answer_next([Page::bytes(b"{\"id\":8}\n{\"id\":9}".to_vec())]);
    let dry_run = host.call(Method::POST, "/api/sources/siem/test", "").await.body;
    let detail = dry_run["stages"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("1 files, of which the first was fetched, and 2 items since "), "{dry_run}");
}

/// A URL that has expired is replaced by that of the next poll, and nothing is left out.
#[tokio::test]
async fn a_file_that_cannot_be_fetched_holds_the_position() {
    let storage =
        Server::start([Page::status(403, "expired, sig a-secret-of-the-file"), Page::bytes(b"{\"id\":1}".to_vec())])
            .await;
    let api = Server::start([Page::json(&json!([format!("{}/1?sig=a-secret-of-the-file", storage.url)]))]).await;
    let keys = from_start(", retries: 0, files: { hosts: [127.0.0.1] }");
    let folder = folder(&poll_of("siem", &api, "/batch", &keys));
    let host = folder.start().await;
    let source = source_when(&host, "siem", |source| !source["last_error"].is_null()).await;
    assert_eq!(message(&source), "the server answered 403 Forbidden: expired, sig ***");
    assert_eq!(source["position"], START);
    source_when(&host, "siem", |source| source["accepted"] == 1 && source["position"] != START).await;
}

#[tokio::test]
async fn the_pages_of_details_are_joined() {
    let threat =
        |mails: Value, next: Value| Page::json(&json!({"threatId": "t", "messages": mails, "nextPageNumber": next}));
    let large = json!([{"subject": "x".repeat(1 << 20)}]);
    let server = Server::start([
        Page::json(&json!({"threats": [{"threatId": "t"}, {"threatId": "u"}]})),
        threat(json!([{"id": 12_345_678_901_234_567_890_u64}]), json!(2)),
        Page::status(500, ""),
        threat(json!([{"id": 2}, {"id": 3}]), json!(3)),
        threat(json!([]), json!(null)),
        threat(json!([{"id": 4}]), json!(2)),
        threat(large, json!(3)),
    ])
    .await;
    let keys = from_start(
        ", interval: 1h, items: /threats, detail: { url: /threats/ITEM_ID?full=true, id: /threatId, next: /nextPageNumber, next_parameter: pageNumber, list: /messages }",
    );
    let folder = folder(&poll_of("threats", &server, "/threats", &keys));
    let host = folder.start().await;
    let source = source_when(&host, "threats", |source| source["accepted"] == 2 && source["position"] != START).await;
    let bodies = bodies(&host, "threats").await;
    assert!(bodies[0].contains(r#""messages":[{"id":12345678901234567890},{"id":2},{"id":3}]"#), "{bodies:?}");
    assert!(bodies[1].contains(r#""messages":[{"id":4}]"#), "{bodies:?}");
    assert!(
        message(&source).starts_with("the details of an item have more pages than an item may be large"),
        "{source}"
    );
    let asked = lines(&server.asked(7).await);
    let path = "GET /threats/t?full=true";
    let second = format!("{path}&pageNumber=2");
    assert_eq!(asked[1..5], [path.to_owned(), second.clone(), second, format!("{path}&pageNumber=3")]);
}

/// A wrong `detail.url` must not look like items that are gone.
#[tokio::test]
async fn a_poll_without_any_details_is_an_error() {
    let list = || Page::json(&json!(["a", "b"]));
    let gone = || Page::status(404, "");
    let server = Server::start([list(), gone(), gone(), list(), Page::json(&json!({"id": "a"})), gone()]).await;
    let of_files = Server::start([Page::json(&json!({"files": ["/gone", "/gone-too"], "next": "c"})), gone()]).await;
    let keys = from_start(
        ", interval: 1h, retries: 0, items: /files, next: /next, next_parameter: cursor, keep_next: true, files: {}",
    );
    let folder = folder(
        &(poll_of("items", &server, "/ids", &from_start(", detail: { url: /wrong/ITEM_ID }"))
            + &poll_of("files", &of_files, "/list", &keys)),
    );
    let host = folder.start().await;
    let source = source_when(&host, "files", |source| message(source).starts_with("the server has none of")).await;
    assert_eq!(source["position"], START, "{source}");
    let source = source_when(&host, "items", |source| message(source).starts_with("the server has none of")).await;
    assert_eq!((&source["last_error"]["code"], &source["position"]), (&json!("answer"), &json!(START)), "{source}");
    source_when(&host, "items", |source| source["accepted"] == 1 && source["position"] != START).await;
    let errors = host.metric("webhook_errors_total{source=\"items\",code=\"answer\"}").await;
    assert!(errors >= 4.0, "{errors}");
}

/// One id that the server does not take costs neither the others nor the source.
#[tokio::test]
async fn an_id_that_is_refused_is_recorded_alone() {
    let details = |ids: &[&str]| Page::json(&json!(ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()));
    let refused = || Page::status(400, "invalid id in a-secret-of-the-body");
    let server = Server::start([
        Page::json(&json!(["a", "b", "bad", "d"])),
        refused(),
        details(&["a", "b"]),
        refused(),
        refused(),
        details(&["d"]),
        Page::json(&json!(["bad"])),
        refused(),
    ])
    .await;
    let keys =
        from_start(", detail: { url: /details, body: '{\"ids\": ITEM_IDS, \"key\": \"a-secret-of-the-body\"}' }");
    let folder = folder(&poll_of("items", &server, "/ids", &keys));
    let host = folder.start().await;
    let source = source_when(&host, "items", |source| source["accepted"] == 3 && source["position"] != START).await;
    assert_eq!((&source["received"], &source["refused"]), (&json!(4), &json!(1)), "{source}");
    let text = "the details of the item \"bad\" cannot be read; the item is passed over: the server answered 400 Bad Request: \
                invalid id in ***";
    assert!(host.log().contains(text), "{}", host.log());
    let asked = server.asked(6).await;
    let ids: Vec<Value> = asked[1..6].iter().map(|asked| asked.body["ids"].clone()).collect();
    assert_eq!(json!(ids), json!([["a", "b", "bad", "d"], ["a", "b"], ["bad", "d"], ["bad"], ["d"]]));
    // If it is the only one, the request may be wrong.
    let position = source["position"].clone();
    let source =
        source_when(&host, "items", |source| message(source).starts_with("the server refuses all 1 requests")).await;
    assert_eq!(source["position"], position);
    let shown = format!("{source} {} {}", host.get("/api/config").await, host.log());
    assert!(!shown.contains("a-secret-of-the-body"));
}

/// Two tokens and two requests together take no longer than one attempt may.
#[tokio::test]
async fn an_attempt_with_tokens_has_one_limit() {
    let slow = Duration::from_millis(400);
    let token = Page::json(&json!({"access_token": "a-token", "expires_in": 3600})).late(slow);
    let tokens = Server::start([token]).await;
    let receiver = Server::start([Page::status(401, "").late(slow), Page::status(200, "").late(slow)]).await;
    let folder = Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: returns }} }}\nwebhooks: {{ soc: {{ url: \"{}\", retry_schedule: [], timeout: 1s, \
         {}, auth: {{ type: oauth2, token_url: \"{}/token\", client_id: soc, client_secret: a-secret-of-the-client }} }} }}\n",
        receiver.url,
        NETWORKS,
        tokens.url
    ))
    .with("returns", &guest("returns"));
    let host = folder.start().await;
    host.post("lab", incident(json!({"source-ref": "ref"}))).await;
    let dead = host.settled("/api/deliveries?status=dead").await;
    let delivery = host.get(&format!("/api/deliveries/{}", dead[0]["id"].as_str().unwrap())).await;
    assert!(delivery.to_string().contains("timeout"), "{delivery}");
}
