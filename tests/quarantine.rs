//! The quarantine in groups: listed, healed with a version of the operator's choice, and discarded with a reason.

use crate::guest::{at_version, echo, guest};
use crate::host::{ADMIN_TOKEN, Folder, Host, SECRET};
use crate::outcome::returns;
use reqwest::Method;
use serde_json::{Value, json};

/// Events that version 1.0 maps, and those on which it traps.
const MAPPED: usize = 41;
const FAILING: usize = 2;

/// Returns a host whose version 2.0 of `echo` is live and fails on all payloads, after it has received some.
async fn broken_at_night(folder: &Folder) -> (Host<'_>, Vec<String>) {
    let host = folder.start().await;
    assert_eq!(host.signed("lab", "before").await.status_word(), "accepted");
    folder.put("echo", &at_version(guest("traps"), "2.0"));
    host.plugin_when("echo", |plugin| !plugin["error"].is_null()).await;
    assert_eq!(post(&host, "/api/plugins/echo/promote", "").await.0, 200);
    let bodies =
        (0..MAPPED).map(|number| format!("alert {number}")).chain((0..FAILING).map(|number| format!("t {number}")));
    let mut ids = Vec::new();
    for body in bodies {
        ids.push(host.signed("lab", body).await.event_id().to_owned());
    }
    (host, ids)
}

fn lab() -> Folder {
    let config =
        format!("sources: {{ lab: {{ secret: {SECRET}, plugin: echo }}, edr: {{ scheme: none, plugin: returns }} }}");
    Folder::new(&config).with("echo", &at_version(guest("counts"), "1.0")).with("returns", &guest("returns"))
}

async fn post(host: &Host<'_>, path: &str, body: &str) -> (u16, Value) {
    let answer = host.call(Method::POST, path, body.to_owned()).await;
    (answer.status, answer.body)
}

async fn sha256(host: &Host<'_>, version: &str) -> String {
    let plugin = host.get("/api/plugins/echo").await;
    let versions = plugin["versions"].as_array().unwrap();
    let found = versions.iter().find(|row| row["version"] == version).unwrap();
    assert_eq!(found["available"], true, "{found}");
    found["sha256"].as_str().unwrap().to_owned()
}

fn counts(result: &Value) -> [u64; 5] {
    ["events", "mapped", "partial", "failed", "replayed"].map(|name| result[name].as_u64().unwrap())
}

#[tokio::test]
async fn a_group_is_healed_with_an_earlier_version_and_the_rest_is_discarded() {
    let folder = lab();
    let (host, ids) = broken_at_night(&folder).await;
    let groups = host.list("/api/quarantine").await;
    assert_eq!(groups.len(), 1, "{groups:?}");
    let group = &groups[0];
    assert_eq!((&group["plugin"], &group["code"], &group["count"]), (&json!("echo"), &json!("trapped"), &json!(43)));
    assert_eq!((&group["newest"], &group["sources"]), (&json!(ids.last()), &json!(["lab"])));
    assert!(!group["message"].as_str().unwrap().contains("echo 2.0"), "the version is not a cause: {group}");

    let replay = format!("/api/quarantine/{}/replay", group["id"].as_str().unwrap());
    let with = format!("plugin=echo&version={}", sha256(&host, "1.0").await);
    let (status, result) = post(&host, &format!("{replay}?dry_run=true&{with}"), "").await;
    assert_eq!((status, counts(&result)), (200, [43, 41, 0, 2, 0]), "{result}");
    let failure = &result["failures"][0];
    assert_eq!(
        (&failure["code"], &failure["count"], &failure["sample"]),
        (&json!("trapped"), &json!(2), &json!(ids[41]))
    );
    assert_eq!(host.list("/api/quarantine").await, groups, "a dry run changes nothing");

    // Pages, events after the newest one that was looked at, and the results that are recorded.
    let (_, page) = post(&host, &format!("{replay}?dry_run=true&limit=40&{with}"), "").await;
    assert_eq!(counts(&page), [40, 40, 0, 0, 0]);
    let next = page["next_cursor"].as_str().unwrap();
    let (_, page) = post(&host, &format!("{replay}?dry_run=true&cursor={next}&until={}&{with}", ids[41]), "").await;
    assert_eq!((counts(&page), &page["next_cursor"]), ([2, 1, 0, 1, 0], &Value::Null));
    let (_, nothing) = post(&host, &format!("{replay}?status=ignored&{with}"), "").await;
    assert_eq!(counts(&nothing), [43, 41, 0, 2, 0]);
    let (_, with_live) = post(&host, &replay, "").await;
    assert_eq!(counts(&with_live), [43, 0, 0, 43, 0], "the live version fails on all");

    let received = host.get(&format!("/api/events/{}", ids[0])).await["journey"].clone();
    let (status, result) = post(&host, &format!("{replay}?{with}"), "").await;
    assert_eq!((status, counts(&result)), (200, [43, 41, 0, 2, 41]), "{result}");
    let healed = host.get(&format!("/api/events/{}", ids[0])).await;
    let journey = &healed["journey"];
    assert_eq!(journey["verification"]["scheme"], "hookmill");
    for name in ["verification", "receive_us", "verify_us", "stored_at"] {
        assert_eq!(journey[name], received[name], "{name}");
    }
    assert!(journey["mapped_again_at"].is_string() && journey["runs"].as_array().unwrap().len() == 1, "{journey}");
    let source = host.get("/api/sources/lab").await;
    assert!(source["last_success"].as_str() > source["last_error"]["at"].as_str(), "{source}");
    assert_eq!((&healed["status"], &healed["attempts"]), (&json!("mapped"), &json!(2)));
    assert!(healed["tried"][0].as_str().unwrap().contains(&sha256(&host, "1.0").await), "{healed}");
    let left = host.list("/api/quarantine").await;
    assert_eq!((&left[0]["id"], &left[0]["count"]), (&group["id"], &json!(2)));
    assert_eq!(host.list("/api/plugins").await[0]["version"], "2.0", "another version stays live");

    let discard = format!("/api/quarantine/{}/discard", group["id"].as_str().unwrap());
    let (_, one) = post(&host, &discard, &json!({"reason": " cut off ", "until": ids[41]}).to_string()).await;
    assert_eq!(one, json!({"discarded": 1, "has_more": false}));
    let discarded = host.get(&format!("/api/events/{}", ids[41])).await;
    assert_eq!((&discarded["status"], &discarded["discard_reason"]), (&json!("discarded"), &json!("cut off")));
    assert_eq!(post(&host, &discard, &json!({"reason": "x".repeat(1001)}).to_string()).await.0, 400);
    assert_eq!(post(&host, &discard, "").await.1["discarded"], 1);
    assert!(host.list("/api/quarantine").await.is_empty());

    let trail = host.list("/api/operator-actions").await;
    let notes: Vec<&str> = trail.iter().filter_map(|action| action["note"].as_str()).collect();
    assert_eq!(notes[0], "discarded 1 events: no reason given");
    assert_eq!(notes[1], "discarded 1 events: cut off");
    assert!(notes[2].starts_with("replayed 41 of 43 events with echo 1.0 ("), "{notes:?}");
}

#[tokio::test]
async fn failures_with_the_same_cause_are_one_group() {
    let folder = lab();
    let host = folder.start().await;
    let fail = async |message: &str| host.post("edr", returns(&json!({"malformed": message}))).await;
    for message in ["record 1: no id", "record 22: no id", "no title", "record 3: no id"] {
        fail(message).await;
    }
    let groups = host.list("/api/quarantine").await;
    let shown: Vec<_> = groups.iter().map(|group| (&group["message"], &group["count"])).collect();
    assert_eq!(shown, [(&json!("record #: no id"), &json!(3)), (&json!("no title"), &json!(1))]);
    let first = host.get("/api/quarantine?limit=1").await;
    assert_eq!(first["data"][0], groups[0]);
    let next = first["next_cursor"].as_str().unwrap();
    assert_eq!(host.get(&format!("/api/quarantine?cursor={next}")).await["data"], json!([groups[1]]));

    let replay = format!("/api/quarantine/{}/replay", groups[0]["id"].as_str().unwrap());
    for (query, status) in
        [("plugin=returns", 400), ("plugin=returns&version=0", 409), ("plugin=no&version=0", 404), ("x=1", 400)]
    {
        assert_eq!(post(&host, &format!("{replay}?{query}"), "").await.0, status, "{query}");
    }
    assert_eq!(counts(&post(&host, "/api/quarantine/0/replay", "").await.1), [0; 5], "an empty group");

    let event = groups[1]["newest"].as_str().unwrap();
    let discard = format!("/api/events/{event}/discard");
    assert_eq!(post(&host, &discard, r#"{"reason": "a test of the vendor"}"#).await.0, 200);
    assert_eq!(host.get(&format!("/api/events/{event}")).await["discard_reason"], "a test of the vendor");
    assert_eq!(host.list("/api/operator-actions").await[0]["note"], "a test of the vendor");
}

#[tokio::test]
async fn the_command_line_heals_a_group() {
    let folder = lab();
    let (host, ids) = broken_at_night(&folder).await;
    let run = |arguments: &[&str]| {
        let connection = ["--url", &host.url, "--token", ADMIN_TOKEN];
        folder.run(&[&["quarantine"], arguments, &connection].concat())
    };
    let (success, output, errors) = run(&["list"]);
    assert!(success && output.contains("trapped") && output.contains("43"), "{output}{errors}");
    let (_, json, _) = run(&["list", "--json"]);
    let listed: Value = serde_json::from_str(&json).unwrap();
    let group = listed["data"][0]["id"].as_str().unwrap();
    let (success, output, errors) = run(&["replay", group, "--version", "1.0", "--dry-run"]);
    assert!(!success && output.contains("none, because this was a dry run"), "{output}{errors}");
    assert!(errors.contains("2 of 43 events stay in quarantine"), "{errors}");
    assert!(run(&["replay", group, "--version", "9.9"]).2.contains("has no version `9.9`; it has"));
    let (_, output, errors) = run(&["replay", group, "--version", "1.0", "--json"]);
    assert_eq!(counts(&serde_json::from_str(&output).unwrap()), [43, 41, 0, 2, 41], "{errors}");
    let (success, output, errors) = run(&["discard", group, "--reason", "cut off"]);
    assert!(success && output.contains("discarded 2"), "{output}{errors}");
    assert_eq!(host.get(&format!("/api/events/{}", ids[42])).await["discard_reason"], "cut off");
    assert!(run(&["discard", group]).2.contains("there is no group"));
}

/// The bench: a payload or a stored event in any version that is there, beside another one.
#[tokio::test]
async fn versions_that_are_not_live_are_run_and_compared() {
    let folder = lab();
    let (host, ids) = broken_at_night(&folder).await;
    let former = sha256(&host, "1.0").await;
    let live = sha256(&host, "2.0").await;
    let run = async |body: Value| post(&host, "/api/plugins/echo/run", &body.to_string()).await;
    let (status, result) = run(json!({"event": ids[0], "version": former, "against": live})).await;
    assert_eq!((status, &result["outcome"]["incidents"]), (200, &json!(1)), "{result}");
    assert_eq!(result["plugin"]["version"], "1.0");
    assert_eq!(result["against"]["outcome"]["error"]["code"], "trapped");
    assert!(
        result["against"]["changes"].as_array().unwrap().iter().any(|change| change["path"] == "/error"),
        "{result}"
    );
    assert!(result["limits"]["deadline_ms"].as_u64().unwrap() > 0, "{result}");
    let (_, result) = run(json!({"body": "t", "version": former})).await;
    assert_eq!((&result["outcome"]["error"]["code"], &result["against"]), (&json!("trapped"), &Value::Null));
    for (body, status) in [
        (json!({"version": former}), 400),
        (json!({"body": "x", "event": ids[0]}), 400),
        (json!({"body": "x", "version": "0"}), 409),
        (json!({"event": "019c1f3e-5c00-7000-8000-000000000001"}), 404),
    ] {
        assert_eq!(run(body.clone()).await.0, status, "{body}");
    }

    let diff = async |query: &str| post(&host, &format!("/api/plugins/echo/diff?{query}"), "").await;
    let (status, report) = diff(&format!("version={former}&source=lab&events=10")).await;
    assert_eq!(
        (status, &report["payloads"], &report["against"]["version"]),
        (200, &json!(10), &json!("2.0")),
        "{report}"
    );
    assert_eq!(report["newly_succeeding"]["count"], 8, "the newest two fail on both");
    let (_, report) = diff(&format!("version={live}&against={former}&events=10")).await;
    assert_eq!((&report["passed"], &report["newly_failing"]["count"]), (&json!(false), &json!(8)), "{report}");

    // The file of a version that was refused can be called as long as it is in the folder.
    folder.put("echo", &echo("3.0"));
    host.plugin_when("echo", |plugin| plugin["version"] == "3.0").await;
    folder.put("echo", &at_version(guest("traps"), "4.0"));
    host.plugin_when("echo", |plugin| !plugin["error"].is_null()).await;
    let refused = sha256(&host, "4.0").await;
    assert_eq!(run(json!({"body": "x", "version": refused})).await.1["outcome"]["error"]["code"], "trapped");
    folder.put("echo", &at_version(guest("traps"), "5.0"));
    host.plugin_when("echo", |plugin| plugin["error"].as_str().is_some_and(|error| error.contains("5.0"))).await;
    let (status, gone) = run(json!({"body": "x", "version": refused})).await;
    assert!(status == 409 && gone["error"]["message"].as_str().unwrap().contains("is not kept"), "{gone}");
}

/// However many events and groups there are, a list counts all, and a page reads only its own.
#[tokio::test]
async fn large_groups_and_many_groups_are_listed_whole() {
    const COPIES: u64 = 10_500;
    const GROUPS: u64 = 1_200;
    let folder = lab();
    let mut host = folder.start().await;
    host.post("edr", returns(&json!({"malformed": "copy 0"}))).await;
    let group = host.list("/api/quarantine").await[0]["id"].as_str().unwrap().to_owned();
    host.terminate();
    host.end().await;
    drop(host);
    let database = rusqlite::Connection::open(folder.path("data/hookmill.db")).unwrap();
    // The copies have later keys, with ids to match: both begin with the time. The first of them have groups of their own.
    let columns =
        "source, status, received_at, attempts, code, tried, incidents, content_type, headers, context, digest, body";
    let sql = format!(
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {GROUPS} + {COPIES}) \
         INSERT INTO events (key, id, message, failure_group, {columns}) \
         SELECT key + n * 32768, unhex(printf('%012X', (key >> 15) + n) || substr(hex(id), 13)), replace(message, 'copy 0', 'copy ' || n), \
             iif(n > {GROUPS}, failure_group, 'group ' || n), {columns} FROM events, number"
    );
    database.execute(&sql, []).unwrap();
    drop(database);
    let host = folder.start().await;
    let first = host.get("/api/quarantine?limit=1000").await;
    let groups = first["data"].as_array().unwrap();
    assert_eq!((&groups[0]["id"], &groups[0]["count"]), (&json!(group), &json!(COPIES + 1)), "{}", groups[0]);
    assert_eq!((&groups[999]["id"], &groups[999]["message"]), (&json!("group 202"), &json!("copy #")));
    let next = first["next_cursor"].as_str().unwrap();
    let rest = host.get(&format!("/api/quarantine?limit=1000&cursor={next}")).await;
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next_cursor"]), (201, &Value::Null));

    let discard = format!("/api/quarantine/{group}/discard");
    assert_eq!(post(&host, &discard, "").await.1, json!({"discarded": 1000, "has_more": true}));
    let left = host.get("/api/quarantine?limit=1").await["data"][0].clone();
    assert_eq!((&left["id"], &left["count"]), (&json!(group), &json!(COPIES - 999)));
}
