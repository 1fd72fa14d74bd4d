//! Clients that follow events: everything once, in order, and without a gap.

use crate::database::is_shared;
use crate::guest::guest;
use crate::host::{ADMIN_TOKEN, Folder, Host, eventually, send};
use crate::outcome::incident;
use crate::stream::{Event, Reader};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

const CONFIG: &str = "sources:
           lab: { scheme: none, plugin: returns }
           late: { scheme: none, plugin: missing }
           inside: { scheme: none, plugin: none, allow_ips: [192.0.2.0/24] }";

fn folder() -> Folder {
    Folder::new(CONFIG).with("returns", &guest("returns"))
}

async fn follow(host: &Host<'_>, query: &str, last: Option<&str>) -> Reader {
    Reader::at(host, &format!("/api/events/stream{query}"), last).await
}

/// Returns the next changes, without heartbeats.
async fn changes(reader: &mut Reader, count: usize) -> Vec<Event> {
    let mut changes = Vec::new();
    while changes.len() < count {
        changes.extend(reader.next().await.filter(|event| event.name != "heartbeat"));
    }
    changes
}

fn status(event: &Event) -> (&str, &str, &str) {
    let text = |name: &str| event.data[name].as_str().unwrap_or_default();
    (&event.name, text("source"), text("status"))
}

fn ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.data["id"].as_str().unwrap()).collect()
}

async fn post(host: &Host<'_>, source: &str, reference: &str) -> String {
    host.post(source, incident(json!({"source-ref": reference}))).await.event_id().to_owned()
}

#[tokio::test]
async fn events_and_refused_requests_come_as_they_happen_and_none_is_lost_or_repeated() {
    let folder = folder();
    let host = folder.start().await;
    let mut all = follow(&host, "", None).await;
    let mut filtered = Vec::new();
    for query in ["?status=queued", "?source=lab", "?type=refusal", "?type=event&source=inside&source=late"] {
        filtered.push(follow(&host, query, None).await);
    }
    let mapped = post(&host, "lab", "1").await;
    let queued = post(&host, "late", "2").await;
    let seen = changes(&mut all, 2).await;
    assert_eq!([status(&seen[0]), status(&seen[1])], [("event", "lab", "mapped"), ("event", "late", "queued")]);
    let mut listed = host.list("/api/events").await;
    listed.reverse();
    assert_eq!(seen.iter().map(|event| &event.data).collect::<Vec<_>>(), listed.iter().collect::<Vec<_>>());

    assert_eq!(host.call(Method::POST, &format!("/api/events/{queued}/discard"), "").await.status, 200);
    let discarded = changes(&mut all, 1).await;
    assert_eq!((status(&discarded[0]), ids(&discarded)), (("event", "late", "discarded"), vec![&*queued]));
    for _ in 0..50 {
        assert_eq!(host.post("inside", "a body that is refused").await.status, 403);
    }
    let mut refused = changes(&mut all, 1).await.remove(0);
    while refused.data["count"] != 50 {
        assert_eq!(status(&refused), ("refusal", "inside", ""));
        refused = changes(&mut all, 1).await.remove(0);
    }
    assert!(refused.data["reason"].as_str().unwrap().contains("allow_ips"), "{refused:?}");
    assert!(!refused.data.to_string().contains("a body"), "{refused:?}");

    assert_eq!(status(&changes(&mut filtered[0], 1).await[0]), ("event", "late", "queued"));
    assert_eq!(status(&changes(&mut filtered[1], 1).await[0]), ("event", "lab", "mapped"));
    assert_eq!(changes(&mut filtered[2], 1).await[0].name, "refusal");
    let of_late = changes(&mut filtered[3], 2).await;
    assert_eq!([status(&of_late[0]).2, status(&of_late[1]).2], ["queued", "discarded"]);

    // A client that was away continues at its position.
    drop(all);
    let missed = [post(&host, "lab", "3").await, post(&host, "lab", "4").await];
    let mut resumed = follow(&host, "?type=event", Some(&refused.id)).await;
    assert_eq!(ids(&changes(&mut resumed, 2).await), missed);
    let mut from = follow(&host, &format!("?source=lab&from={}", seen[0].id), None).await;
    assert_eq!(ids(&changes(&mut from, 2).await), missed);
    let mut from = follow(&host, &format!("?type=event&from={}", resumed.connected.id), None).await;
    assert_eq!(ids(&changes(&mut from, 2).await), missed);
    assert_eq!(mapped, ids(&seen)[0]);

    for (query, word) in [("?type=incident", "refusal"), ("?status=refused", "quarantined"), ("?from=yesterday", "0")] {
        let answer = host.call(Method::GET, &format!("/api/events/stream{query}"), "").await;
        assert_eq!((answer.status, answer.error_code()), (400, "invalid_request"), "{query}");
        assert!(answer.body["error"]["message"].as_str().unwrap().contains(word), "{query}: {answer:?}");
    }
    let path = format!("{}/api/events/stream", host.url);
    assert_eq!(send(host.client.get(path)).await.unwrap().status, 401);

    // A host that was restarted does not know what the client has missed, and says so.
    post(&host, "lab", "5").await;
    let position = changes(&mut resumed, 1).await.remove(0).id;
    host.kill();
    let host = folder.start().await;
    let mut after = follow(&host, "?status=quarantined&type=event", Some(&position)).await;
    let reset = changes(&mut after, 1).await.remove(0);
    assert_eq!((reset.name.as_str(), &reset.data), ("reset", &Value::Null));
    let mut live = follow(&host, "", Some(&reset.id)).await;
    let id = post(&host, "lab", "6").await;
    assert_eq!(ids(&changes(&mut live, 1).await), [id]);
}

/// A reader at a host that was stopped for longer than the others remember their groups is told so.
#[tokio::test]
async fn a_reader_at_a_host_that_missed_changes_gets_a_reset() {
    /// More than the groups whose events are kept.
    const GROUPS: usize = 1100;
    if !is_shared() {
        return;
    }
    let folder = folder();
    let other_folder = folder.beside(CONFIG);
    let (stopped, other) = (folder.start().await, other_folder.start().await);
    let mut reader = follow(&stopped, "", None).await;
    let first = post(&other, "lab", "first").await;
    assert_eq!(ids(&changes(&mut reader, 1).await), [first]);
    stopped.signal("STOP");
    for number in 0..GROUPS {
        post(&other, "lab", &number.to_string()).await;
    }
    stopped.signal("CONT");
    assert_eq!(changes(&mut reader, 1).await[0].name, "reset");
    stopped.ready().await;
    let last = post(&other, "lab", "last").await;
    // The last groups before are still known.
    while ids(&changes(&mut reader, 1).await) != [&*last] {}
}

#[tokio::test]
async fn the_command_line_follows_over_a_restart_of_the_host() {
    let folder = folder();
    let host = folder.start().await;
    let url = host.url.clone();
    // The second host has to be found at the same address.
    let address = url.strip_prefix("http://").unwrap();
    let config = std::fs::read_to_string(folder.path("hookmill.yaml")).unwrap();
    std::fs::write(folder.path("hookmill.yaml"), config.replace("127.0.0.1:0", address)).unwrap();
    let follow = |json: &[&str]| {
        let connection = ["events", "follow", "--url", &url, "--token", ADMIN_TOKEN];
        let mut command = folder.hookmill(&[&connection, json].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (kept, output) = (lines.clone(), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line));
        });
        (child, lines)
    };
    let (mut json_child, json_lines) = follow(&["--json"]);
    let (mut text_child, text_lines) = follow(&[]);
    let has = async |lines: &Mutex<Vec<String>>, text: &str| {
        let found = async || lines.lock().unwrap().iter().any(|line: &String| line.contains(text)).then_some(());
        eventually(&format!("`{text}` is printed"), found).await;
    };
    // Both are connected as soon as they print an event.
    let mut first = String::new();
    eventually("both are connected", async || {
        first = post(&host, "lab", "1").await;
        let is_printed = |lines: &Mutex<Vec<String>>| !lines.lock().unwrap().is_empty();
        (is_printed(&json_lines) && is_printed(&text_lines)).then_some(())
    })
    .await;
    has(&json_lines, &first).await;
    has(&text_lines, &first).await;
    host.post("inside", "{}").await;
    has(&json_lines, "{\"refusal\":{").await;
    has(&text_lines, "refused ×1").await;
    has(&text_lines, "allow_ips").await;
    host.kill();
    let host = folder.start().await;
    let missed = post(&host, "lab", "2").await;
    has(&json_lines, &missed).await;
    has(&text_lines, &missed).await;
    let live = post(&host, "late", "3").await;
    has(&text_lines, &live).await;
    for child in [&mut json_child, &mut text_child] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let lines = json_lines.lock().unwrap();
    for id in [&first, &missed] {
        assert_eq!(lines.iter().filter(|line| line.contains(&**id)).count(), 1, "{id}: {lines:#?}");
    }
    let (success, _, errors) = folder.run(&["events", "follow", "--url", &url, "--token", "hm_0"]);
    assert!(!success && errors.contains("token"), "{errors}");
}
