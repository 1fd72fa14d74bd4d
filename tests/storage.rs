//! The disk and the database: damage, a full disk, locks of others, and rows that cannot be read.

use crate::guest::{guest, guest_of_kind};
use crate::host::{ADMIN_TOKEN, Folder, Host, eventually};
use crate::outcome::{incident, judgement, returns};
use reqwest::Method;
use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const STORES: &str = "sources: { lab: { scheme: none, plugin: none } }";
const MAPS: &str = "sources: { lab: { scheme: none, plugin: returns } }";
const DATABASE: &str = "data/hookmill.db";
const WAL: &str = "data/hookmill.db-wal";

async fn post(host: &Host<'_>, count: usize) {
    for index in 0..count {
        assert_eq!(host.post("lab", format!("{index} {}", "x".repeat(20_000))).await.status, 202);
    }
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Checks that a start is refused with this text, and that it succeeds when the operator accepts the loss.
async fn is_refused(folder: &Folder, text: &str, can_be_accepted: bool) {
    let refusal = folder.refusal();
    assert!(refusal.contains(text), "expected `{text}` in: {refusal}");
    assert_eq!(refusal.contains("accept-loss"), can_be_accepted, "{refusal}");
    if can_be_accepted {
        std::fs::write(folder.path("data/accept-loss"), "").unwrap();
        let host = folder.start().await;
        post(&host, 1).await;
        host.kill();
        assert!(!folder.path("data/accept-loss").exists(), "a loss is accepted once");
        folder.start().await;
    } else {
        std::fs::write(folder.path("data/accept-loss"), "").unwrap();
        folder.refusal();
    }
}

/// Returns a folder whose host was killed after these events, all of which are in the log.
async fn killed(events: usize) -> Folder {
    let folder = Folder::new(STORES);
    let host = folder.start().await;
    post(&host, events).await;
    host.kill();
    folder
}

/// Copies everything from the log into the database.
fn empty_log(folder: &Folder) {
    let disk = Connection::open(folder.path(DATABASE)).unwrap();
    disk.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

#[tokio::test]
async fn a_database_that_disappeared_is_not_made_anew() {
    let folder = killed(3).await;
    std::fs::remove_file(folder.path(DATABASE)).unwrap();
    let (made, _, refusal) = folder.run(&["token", "create", "--scope", "read"]);
    assert!(!made && refusal.contains("is missing and was there before"), "{refusal}");
    is_refused(&folder, "is missing and was there before", true).await;
    // Without the mark the log alone says so.
    let folder = killed(3).await;
    std::fs::remove_file(folder.path(DATABASE)).unwrap();
    std::fs::remove_file(folder.path("data/store.mark")).unwrap();
    assert!(folder.refusal().contains("and its log"));
}

#[tokio::test]
async fn a_database_that_was_cut_off_or_overwritten_is_refused() {
    let folder = killed(200).await;
    empty_log(&folder);
    let whole = std::fs::read(folder.path(DATABASE)).unwrap();
    change(&folder.path(DATABASE), |bytes| bytes.truncate(bytes.len() / 2));
    is_refused(&folder, "is cut off", false).await;
    std::fs::write(folder.path(DATABASE), &whole).unwrap();
    change(&folder.path(DATABASE), |bytes| bytes[40_000..60_000].fill(0xa5));
    is_refused(&folder, "it is damaged", false).await;
    std::fs::write(folder.path(DATABASE), "no database").unwrap();
    is_refused(&folder, "is not a database of SQLite", false).await;
    std::fs::write(folder.path(DATABASE), &whole).unwrap();
    folder.start().await;
}

#[tokio::test]
async fn the_rows_around_damaged_pages_are_saved() {
    let folder = killed(200).await;
    empty_log(&folder);
    change(&folder.path(DATABASE), |bytes| {
        for place in [bytes.len() / 4, bytes.len() / 2, bytes.len() * 3 / 4] {
            bytes[place..place + 8_192].fill(0xa5);
        }
    });
    is_refused(&folder, "docs/BACKUP.md", false).await;
    // As docs/BACKUP.md says.
    std::fs::rename(folder.path("data"), folder.path("data.damaged")).unwrap();
    std::fs::create_dir(folder.path("data")).unwrap();
    std::fs::set_permissions(folder.path("data"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/save_readable.py");
    let mut save = Command::new("python3");
    save.arg(script).args(["data.damaged/hookmill.db", DATABASE]).current_dir(folder.path(""));
    let saved = save.output().unwrap();
    assert!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
    std::fs::set_permissions(folder.path(DATABASE), std::fs::Permissions::from_mode(0o600)).unwrap();
    let host = folder.start().await;
    let events = host.list("/api/events?limit=1000").await.len();
    assert!((180..200).contains(&events), "{events} events");
    post(&host, 1).await;
}

#[tokio::test]
async fn a_log_with_changed_bytes_is_refused_and_a_torn_one_is_not() {
    let folder = killed(20).await;
    change(&folder.path(WAL), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
    });
    is_refused(&folder, "transactions that SQLite would drop", true).await;
    // A kill in the middle of a write leaves the beginning of a transaction.
    let folder = killed(20).await;
    change(&folder.path(WAL), |bytes| bytes.extend_from_within(bytes.len() - 10_000..bytes.len() - 3_000));
    let host = folder.start().await;
    assert_eq!(host.list("/api/events").await.len(), 20);
}

#[tokio::test]
async fn an_older_copy_and_another_database_are_refused() {
    let folder = Folder::new(STORES);
    let mut host = folder.start().await;
    post(&host, 1).await;
    host.terminate();
    host.end().await;
    let older = std::fs::read(folder.path(DATABASE)).unwrap();
    let mut host = folder.start().await;
    post(&host, 5).await;
    host.terminate();
    host.end().await;
    std::fs::write(folder.path(DATABASE), older).unwrap();
    assert!(!std::fs::exists(folder.path(WAL)).unwrap() || std::fs::metadata(folder.path(WAL)).unwrap().len() == 0);
    is_refused(&folder, "is older than this data folder", true).await;

    let other = killed(1).await;
    for name in [DATABASE, WAL] {
        std::fs::copy(other.path(name), folder.path(name)).unwrap();
    }
    is_refused(&folder, "is another database", true).await;
}

#[tokio::test]
async fn a_removed_lock_file_lets_no_second_host_in() {
    let folder = Folder::new(STORES);
    let _host = folder.start().await;
    std::fs::remove_file(folder.path("data/lock")).unwrap();
    let refusal = folder.refusal();
    assert!(refusal.contains("in use by another hookmill"), "{refusal}");
}

#[tokio::test]
async fn a_locked_database_is_answered_with_503_until_it_is_free() {
    let folder = Folder::new(STORES);
    let host = folder.start().await;
    let other = Connection::open(folder.path(DATABASE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Instant::now();
    let answer = host.post("lab", "{}").await;
    assert_eq!((answer.status, answer.error_code(), answer.retry_after.as_deref()), (503, "store_busy", Some("5")));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let (status, text) = host.get_open("/readyz").await;
    assert!(status == 503 && text.contains("takes no writes"), "{status} {text}");
    other.execute_batch("COMMIT").unwrap();
    // Without any payload.
    host.ready().await;
    assert_eq!(host.post("lab", "{}").await.status, 202);
}

/// Lets the files of a host grow up to a size, or without a bound.
fn limit_files(host: &Host<'_>, bytes: Option<u64>) {
    let pid = Pid::from_raw(host.pid().try_into().unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

#[tokio::test]
async fn a_full_disk_is_answered_with_503_and_logged_once_in_a_while() {
    let folder = Folder::new(STORES);
    // A file that may not grow is like a full disk, if the signal is ignored.
    let program = folder.hookmill(&["serve"]);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" serve"]).arg(program.get_program());
    shell.current_dir(folder.path("")).env_clear().env("NO_COLOR", "1");
    let host = folder.start_listening_by(&mut shell).await;
    host.ready().await;
    post(&host, 2).await;
    limit_files(&host, Some(std::fs::metadata(folder.path(WAL)).unwrap().len()));
    for index in 0..300 {
        let answer = host.post("lab", format!("refused {index}")).await;
        assert_eq!((answer.status, answer.error_code(), answer.retry_after.as_deref()), (503, "store_busy", Some("5")));
    }
    let (status, text) = host.get_open("/readyz").await;
    assert!(status == 503 && text.contains("takes no writes"), "{status} {text}");
    let log = host.log();
    assert!(log.contains("the database takes no writes"), "{log}");
    let errors = log.lines().filter(|line| line.contains("ERROR")).count();
    assert!(errors <= 10, "{errors} errors in the log");
    limit_files(&host, None);
    host.ready().await;
    host.logs("the database takes writes again").await;
    post(&host, 1).await;
    assert_eq!(host.list("/api/events").await.len(), 2, "the last payload repeats the first");
}

#[tokio::test]
async fn a_host_that_is_short_of_disk_space_is_not_ready_and_stores_payloads() {
    let folder = Folder::new(&format!("limits: {{ free_disk_mib: 100000000 }}\n{STORES}"));
    let host = folder.start_listening().await;
    host.logs("make room before payloads cannot be stored").await;
    let (status, text) = host.get_open("/readyz").await;
    assert!(status == 503 && text.contains("MiB are free"), "{status} {text}");
    post(&host, 1).await;
}

#[tokio::test]
async fn many_waiting_events_that_cannot_be_read_hold_up_no_other() {
    const UNREADABLE: usize = 100;
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: returns } }");
    let host = folder.start().await;
    for number in 0..=UNREADABLE {
        let sent = host.post("lab", incident(json!({"source-ref": number.to_string()}))).await;
        assert_eq!(sent.status_word(), "queued");
    }
    host.kill();
    let disk = Connection::open(folder.path(DATABASE)).unwrap();
    let sql = "UPDATE events SET headers = '?' WHERE key IN (SELECT key FROM events ORDER BY key LIMIT ?)";
    assert_eq!(disk.execute(sql, [UNREADABLE]).unwrap(), UNREADABLE);
    drop(disk);
    folder.put("returns", &guest("returns"));
    let host = folder.start().await;
    let mapped = eventually("the event that can be read", async || host.list("/api/incidents").await.pop()).await;
    assert_eq!(mapped["source_ref"], UNREADABLE.to_string());
}

#[tokio::test]
async fn a_row_that_cannot_be_read_holds_up_nothing_else() {
    let playbook = "sources: { lab: { scheme: none, plugin: returns, auto_triage: true, playbook: judges } }";
    let folder = Folder::new(playbook).with("returns", &guest("returns"));
    let host = folder.start().await;
    let actions = judgement(&json!([{"add-tag": "judged"}]));
    for reference in ["broken", "whole"] {
        let sent = incident(json!({"source-ref": reference, "description": actions}));
        assert_eq!(host.post("lab", sent).await.status_word(), "accepted");
    }
    host.kill();
    {
        let disk = Connection::open(folder.path(DATABASE)).unwrap();
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let sql = "UPDATE incidents SET record = json_set(record, '$.details', json(?)) WHERE source_ref = 'broken'";
        assert_eq!(disk.execute(sql, [format!("{{\"deep\":{deep}}}")]).unwrap(), 1);
    }
    folder.put("judges", &guest_of_kind("judges", "playbook"));
    let host = folder.start().await;
    let whole = eventually("the triage of the other incident", async || {
        let incidents = host.list("/api/incidents").await;
        assert_eq!(incidents.len(), 2);
        let unreadable = incidents.iter().find(|item| item.get("error").is_some()).unwrap();
        assert_eq!(unreadable.as_object().unwrap().len(), 2, "{unreadable}");
        incidents.into_iter().find(|item| item["tags"] == json!(["judged"]))
    })
    .await;
    assert_eq!(whole["source_ref"], "whole");
    let (listed, text, errors) = folder.run(&["incidents", "list", "--url", &host.url, "--token", ADMIN_TOKEN]);
    assert!(listed && text.contains("whole") && text.contains("recursion limit"), "{text}{errors}");
    // The vendor's next payload about it is not lost.
    let next = host.post("lab", incident(json!({"source-ref": "broken", "title": "again"}))).await;
    assert_eq!((next.status_word(), &next.body["incidents"][0]["created"]), ("accepted", &json!(true)));
    let number = whole["number"].as_str().unwrap().replace("0002", "0001");
    let trail = host.list(&format!("/api/incidents/{number}/audit")).await;
    assert!(trail.len() == 1 && trail[0]["error"].as_str().unwrap().contains("nested"), "{trail:?}");
    // A client of the stream gets the other entries.
    let mut stream = host.request(Method::GET, "/api/stream?from=0").send().await.unwrap();
    let mut text = String::new();
    while !text.contains("\"again\"") {
        text += &String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap());
    }
    assert!(text.contains("event: unreadable"), "{text}");
    // Nothing can be done to it but its removal.
    let path = format!("/api/incidents/{number}");
    let triage = format!("{path}/triage");
    for (method, path, body) in [
        (Method::GET, &path, ""),
        (Method::PATCH, &path, r#"{"title": "new"}"#),
        (Method::POST, &triage, r#"{"playbook": "judges"}"#),
    ] {
        let refused = host.call(method.clone(), path, body).await;
        assert_eq!((refused.status, refused.error_code()), (409, "conflict"), "{method}");
        let message = refused.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(&number) && message.contains("recursion limit"), "{method}: {message}");
    }
    assert_eq!(host.call(Method::DELETE, &path, "").await.status, 204);
    assert_eq!(host.call(Method::GET, &path, "").await.status, 404);
    let incidents = host.list("/api/incidents").await;
    assert!(incidents.len() == 2 && incidents.iter().all(|item| item.get("error").is_none()), "{incidents:?}");
    assert_eq!(host.list(&format!("{path}/audit")).await.len(), 2);
}

#[tokio::test]
async fn a_trail_is_read_in_parts_and_its_objects_are_restored() {
    let folder = Folder::new(MAPS).with("returns", &guest("returns"));
    let host = folder.start().await;
    let sent = incident(json!({"source-ref": "r", "details": {"first": "1"}}));
    let number = host.post("lab", sent).await.body["incident_number"].as_str().unwrap().to_owned();
    let path = format!("/api/incidents/{number}");
    for index in 1..40 {
        let change = json!({"title": format!("title {index}"), "note": format!("note {index}")}).to_string();
        assert_eq!(host.call(Method::PATCH, &path, change).await.status, 200);
        // Changes that make no entry.
        host.post("lab", incident(json!({"source-ref": "r", "details": {"first": "1"}}))).await;
    }
    let part = host.get(&format!("{path}/audit?limit=7")).await;
    assert_eq!(part["data"].as_array().unwrap().len(), 7);
    let trail = host.list(&format!("{path}/audit?limit=7")).await;
    assert_eq!(trail.len(), 40);
    for (index, entry) in trail.iter().enumerate().skip(1) {
        let object = &entry["object"];
        assert_eq!(object["title"], format!("title {index}"));
        assert_eq!(
            (object["revision"].as_u64(), object["occurrences"].as_u64()),
            (Some(index as u64 + 1), Some(index as u64))
        );
        assert_eq!(object["notes"].as_array().unwrap().len(), index);
        let names: Vec<&String> = entry["details"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["notes", "title"]);
        assert_eq!(entry["details"]["title"], object["title"]);
    }
    assert_eq!(host.list(&format!("{path}/audit")).await, trail);
    let refused = host.call(Method::GET, &format!("{path}/audit?after=1"), "").await;
    assert_eq!((refused.status, refused.error_code()), (400, "invalid_request"));
}

#[tokio::test]
async fn an_incident_does_not_grow_without_bound() {
    let folder = Folder::new(MAPS).with("returns", &guest("returns"));
    let host = folder.start().await;
    let mut number = String::new();
    for round in 0..8 {
        let observable =
            |index: usize| json!({"data-type": "ip", "value": format!("{round}-{index}-{}", "x".repeat(2_000))});
        let details = |index: usize| (format!("{round}-{index}"), json!("y".repeat(2_000)));
        let sent = returns(&json!({"incidents": [{
            "source-ref": "r",
            "observables": (0..150).map(observable).collect::<Vec<_>>(),
            "details": (0..150).map(details).collect::<serde_json::Map<_, _>>(),
        }]}));
        let answer = host.post("lab", sent).await;
        assert_eq!(answer.status_word(), "accepted", "{answer:?}");
        number = answer.body["incident_number"].as_str().unwrap().to_owned();
    }
    let shown = host.get(&format!("/api/incidents/{number}")).await;
    assert!(shown.to_string().len() < 1 << 20, "{} bytes", shown.to_string().len());
    assert!(shown["truncated"].as_u64().unwrap() > 1_000, "{}", shown["truncated"]);
    let long = json!({"note": "x".repeat(20_000)}).to_string();
    assert_eq!(host.call(Method::PATCH, &format!("/api/incidents/{number}"), long).await.status, 400);
    let mut answers = Vec::new();
    for index in 0..20 {
        let note = json!({"note": format!("{index} {}", "x".repeat(15_000))}).to_string();
        answers.push(host.call(Method::PATCH, &format!("/api/incidents/{number}"), note).await.status);
    }
    assert_eq!((answers[0], answers[19]), (200, 409), "{answers:?}");
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_shown_as_such_and_can_be_discarded() {
    let folder =
        Folder::new("sources: { lab: { scheme: none, plugin: missing }, other: { scheme: none, plugin: none } }");
    let host = folder.start().await;
    let broken = host.post("lab", "waits").await.event_id().to_owned();
    host.post("other", "whole").await;
    host.kill();
    let sql = "UPDATE events SET headers = 'no JSON' WHERE source = 'lab'";
    assert_eq!(Connection::open(folder.path(DATABASE)).unwrap().execute(sql, []).unwrap(), 1);
    let host = folder.start().await;
    let events = host.list("/api/events").await;
    assert_eq!(events.len(), 2);
    let listed = events.iter().find(|item| item.get("error").is_some_and(Value::is_string)).unwrap();
    assert_eq!(listed["id"], broken);
    let path = format!("/api/events/{broken}");
    for (method, path) in [(Method::GET, path.clone()), (Method::POST, format!("{path}/replay"))] {
        let refused = host.call(method.clone(), &path, "").await;
        assert_eq!((refused.status, refused.error_code()), (409, "conflict"), "{method}: {refused:?}");
        let message = refused.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(&broken) && message.contains(listed["error"].as_str().unwrap()), "{message}");
    }
    let discarded = host.call(Method::POST, &format!("{path}/discard"), "").await;
    assert_eq!((discarded.status, discarded.status_word()), (200, "discarded"), "{discarded:?}");
    assert_eq!(host.call(Method::POST, &format!("{path}/discard"), "").await.status, 409);
}
