//! The requests of polls as vendors want them: bodies, pages by number, and details of the items of a list.

use crate::pull::{bodies, folder, poll_of, source_when};
use crate::server::{Page, Server};
use reqwest::Method;
use serde_json::{Value, json};

/// Returns the keys of a source that is read once from 2026-01-31T08:00:00Z.
fn once(keys: &str) -> String {
    format!(", interval: 1h, overlap: 0s, start: 2026-01-31T08:00:00Z{keys}")
}

#[tokio::test]
async fn a_list_is_requested_with_a_body_and_pages_by_number() {
    let page = |incidents: Value| Page::json(&json!({"reply": {"incidents": incidents}}));
    let cortex =
        Server::start([page(json!([{"c": 1}, {"c": 2}])), page(json!([{"c": 2}, {"c": 3}])), page(json!([{"c": 3}]))])
            .await;
    let body = r#"{"request_data": {"filters": [{"field": "modification_time", "operator": "gte", "value": LAST_POLL_TIME}],
        "search_from": NEXT_OFFSET, "search_to": NEXT_OFFSET+100}}"#;
    let cursor = |hits: Value, sort: Value| Page::json(&json!({"hits": {"hits": hits, "sort": sort}}));
    let elastic = Server::start([
        cursor(json!([{"e": 1}]), json!([1_769_846_400_000_u64, "a\"b"])),
        cursor(json!([{"e": 2}]), json!(null)),
    ])
    .await;
    let search = r#"{"query": {"range": {"@timestamp": {"gte": "LAST_POLL_TIME"}}}, "search_after": NEXT_CURSOR}"#;
    let numbered =
        Server::start([Page::json(&json!([{"n": 1}])), Page::json(&json!([{"n": 2}])), Page::status(204, "")]).await;
    let folder = folder(
        &[
            poll_of(
                "cortex",
                &cortex,
                "/incidents",
                &once(&format!(", time_format: unix_ms, items: /reply/incidents, body: '{body}'")),
            ),
            poll_of(
                "elastic",
                &elastic,
                "/_search",
                &once(&format!(", time_format: rfc3339_s, items: /hits/hits, next: /hits/sort, body: '{search}'")),
            ),
            poll_of(
                "numbered",
                &numbered,
                "/items?index=NEXT_PAGE-1&since=LAST_POLL_TIME",
                &once(", time_format: unix_s, method: POST"),
            ),
        ]
        .concat(),
    );
    let host = folder.start().await;
    for (name, count) in [("cortex", 3), ("elastic", 2), ("numbered", 2)] {
        source_when(&host, name, |source| source["accepted"] == count && source["position"] != "1769846400000").await;
    }
    let from = |offset: u64| {
        let filter = json!({"field": "modification_time", "operator": "gte", "value": 1_769_846_400_000_u64});
        json!({"request_data": {"filters": [filter], "search_from": offset, "search_to": offset + 100}})
    };
    let asked = cortex.asked(3).await;
    assert_eq!(asked.iter().map(|asked| asked.body.clone()).collect::<Vec<_>>(), [from(0), from(1), from(2)]);
    assert_eq!(
        (asked[0].line.as_str(), asked[0].header("content-type")),
        ("POST /incidents", Some("application/json"))
    );
    let query = json!({"range": {"@timestamp": {"gte": "2026-01-31T08:00:00Z"}}});
    let asked = elastic.asked(2).await;
    assert_eq!(asked[0].body, json!({"query": query}));
    assert_eq!(asked[1].body, json!({"query": query, "search_after": [1_769_846_400_000_u64, "a\"b"]}));
    let lines: Vec<String> = numbered.asked(3).await.iter().map(|asked| asked.line.clone()).collect();
    assert_eq!(lines, [0, 1, 2].map(|index| format!("POST /items?index={index}&since=1769846400")));
}

/// A server that does not know the number of the page would be read for ever.
#[tokio::test]
async fn a_page_that_repeats_is_an_error() {
    let server = Server::start([Page::json(&json!([{"a": 1}])), Page::json(&json!([{"a": 2}]))]).await;
    let folder = folder(&poll_of("items", &server, "/items?offset=NEXT_OFFSET", ", start: 0"));
    let host = folder.start().await;
    let source = source_when(&host, "items", |source| !source["last_error"].is_null()).await;
    let error = &source["last_error"];
    assert!(error["code"] == "answer" && error["message"].as_str().unwrap().contains("sends a page again"), "{source}");
    assert_eq!((&source["accepted"], &source["position"]), (&json!(2), &json!("0")), "{source}");
}

#[tokio::test]
async fn the_details_of_each_item_are_requested() {
    let list = Page::json(&json!({"threats": [{"id": "a/b"}, {"id": 7}, {"id": "gone"}, {"id": "d"}], "next": 2}));
    let pages = [
        list,
        Page::json(&json!({"threat": {"id": "a/b", "mails": 2}})),
        Page::status(429, "").with("retry-after", "1"),
        Page::status(429, ""),
        Page::json(&json!({"threat": {"id": 7}})),
        Page::status(404, "no such threat"),
        Page::json(&json!({"threat": {"id": "d"}})),
        Page::json(&json!({"threats": [], "next": null})),
    ];
    let server = Server::start(pages).await;
    let keys = ", retries: 0, items: /threats, next: /next, next_parameter: page, detail: { url: /threats/ITEM_ID, id: /id, item: /threat }";
    let folder = folder(&poll_of("threats", &server, "/threats?since=LAST_POLL_TIME", &once(keys)));
    let host = folder.start().await;
    source_when(&host, "threats", |source| source["accepted"] == 3 && source["position"] != "1769846400000").await;
    assert_eq!(bodies(&host, "threats").await, [r#"{"id":"a/b","mails":2}"#, r#"{"id":7}"#, r#"{"id":"d"}"#]);
    let lines: Vec<String> = server.asked(8).await.iter().map(|asked| asked.line.clone()).collect();
    let source = host.get("/api/sources/threats").await;
    assert_eq!(
        source["last_error"]["message"],
        "the server does not have the details of the item \"gone\" any more; the item is passed over"
    );
    let since = "since=2026-01-31T08:00:00.000Z";
    let expected = [
        &format!("GET /threats?{since}"),
        "GET /threats/a%2Fb",
        "GET /threats/7",
        "GET /threats/7",
        "GET /threats/7",
        "GET /threats/gone",
        "GET /threats/d",
        "GET /threats?since=2026-01-31T08%3A00%3A00.000Z&page=2",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn details_of_several_items_are_requested_together() {
    let pages = [
        Page::json(&json!({"resources": ["one", "two", "gone", "four", "five", "six"]})),
        // In any order.
        Page::json(&json!({"resources": [{"id": "two"}, {"id": "one"}]})),
        Page::status(404, ""),
        Page::status(404, ""),
        Page::json(&json!({"resources": [{"id": "four"}]})),
        Page::json(&json!({"resources": [{"id": "six"}]})),
        Page::json(&json!({"resources": ["six"]})),
    ];
    let server = Server::start(pages).await;
    let keys = ", items: /resources, detail: { url: /entities, body: '{\"composite_ids\": ITEM_IDS}', item: /resources, batch: 2 }";
    let folder = folder(&poll_of("alerts", &server, "/queries?offset=NEXT_OFFSET", &once(keys)));
    let host = folder.start().await;
    let is_done = |source: &Value| source["accepted"] == 4 && source["position"] != "1769846400000";
    source_when(&host, "alerts", is_done).await;
    // Details that the server leaves out are not lost in silence.
    let source = host.get("/api/sources/alerts").await;
    let message = "the server sent details of 1 of 2 items; the others are passed over";
    assert_eq!(source["last_error"]["message"], message);
    assert!(host.log().contains("does not have the details of the item \"gone\" any more"));
    let details = [r#"{"id":"two"}"#, r#"{"id":"one"}"#, r#"{"id":"four"}"#, r#"{"id":"six"}"#];
    assert_eq!(bodies(&host, "alerts").await, details);
    let asked = server.asked(7).await;
    let ids: Vec<&Value> = asked[1..6].iter().map(|asked| &asked.body["composite_ids"]).collect();
    let expected =
        [&["one", "two"][..], &["gone", "four"], &["gone"], &["four"], &["five", "six"]].map(|ids| json!(ids));
    assert_eq!(ids, expected.iter().collect::<Vec<_>>());
    assert_eq!((asked[1].line.as_str(), asked[6].line.as_str()), ("POST /entities", "GET /queries?offset=5"));

    server.answer_next([
        Page::json(&json!({"resources": ["seven", "two", "eight"]})),
        Page::json(&json!({"resources": [{"id": "seven"}, {"id": "two"}]})),
    ]);
    let dry_run = host.call(Method::POST, "/api/sources/alerts/test", "").await.body;
    let stages = dry_run["stages"].as_array().unwrap();
    let listed = "3 ids, of which the first 2 were requested, and 2 items since ";
    assert!(stages[0]["detail"].as_str().unwrap().starts_with(listed), "{dry_run}");
    assert_eq!(stages.last().unwrap()["detail"], "1 tried, 1 known already, 0 more would follow");
}

/// The position moves only when everything is stored; what was stored before has no second effect.
#[tokio::test]
async fn nothing_is_lost_or_doubled_if_the_host_is_killed_between_details() {
    let list = || Page::json(&json!(["a", "b"]));
    let detail = |id: &str| Page::json(&json!({"id": id}));
    let server = Server::start([list(), detail("a"), Page::stream("")]).await;
    let folder = folder(&poll_of("items", &server, "/ids", &once(", detail: { url: /items/ITEM_ID }")));
    let host = folder.start().await;
    server.asked(3).await;
    let source = source_when(&host, "items", |source| source["accepted"] == 1).await;
    assert_eq!(source["position"], "1769846400000");
    host.kill();
    server.answer_next([list(), detail("a"), detail("b")]);
    let host = folder.start().await;
    source_when(&host, "items", |source| source["position"] != "1769846400000").await;
    assert_eq!(bodies(&host, "items").await, [r#"{"id":"a"}"#, r#"{"id":"b"}"#]);
}

/// One wrong item does not hold up the others.
#[tokio::test]
async fn an_item_without_an_id_is_an_event_as_it_is() {
    let list = Page::json(&json!([{"id": "a"}, {"id": null}]));
    let server = Server::start([list, Page::json(&json!({"id": "a", "is": "whole"}))]).await;
    let keys = once(", detail: { url: /items/ITEM_ID, id: /id }");
    let folder = folder(&poll_of("items", &server, "/ids", &keys));
    let host = folder.start().await;
    source_when(&host, "items", |source| source["accepted"] == 2).await;
    let mut stored = bodies(&host, "items").await;
    stored.sort();
    assert_eq!(stored, [r#"{"id":"a","is":"whole"}"#, r#"{"id":null}"#]);
}

/// The page is requested again, and is not taken for one that repeats.
#[tokio::test]
async fn a_list_without_any_id_is_an_error() {
    let wrong = || Page::json(&json!([{"name": "a"}, {"id": null}]));
    let right = [Page::json(&json!([{"id": "a"}])), Page::json(&json!({"id": "a"})), Page::json(&json!([]))];
    let server = Server::start([wrong(), wrong()].into_iter().chain(right)).await;
    let keys = once(", detail: { url: /items/ITEM_ID, id: /id }");
    let folder = folder(&poll_of("items", &server, "/ids?page=NEXT_PAGE", &keys));
    let host = folder.start().await;
    let source = source_when(&host, "items", |source| source["accepted"] == 1).await;
    assert_eq!(source["last_error"]["message"], "the server's answer: no item has a usable id at `detail.id`, /id");
    let lines: Vec<String> = server.asked(5).await.iter().map(|asked| asked.line.clone()).collect();
    let (first, detail) = ("GET /ids?page=1", "GET /items/a");
    assert_eq!(lines, [first, first, first, detail, "GET /ids?page=2"]);
}
