//! Searching incidents and events: filters, words, orders, pages, relations, changes of several, and older databases.

use crate::guest::guest;
use crate::host::{ADMIN_TOKEN, Folder, Host};
use crate::outcome::{incident, returns};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

pub const DATABASE: &str = "data/hookmill.db";
/// The version of the database from which on incidents are found by indexes.
const WITH_SEARCH: u32 = 13;

pub fn folder() -> Folder {
    Folder::new(
        "sources:
  edr: { scheme: none, plugin: returns }
  mail: { scheme: none, plugin: returns }",
    )
    .with("returns", &guest("returns"))
}

pub fn ip(value: &str) -> Value {
    json!({"data-type": "ip", "value": value})
}

/// Makes the incidents `a` to `f`.
async fn post_all(host: &Host<'_>) {
    let long = format!("https://evil.example/{}", "x".repeat(500));
    for (source, said) in [
        (
            "edr",
            json!({"source-ref": "a", "title": "Malware on WS-1", "severity": "high", "tags": ["x", "y"],
            "observables": [ip("192.0.2.7"), ip("10.0.0.1")], "techniques": [{"id": "T1059.001"}, {"id": "TA0002"}]}),
        ),
        (
            "edr",
            json!({"source-ref": "b", "description": "Some malware, seen at evil.example/path", "severity": "low",
            "tags": ["y"], "observables": [ip("192.0.2.70"), {"data-type": "url", "value": long}],
            "techniques": [{"id": "T1059"}]}),
        ),
        ("mail", json!({"source-ref": "c", "title": "Ärger: 日本語", "severity": "low", "state": "resolved"})),
        (
            "mail",
            json!({"source-ref": "malware-d", "severity": "critical", "tags": ["100%"],
            "observables": [ip("192.0.2.7")], "techniques": [{"id": "T10590"}]}),
        ),
        (
            "edr",
            json!({"source-ref": "e", "title": "AND OR NOT NEAR", "severity": "high", "state": "resolved",
            "observables": [ip("10.0.0.1"), ip("127.0.0.1"), ip("192.0.2.70")]}),
        ),
        ("mail", json!({"source-ref": "f", "title": "x".repeat(500), "severity": "high"})),
    ] {
        assert_eq!(host.post(source, incident(said)).await.status_word(), "accepted");
    }
}

pub fn refs(incidents: &[Value]) -> String {
    incidents.iter().map(|incident| incident["source_ref"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

fn encoded(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

async fn check_filters(host: &Host<'_>) {
    let long = format!("https://evil.example/{}", "x".repeat(500));
    for (pairs, expected) in [
        (&[("observable", "192.0.2.7")][..], "malware-d a"),
        (&[("observable", "192.0.2.7"), ("observable", "192.0.2.70")], "e malware-d b a"),
        (&[("observable", "192.0.2")], ""),
        (&[("observable", &long)], "b"),
        (&[("observable", &long[..300])], ""),
        (&[("observable_prefix", "192.0.2.")], "e malware-d b a"),
        (&[("observable_prefix", "192.0.2.70")], "e b"),
        (&[("observable_prefix", &long[..100])], "b"),
        (&[("observable_prefix", "192.0.2."), ("source", "mail")], "malware-d"),
        (&[("observable_prefix", "%")], ""),
        (&[("technique", "T1059")], "b a"),
        (&[("technique", "t1059.001")], "a"),
        (&[("technique", "T1059"), ("technique", "T10590")], "malware-d b a"),
        (&[("technique", "TA0002"), ("tag", "y"), ("severity", "high")], "a"),
        (&[("tag", "100%")], "malware-d"),
        (&[("status", "resolved"), ("severity", "high")], "e"),
        (&[("status", "new"), ("source", "edr"), ("severity", "high"), ("severity", "low")], "b a"),
        (&[("source_ref", "c"), ("source_ref", "e")], "e c"),
        (&[("source_ref", "c"), ("source", "edr")], ""),
        (&[("q", "MALWARE")], "malware-d b a"),
        (&[("q", "malware ws-1")], "a"),
        (&[("q", "malware ws")], "a"),
        (&[("q", "mal*")], "malware-d b a"),
        (&[("q", "mal")], ""),
        (&[("q", "malware-d")], "malware-d"),
        (&[("q", "192.0.2.7")], "malware-d a"),
        (&[("q", "192.0.2.7*")], "e malware-d b a"),
        (&[("q", "evil.example")], "b"),
        (&[("q", "ärger 日本*")], "c"),
        (&[("q", "and or not near")], "e"),
        (&[("q", "malware OR ärger")], ""),
        (&[("q", "\"malware\" AND* (title:x^2) - {a b} NEAR(")], ""),
        (&[("q", "malware\" OR \"a")], ""),
        (&[("q", "'; DROP TABLE incidents; --")], ""),
        (&[("q", &"x".repeat(10_000))], "f b"),
        (&[("q", " ")], "f e malware-d c b a"),
        (&[("q", "")], "f e malware-d c b a"),
        (&[("q", "malware"), ("tag", "y"), ("source", "edr")], "b a"),
        (&[("q", "malware"), ("created_after", "2020-01-01T00:00:00Z"), ("sort", "created_at")], "a b malware-d"),
        (&[("created_before", "2020-01-01T00:00:00Z"), ("sort", "-updated_at")], ""),
    ] {
        let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let found = host.list(&format!("/api/incidents?limit=2&{}", query.join("&"))).await;
        assert_eq!(refs(&found), expected, "{pairs:?}");
        let unsorted: Vec<String> = query.into_iter().filter(|pair| !pair.starts_with("sort=")).collect();
        let counted = host.get(&format!("/api/incidents/count?{}", unsorted.join("&"))).await;
        assert_eq!(counted, json!({"count": found.len(), "has_more": false}), "{pairs:?}");
    }
}

#[tokio::test]
async fn every_filter_finds_what_it_names() {
    let folder = folder();
    let host = folder.start().await;
    post_all(&host).await;
    check_filters(&host).await;
    // A changed incident is found by what it has now, a deleted one by nothing.
    let change = json!({"title": "quiet", "tags": ["z"], "status": "closed", "assignee": "Ann Ä."}).to_string();
    let number = host.get("/api/incidents?source_ref=a").await["data"][0]["number"].as_str().unwrap().to_owned();
    assert_eq!(host.call(Method::PATCH, &format!("/api/incidents/{number}"), change).await.status, 200);
    let again = json!({"source-ref": "a", "observables": [ip("198.51.100.1")]});
    assert_eq!(host.post("edr", incident(again)).await.status_word(), "accepted");
    let queries = [
        "q=quiet",
        "tag=z",
        "status=closed",
        "observable=198.51.100.1",
        "observable=192.0.2.7&tag=z",
        "assignee=Ann%20%C3%84.",
        "assignee=nobody&assignee=Ann%20%C3%84.&status=closed",
        "q=198.51.100.1",
    ];
    for query in queries {
        assert_eq!(refs(&host.list(&format!("/api/incidents?{query}")).await), "a", "{query}");
    }
    for query in ["q=ws-1", "tag=x", "status=new&severity=high&source=edr", "assignee=ann", "assignee="] {
        assert_eq!(refs(&host.list(&format!("/api/incidents?{query}")).await), "", "{query}");
    }
    assert_eq!(host.call(Method::DELETE, &format!("/api/incidents/{number}"), "").await.status, 204);
    for query in queries {
        assert_eq!(refs(&host.list(&format!("/api/incidents?{query}")).await), "", "{query} after the deletion");
    }
    let many = (0..33).map(|word| word.to_string()).collect::<Vec<_>>().join("+");
    for (query, word) in [
        ("q=*", "no letter or digit"),
        ("q=%22%22", "no letter or digit"),
        (&format!("q={many}"), "at most 32"),
        (&format!("observable_prefix={}", "x".repeat(129)), "at most 128 bytes"),
        ("sort=title", "created_at, updated_at, severity, status, source"),
        ("sort=severity,%20-colour", "`-colour`"),
        ("sort=severity&cursor=C1", "next_cursor"),
        ("cursor=1", "next_cursor"),
        ("cursor=C%00", "next_cursor"),
        ("sort=source&cursor=s~", "next_cursor"),
    ] {
        let answer = host.call(Method::GET, &format!("/api/incidents?{query}"), "").await;
        assert_eq!((answer.status, answer.error_code()), (400, "invalid_request"), "{query}");
        assert!(answer.body["error"]["message"].as_str().unwrap().contains(word), "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn every_order_has_the_same_pages_whatever_their_size() {
    let folder = folder();
    let host = folder.start().await;
    post_all(&host).await;
    let touch = json!({"note": "looked at"}).to_string();
    for reference in ["e", "b"] {
        let id = host.get(&format!("/api/incidents?source_ref={reference}")).await["data"][0]["id"].clone();
        let path = format!("/api/incidents/{}", id.as_str().unwrap());
        assert_eq!(host.call(Method::PATCH, &path, touch.clone()).await.status, 200);
    }
    for (query, expected) in [
        ("", "f e malware-d c b a"),
        ("sort=", "f e malware-d c b a"),
        ("sort=created_at", "a b c malware-d e f"),
        ("sort=-updated_at", "b e f malware-d c a"),
        ("sort=updated_at", "a c malware-d f e b"),
        ("sort=severity", "c b f e a malware-d"),
        ("sort=-severity,-updated_at", "malware-d e f a b c"),
        ("sort=-severity,updated_at", "malware-d a f e c b"),
        ("sort=severity,source,created_at", "b c a e f malware-d"),
        ("sort=status,-source", "f malware-d b a c e"),
        ("sort=-status,created_at", "c e a b malware-d f"),
        ("sort=-source,created_at", "c malware-d f a b e"),
        ("sort=created_at,severity", "a b c malware-d e f"),
        ("sort=-severity,created_at&status=new", "malware-d a f b"),
        ("sort=severity,-updated_at&source=edr", "b e a"),
        ("sort=severity,-updated_at&observable_prefix=192.0.2", "b e a malware-d"),
        ("sort=-updated_at&q=malware&severity=low&severity=high", "b a"),
        ("sort=-updated_at&technique=T1059", "b a"),
    ] {
        for limit in 1..=7 {
            let found = host.list(&format!("/api/incidents?{query}&limit={limit}")).await;
            assert_eq!(refs(&found), expected, "{query}, {limit} on a page");
        }
    }
    // Pages are stable while incidents come and change.
    let page = host.get("/api/incidents?sort=-severity,created_at&limit=3").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)), "{cursor}");
    host.post("edr", incident(json!({"source-ref": "g", "severity": "critical"}))).await;
    host.post("edr", incident(json!({"source-ref": "h", "severity": "high"}))).await;
    let page = host.get(&format!("/api/incidents?sort=-severity,created_at&cursor={cursor}")).await;
    assert_eq!(refs(page["data"].as_array().unwrap()), "f h b c");

    let run = |arguments: &[&str]| {
        let connection = ["--url", &host.url, "--token", ADMIN_TOKEN];
        folder.run(&[&["incidents"], arguments, &connection].concat())
    };
    let (listed, text, errors) =
        run(&["list", "--sort", "-severity,created_at", "-q", "malware", "--technique", "t10590"]);
    assert!(listed && text.contains("malware-d") && text.lines().count() == 2, "{text}{errors}");
    let (refused, _, errors) = run(&["list", "--sort", "title"]);
    assert!(!refused && errors.contains("created_at, updated_at"), "{errors}");
}

#[tokio::test]
async fn related_incidents_share_rare_observables() {
    let folder = folder();
    let host = folder.start().await;
    let common: Vec<Value> = (0..50)
        .map(|number| json!({"source-ref": format!("common-{number}"), "observables": [ip("203.0.113.1")]}))
        .collect();
    for part in common.chunks(25) {
        host.post("mail", returns(&json!({"incidents": part}))).await;
    }
    for (reference, values) in [
        ("first", &["192.0.2.1", "192.0.2.2", "203.0.113.1", "10.0.0.1", "127.0.0.1", "fd00::1"][..]),
        ("local", &["10.0.0.1", "127.0.0.1", "fd00::1"]),
        ("one", &["192.0.2.1"]),
        ("two", &["192.0.2.2", "192.0.2.1"]),
        ("other", &["192.0.2.1"]),
    ] {
        let observables: Vec<Value> = values.iter().map(|value| ip(value)).collect();
        host.post("edr", incident(json!({"source-ref": reference, "observables": observables}))).await;
    }
    let number = |list: &Value| list["data"][0]["number"].as_str().unwrap().to_owned();
    let first = number(&host.get("/api/incidents?source_ref=first").await);
    let path = format!("/api/incidents/{first}/related");
    let related = host.get(&path).await;
    let found: Vec<(&str, Vec<(&str, u64)>)> = related["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|incident| {
            let shared = incident["shared_observables"].as_array().unwrap().iter();
            let shared = shared.map(|one| (one["value"].as_str().unwrap(), one["incidents"].as_u64().unwrap()));
            (incident["source_ref"].as_str().unwrap(), shared.collect())
        })
        .collect();
    assert_eq!(
        found,
        [
            ("two", vec![("192.0.2.2", 2), ("192.0.2.1", 4)]),
            ("other", vec![("192.0.2.1", 4)]),
            ("one", vec![("192.0.2.1", 4)])
        ]
    );
    assert_eq!(refs(&host.list(&format!("{path}?limit=1")).await), "two");
    // All values are counted, also those that relate nothing.
    let observables = host.list(&format!("/api/incidents/{first}/observables")).await;
    let counts: Vec<(&str, u64)> =
        observables.iter().map(|one| (one["value"].as_str().unwrap(), one["incidents"].as_u64().unwrap())).collect();
    let expected =
        [("192.0.2.1", 4), ("192.0.2.2", 2), ("203.0.113.1", 51), ("10.0.0.1", 2), ("127.0.0.1", 2), ("fd00::1", 2)];
    assert_eq!(counts, expected);
    let unknown = host.call(Method::GET, &format!("/api/incidents/{first}/observables?limit=1"), "").await;
    assert_eq!((unknown.status, unknown.error_code()), (400, "invalid_request"));
    // A value that 50 incidents share relates them.
    let two = number(&host.get("/api/incidents?source_ref=common-0").await);
    assert!(host.get(&format!("/api/incidents/{two}/related")).await["data"].as_array().unwrap().is_empty());
    host.call(Method::DELETE, &format!("/api/incidents/{first}"), "").await;
    assert_eq!(host.get(&format!("/api/incidents/{two}/related")).await["data"].as_array().unwrap().len(), 49);
    for path in [&path, &format!("/api/incidents/{first}/observables")] {
        assert_eq!(host.call(Method::GET, path, "").await.status, 404);
    }
    let (shown, text, errors) =
        folder.run(&["incidents", "related", &two, "--limit", "2", "--url", &host.url, "--token", ADMIN_TOKEN]);
    assert!(shown && text.contains("203.0.113.1 (50)") && text.lines().count() == 3, "{text}{errors}");
}

#[tokio::test]
async fn a_change_of_several_incidents_has_a_result_for_each() {
    let folder = folder();
    let host = folder.start().await;
    post_all(&host).await;
    let all = host.list("/api/incidents?sort=created_at").await;
    let text = |index: usize, name: &str| all[index][name].as_str().unwrap().to_owned();
    assert_eq!(host.call(Method::DELETE, &format!("/api/incidents/{}", text(2, "id")), "").await.status, 204);
    let change = async |body: Value| host.call(Method::PATCH, "/api/incidents", body.to_string()).await;
    let numbers = [text(1, "number"), text(1, "number"), "INC-1999-0001".into(), "nonsense".into()];
    let body =
        json!({"ids": [text(0, "id"), text(2, "id")], "numbers": numbers, "change": {"status": "closed", "note": "n"}});
    let answer = change(body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let results = answer.body["data"].as_array().unwrap();
    let results: Vec<_> = results
        .iter()
        .map(|result| (result["incident"].clone(), result["revision"].clone(), result["error"]["code"].clone()))
        .collect();
    let missing = |which: &str| (json!(which), json!(null), json!("not_found"));
    let changed = |which: String| (json!(which), json!(2), json!(null));
    let expected = [
        changed(text(0, "id")),
        missing(&text(2, "id")),
        changed(text(1, "number")),
        missing("INC-1999-0001"),
        missing("nonsense"),
    ];
    assert_eq!(results, expected);
    assert_eq!(refs(&host.list("/api/incidents?status=closed").await), "b a");
    let trail = host.list(&format!("/api/incidents/{}/audit", text(1, "id"))).await;
    assert_eq!(trail[1]["requestId"], answer.request_id, "{trail:?}");
    // The revision is checked for each.
    let answer = change(json!({"ids": [text(0, "id"), text(3, "id")], "change": {"title": "T", "revision": 2}})).await;
    let codes: Vec<_> =
        answer.body["data"].as_array().unwrap().iter().map(|one| one["error"]["code"].clone()).collect();
    assert_eq!(codes, [json!(null), json!("conflict")], "{answer:?}");
    let many: Vec<String> = (0..1_001).map(|count| format!("INC-2026-{count:04}")).collect();
    for (body, word) in [
        (json!({"ids": [text(0, "id")]}), "change"),
        (json!({"change": {"title": "x"}}), "1 to 1000"),
        (json!({"numbers": many, "change": {"title": "x"}}), "1 to 1000"),
        (json!({"numbers": ["INC-2026-0001"], "change": {"title": ""}}), "title"),
        (json!({"numbers": ["INC-2026-0001"], "change": {"colour": "x"}}), "colour"),
        (json!({"number": ["INC-2026-0001"], "change": {}}), "number"),
    ] {
        let answer = change(body).await;
        assert_eq!((answer.status, answer.error_code()), (400, "invalid_request"), "{answer:?}");
        assert!(answer.body["error"]["message"].as_str().unwrap().contains(word), "{word}: {answer:?}");
    }
    let (number, id) = (text(3, "number"), text(4, "id"));
    let connection = ["--url", &host.url, "--token", ADMIN_TOKEN];
    let run = |arguments: &[&str]| folder.run(&[&["incidents", "change"], arguments, &connection].concat());
    let (done, output, errors) = run(&[&number, &id, "--severity", "low", "--assignee", "ann"]);
    assert!(done && output.contains(&number) && output.contains(&id), "{output}{errors}");
    let low = host.list("/api/incidents?severity=low&sort=created_at").await;
    assert!(refs(&low) == "b malware-d e" && low[1]["assignee"] == "ann", "{low:#?}");
    let is_held = async || host.get(&format!("/api/incidents/{number}")).await["hold"].clone();
    for (flag, holds) in [("--hold", true), ("--release", false)] {
        let (done, _, errors) = run(&[&number, flag]);
        assert!(done, "{flag}: {errors}");
        assert_eq!(is_held().await, holds, "{flag}");
    }
    assert!(!run(&[&number, "--hold", "--release"]).0);
    let (done, output, errors) = run(&["INC-1999-0001", &number, "--status", "resolved"]);
    assert!(!done && output.contains("there is no incident") && errors.contains("1 of 2"), "{output}{errors}");
    assert_eq!(host.get(&format!("/api/incidents/{number}")).await["status"], "resolved");
}

/// Replaces the database by one of the version before the search, which has the same rows.
fn downgrade(path: &Path, incidents: &[Value]) {
    let later = path.with_extension("later");
    fs::rename(path, &later).unwrap();
    let database = Connection::open(path).unwrap();
    for version in 1..WITH_SEARCH {
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../store/src/sqlite/schema/{version}.sql"));
        database.execute_batch(&fs::read_to_string(schema).unwrap()).unwrap();
    }
    database.execute("ATTACH ? AS later", [later.to_str().unwrap()]).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut query = database.prepare(sql).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for table in names("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'") {
        let columns = names(&format!("SELECT name FROM pragma_table_info('{table}', 'main')")).join(", ");
        let sql = format!(
            "DELETE FROM main.{table}; INSERT INTO main.{table} ({columns}) SELECT {columns} FROM later.{table}"
        );
        database.execute_batch(&sql).unwrap();
    }
    for incident in incidents {
        let mut record = incident.as_object().unwrap().clone();
        ["id", "number", "occurrences", "event_ids"].iter().for_each(|name| drop(record.remove(*name)));
        let sql = "UPDATE main.incidents SET record = ? WHERE source_ref = ?";
        let record = serde_json::to_string(&record).unwrap();
        assert_eq!(database.execute(sql, [record.as_str(), incident["source_ref"].as_str().unwrap()]).unwrap(), 1);
    }
    database.pragma_update(None, "user_version", WITH_SEARCH - 1).unwrap();
}

#[tokio::test]
async fn incidents_of_an_older_database_are_found_and_unchanged() {
    let folder = folder();
    let host = folder.start().await;
    post_all(&host).await;
    for _ in 0..104 {
        host.post("edr", incident(json!({"source-ref": "often"}))).await;
    }
    let often = host.get("/api/incidents?source_ref=often").await["data"][0]["id"].as_str().unwrap().to_owned();
    let before = host.list("/api/incidents").await;
    let events = format!("/api/events?incident={often}&limit=60");
    assert_eq!(host.list(&events).await.len(), 104);
    let trail = host.list(&format!("/api/incidents/{often}/audit")).await;
    host.kill();
    let path = folder.path(DATABASE);
    let bytes = || -> i64 {
        let database = Connection::open(&path).unwrap();
        database.query_row("SELECT sum(length(record)) FROM incidents", [], |row| row.get(0)).unwrap()
    };
    let short = bytes();
    downgrade(&path, &before);
    let long = bytes();
    let host = folder.start().await;
    host.logs(&format!("migrating the database from version {}", WITH_SEARCH - 1)).await;
    host.logs(&format!("migrating the database: version {WITH_SEARCH} of")).await;
    assert_eq!(host.list("/api/incidents").await, before);
    assert_eq!(host.list(&format!("/api/incidents/{often}/audit")).await, trail);
    assert_eq!(host.list(&events).await.len(), 104);
    let often = host.get(&format!("/api/incidents/{often}")).await["number"].as_str().unwrap().to_owned();
    assert_eq!(host.call(Method::DELETE, &format!("/api/incidents/{often}"), "").await.status, 204);
    check_filters(&host).await;
    assert_eq!(bytes(), short);
    assert!(long > short * 3 / 2, "{long} bytes became {short}");
}
