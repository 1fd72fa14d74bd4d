//! Details that are put into the items of a list, and pages by a header.

use crate::pull::{bodies, folder, poll_of, source_when};
use crate::server::{Page, Server};
use reqwest::Method;
use serde_json::{Value, json};

const START: &str = "1769846400000";

/// Returns the keys of a source that begins at 2026-01-31T08:00:00Z.
fn from_start(keys: &str) -> String {
    format!(", overlap: 0s, start: 2026-01-31T08:00:00Z{keys}")
}

/// The keys of a source whose incidents are completed by their alerts and entities.
fn completed(keys: &str) -> String {
    from_start(&format!(
        "{keys}, items: /value, details: [{{ url: \"incidents/ITEM_ID/alerts?v=1\", method: POST, id: /name, item: /value, \
         into: /properties/alerts }}, {{ url: \"incidents/ITEM_ID/entities?v=1\", method: POST, id: /name, item: /entities, \
         into: /entities }}]"
    ))
}

fn message(source: &Value) -> &str {
    source["last_error"]["message"].as_str().unwrap_or_default()
}

fn incidents(names: &[&str]) -> Page {
    let incident = |name: &&str| json!({"name": name, "properties": {"n": 12_345_678_901_234_567_890_u64}});
    Page::json(&json!({"value": names.iter().map(incident).collect::<Vec<_>>()}))
}

fn alerts(ids: &[u32]) -> Page {
    Page::json(&json!({"value": ids.iter().map(|id| json!({"alert": id})).collect::<Vec<_>>()}))
}

fn entities(hosts: &[&str]) -> Page {
    Page::json(&json!({"entities": hosts.iter().map(|host| json!({"host": host})).collect::<Vec<_>>(), "metaData": []}))
}

fn whole(name: &str, alerts: &str, entities: &str) -> String {
    format!(
        "{{\"name\":\"{name}\",\"properties\":{{\"n\":12345678901234567890,\"alerts\":{alerts}}},\"entities\":{entities}}}"
    )
}

/// The order of the list is kept. Details that are gone cost an item nothing else.
#[tokio::test]
async fn details_are_put_into_their_item() {
    let token = |text: &str| Page::json(&json!({"access_token": text, "expires_in": 3600}));
    let tokens = Server::start([token("the-first-token"), token("the-second-token")]).await;
    let server = Server::start([
        incidents(&["a/b", "two"]),
        alerts(&[1, 2]),
        Page::status(429, "").with("retry-after", "1"),
        entities(&["srv"]),
        Page::status(401, "expired"),
        alerts(&[3]),
        Page::status(404, "no such incident"),
        incidents(&["three", "four", "five"]),
        alerts(&[]),
        Page::status(400, "unknown entity"),
        // A proxy between the two.
        Page::status(200, "<html>busy</html>"),
        alerts(&[4]),
        Page::json(&json!({"metaData": []})),
        alerts(&[5]),
        Page::status(204, ""),
        incidents(&[]),
    ])
    .await;
    let auth = format!(
        ", auth: {{ type: oauth2, token_url: \"{}/token\", client_id: soc, client_secret: a-secret-of-the-client }}",
        tokens.url
    );
    let keys = completed(&format!("{auth}, next: /nextLink, retries: 1, interval: 1s"));
    let folder = folder(&poll_of("soc", &server, "/w/incidents?from=LAST_POLL_TIME", &keys));
    let host = folder.start().await;
    source_when(&host, "soc", |source| source["accepted"] == 5 && message(source).contains("\"five\"")).await;
    assert_eq!(
        bodies(&host, "soc").await,
        [
            whole("a/b", r#"[{"alert":1},{"alert":2}]"#, r#"[{"host":"srv"}]"#),
            r#"{"name":"two","properties":{"n":12345678901234567890,"alerts":[{"alert":3}]}}"#.to_owned(),
            r#"{"name":"three","properties":{"n":12345678901234567890,"alerts":[]}}"#.to_owned(),
            r#"{"name":"four","properties":{"n":12345678901234567890,"alerts":[{"alert":4}]}}"#.to_owned(),
            r#"{"name":"five","properties":{"n":12345678901234567890,"alerts":[{"alert":5}]}}"#.to_owned(),
        ]
    );
    let log = host.log();
    for text in [
        "the item \"two\" is stored without its details at /entities: the server does not have them",
        "the item \"three\" is stored without its details at /entities: the server answered 400 Bad Request: unknown entity",
        "the item \"four\" is stored without its details at /entities: the server's answer has nothing at `item`, /entities",
        "the item \"five\" is stored without its details at /entities: the server does not have them",
    ] {
        assert!(log.contains(text), "{text}: {log}");
    }
    let asked = server.asked(15).await;
    assert_eq!(asked[0].line, "GET /w/incidents?from=2026-01-31T08:00:00.000Z");
    assert_eq!(asked[1].line, "POST /w/incidents/a%2Fb/alerts?v=1");
    assert_eq!((asked[1].header("content-length"), asked[1].text.as_str()), (Some("0"), ""));
    assert_eq!(asked[2].line, "POST /w/incidents/a%2Fb/entities?v=1");
    assert_eq!((&asked[3].line, &asked[5].line), (&asked[2].line, &asked[4].line));
    assert_eq!(asked[5].header("authorization"), Some("Bearer the-second-token"));
    // All of that is one poll of the list each.
    let lists = asked[..15].iter().filter(|asked| asked.line.starts_with("GET")).count();
    assert_eq!((lists, asked[7].line.starts_with("GET")), (2, true));
}

/// The position moves only when everything is stored; what was stored before has no second effect.
#[tokio::test]
async fn nothing_is_lost_or_doubled_if_the_host_is_killed_between_details() {
    let list = || incidents(&["one", "two"]);
    let first = || [alerts(&[1]), entities(&["a"])];
    let begun = [list()].into_iter().chain(first()).chain([alerts(&[2]), Page::stream("")]);
    let server = Server::start(begun).await;
    let folder = folder(&poll_of("soc", &server, "/incidents", &completed(", interval: 1h")));
    let host = folder.start().await;
    server.asked(5).await;
    let source = source_when(&host, "soc", |source| source["accepted"] == 1).await;
    assert_eq!(source["position"], START);
    host.kill();
    server.answer_next([list()].into_iter().chain(first()).chain([alerts(&[2]), entities(&["b"])]));
    let host = folder.start().await;
    source_when(&host, "soc", |source| source["position"] != START).await;
    let expected =
        [whole("one", r#"[{"alert":1}]"#, r#"[{"host":"a"}]"#), whole("two", r#"[{"alert":2}]"#, r#"[{"host":"b"}]"#)];
    assert_eq!(bodies(&host, "soc").await, expected);

    // A dry run completes the items too: it knows those that are stored, and maps the others.
    server.answer_next(
        [incidents(&["one", "three"])].into_iter().chain(first()).chain([alerts(&[3]), Page::status(404, "")]),
    );
    let dry_run = host.call(Method::POST, "/api/sources/soc/test", "").await.body;
    let stages = dry_run["stages"].as_array().unwrap();
    let poll = stages[0]["detail"].as_str().unwrap();
    assert!(
        poll.starts_with("2 items since ") && poll.contains(", 1 times without details: the server does"),
        "{poll}"
    );
    assert_eq!(stages.last().unwrap()["detail"], "1 tried, 1 known already, 0 more would follow");
}

/// If the server has no details at all, the request is probably wrong. The items arrive nevertheless.
#[tokio::test]
async fn a_poll_without_any_details_holds_the_position() {
    let list = || incidents(&["one", "two"]);
    let gone = || Page::status(404, "");
    let server = Server::start([list(), gone(), gone(), gone(), gone(), list(), alerts(&[1]), gone()]).await;
    let folder = folder(&poll_of("soc", &server, "/incidents", &completed(", retries: 0, interval: 1s")));
    let host = folder.start().await;
    let source = source_when(&host, "soc", |source| message(source).starts_with("the server has none of the 4")).await;
    assert_eq!((&source["position"], &source["accepted"]), (&json!(START), &json!(2)), "{source}");
    source_when(&host, "soc", |source| source["position"] != START).await;
    let bodies = bodies(&host, "soc").await;
    assert_eq!(bodies.len(), 3, "{bodies:?}");
    assert!(bodies[2].contains(r#""alerts":[{"alert":1}]"#), "{bodies:?}");
}

/// The answers of `detail` are completed in turn. What does not fit into an item, or not into its form, is left out.
#[tokio::test]
async fn what_does_not_fit_is_left_out() {
    let page = |alerts: Value, next: Value| Page::json(&json!({"data": alerts, "next": next}));
    let large = json!([{"text": "x".repeat(1 << 20)}]);
    let server = Server::start([
        Page::json(&json!(["a", "b", "c", 7])),
        Page::json(&json!([{"id": "a"}, {"id": "b", "data": null}, {"rrn": "c"}, ["d"]])),
        page(json!([1]), json!(2)),
        page(json!([2]), json!(null)),
        page(large, json!(null)),
    ])
    .await;
    let keys = from_start(
        ", interval: 1h, detail: { url: /details, body: '{\"ids\": ITEM_IDS}' }, details: [{ url: /items/ITEM_ID/alerts, \
         id: /id, item: /data, into: /data, next: /next, next_parameter: page, list: /data }]",
    );
    let folder = folder(&poll_of("items", &server, "/ids", &keys));
    let host = folder.start().await;
    source_when(&host, "items", |source| source["accepted"] == 4 && source["position"] != START).await;
    assert_eq!(
        bodies(&host, "items").await,
        [r#"{"data":[1,2],"id":"a"}"#, r#"{"data":null,"id":"b"}"#, r#"{"rrn":"c"}"#, r#"["d"]"#]
            .map(|text| text.replace(r#"{"data":[1,2],"id":"a"}"#, r#"{"id":"a","data":[1,2]}"#))
    );
    let log = host.log();
    for text in [
        "the item \"b\" is stored without its details at /data: they would make the item larger than `payload_mib`",
        "the item is stored without its details at /data: it has no usable id at `id`, /id",
    ] {
        assert!(log.contains(text), "{text}: {log}");
    }
    let lines: Vec<String> = server.asked(5).await.iter().map(|asked| asked.line.clone()).collect();
    let first = "GET /items/a/alerts";
    assert_eq!(lines[2..], [first.to_owned(), format!("{first}?page=2"), "GET /items/b/alerts".to_owned()]);
}

/// QRadar sends the part of the list that the header `Range` names, and nothing after its end.
#[tokio::test]
async fn pages_are_named_by_a_header() {
    let page = |ids: &[u32], range: &str| {
        Page::json(&json!(ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>())).with("content-range", range)
    };
    let empty = Server::start([
        page(&[1, 2], "items 0-1/3"),
        Page::status(429, "").with("retry-after", "1"),
        page(&[2, 3], "items 1-2/3"),
        page(&[3], "items 2-2/3"),
    ])
    .await;
    let refusing = Server::start([
        page(&[4], "items 0-0/1"),
        Page::json(&json!({"addresses": [4]})),
        Page::status(416, "Requested Range Not Satisfiable"),
        Page::status(416, ""),
    ])
    .await;
    let repeating = Server::start([page(&[5, 6], "items 0-1/2")]).await;
    let keys = |more: &str| {
        let range = "headers: { range: items=NEXT_OFFSET-NEXT_OFFSET+1, version: \"20.0\" }";
        from_start(&format!(", time_format: unix_ms, retries: 0, {range}{more}"))
    };
    let path = "/api/siem/offenses?filter=last_persisted_time%20%3E%3D%20LAST_POLL_TIME";
    let folder = folder(
        &[
            poll_of("empty", &empty, path, &keys(", interval: 1h")),
            poll_of(
                "refusing",
                &refusing,
                path,
                &keys(", details: [{ url: /addresses/ITEM_ID, id: /id, item: /addresses, into: /addresses }]"),
            ),
            poll_of("repeating", &repeating, path, &keys("")),
        ]
        .concat(),
    );
    let host = folder.start().await;
    source_when(&host, "empty", |source| source["accepted"] == 3 && source["position"] != START).await;
    source_when(&host, "refusing", |source| source["position"].as_str().is_some_and(|at| at != START)).await;
    let source = source_when(&host, "repeating", |source| message(source).contains("sends a page again")).await;
    assert_eq!(source["position"], START);
    assert_eq!(bodies(&host, "refusing").await, [r#"{"id":4,"addresses":[4]}"#]);
    let ranges = |asked: &[crate::server::Asked]| -> Vec<Option<String>> {
        asked.iter().map(|asked| asked.header("range").map(str::to_owned)).collect()
    };
    let range = |text: &str| Some(format!("items={text}"));
    let asked = empty.asked(4).await;
    assert_eq!(ranges(&asked), [range("0-1"), range("1-2"), range("1-2"), range("2-3")]);
    assert!(asked.iter().all(|asked| asked.header("version") == Some("20.0")));
    let asked = refusing.asked(4).await;
    assert_eq!(ranges(&asked)[..3], [range("0-1"), None, range("1-2")]);
    assert_eq!(asked[1].header("version"), Some("20.0"));
    // A source without items is no error.
    let source = source_when(&host, "refusing", |source| !source["last_success"].is_null()).await;
    assert_eq!(source["last_error"], Value::Null, "{source}");
}
