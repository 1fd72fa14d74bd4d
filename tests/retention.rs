//! Retention: what goes, what stays, in the background and by hand, and the space that it gives back.

use crate::guest::guest;
use crate::host::{ADMIN_TOKEN, Folder, client, eventually, send};
use crate::outcome::incident;
use hookmill_host::running::Running;
use hookmill_incident::{Clock, STEADY_FOR};
use reqwest::{Client, Method};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const DATABASE: &str = "data/hookmill.db";
const SOURCES: &str = "
sources:
  lab: { scheme: none, plugin: returns }
  raw: { scheme: none, plugin: none }
  late: { scheme: none, plugin: late }
  broken: { scheme: none, plugin: trap }
destinations: { lines: { type: file, path: lines.jsonl } }
notifications: [{ name: all, trigger: any, notify: [{ to: lines }] }]
";

/// A host in this process, whose clock a test shifts.
struct Shifted {
    running: Running,
    client: Client,
    clock: Clock,
}

impl Shifted {
    /// Starts a host some days ago, whose clock has kept pace for long enough to remove something.
    async fn start(folder: &Folder, days_ago: i64) -> Self {
        let clock = Clock::steady_since(Instant::now().checked_sub(STEADY_FOR).unwrap());
        clock.shift_ms(-days_ago * DAY_MS);
        let running = folder.start_with(&clock).await;
        let shifted = Self { running, client: client(), clock };
        eventually("the host is ready", async || shifted.running.is_ready().then_some(())).await;
        shifted
    }

    /// Starts a host some days ago, after it was there already and got something new: the newest rows always stay.
    async fn restart(folder: &Folder, days_ago: i64) -> Self {
        let host = Self::start(folder, days_ago).await;
        host.post("raw", format!("{days_ago} days ago")).await;
        host.post_incident(&format!("{days_ago} days ago")).await;
        host.running.stop().await;
        Self::start(folder, days_ago).await
    }

    async fn call(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let url = format!("http://{}{path}", self.running.address);
        let answer = send(self.client.request(method, url).bearer_auth(ADMIN_TOKEN).body(body)).await.unwrap();
        (answer.status, answer.body)
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, "").await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn post(&self, source: &str, body: impl Into<reqwest::Body>) -> Value {
        let (status, body) = self.call(Method::POST, &format!("/api/webhooks/{source}"), body).await;
        assert_eq!(status, 202, "{body}");
        body
    }

    /// Posts a payload about a new incident. Returns the ids of event and incident.
    async fn post_incident(&self, reference: &str) -> (String, String) {
        let answer = self.post("lab", incident(json!({"source-ref": reference}))).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&answer["event_id"]), text(&answer["incident_id"]))
    }

    async fn patch(&self, incident: &str, change: Value) -> Value {
        let (status, body) = self.call(Method::PATCH, &format!("/api/incidents/{incident}"), change.to_string()).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Returns whether an event is there, and with its body.
    async fn event(&self, id: &str) -> (bool, bool) {
        let (status, body) = self.call(Method::GET, &format!("/api/events/{id}"), "").await;
        (status == 200, status == 200 && !body["body"].is_null())
    }

    async fn exists(&self, path: &str) -> bool {
        self.call(Method::GET, path, "").await.0 == 200
    }

    async fn when_gone(&self, path: &str) {
        eventually(&format!("{path} is gone"), async || (!self.exists(path).await).then_some(())).await;
    }

    async fn metric(&self, series: &str) -> f64 {
        let metrics = self.client.get(format!("http://{}/metrics", self.running.address)).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Returns the numbers of rows by kind, as the host keeps them.
    async fn rows(&self) -> BTreeMap<String, i64> {
        let storage = self.get("/api/storage").await;
        let stored = storage["stored"].as_array().unwrap().iter();
        stored.map(|kind| (kind["kind"].as_str().unwrap().to_owned(), kind["rows"].as_i64().unwrap())).collect()
    }
}

/// Returns the numbers of rows by kind, counted.
fn counted(folder: &Folder) -> BTreeMap<String, i64> {
    let disk = Connection::open(folder.path(DATABASE)).unwrap();
    let tables = ["events", "incidents", "audit", "deliveries", "events WHERE body_removed_at IS NULL"];
    let kinds = ["events", "incidents", "audit", "deliveries", "payloads"];
    let count = |table| disk.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    kinds.into_iter().map(str::to_owned).zip(tables.into_iter().map(count)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_go_before_events_and_a_hold_keeps_everything() {
    let retention = "retention: { payloads: 90d, events: 1y, incidents: 1y, audit: 200d }";
    let folder = Folder::new(&format!("{retention}\n{SOURCES}"))
        .with("returns", &guest("returns"))
        .with("trap", &guest("traps"));
    let host = Shifted::start(&folder, 500).await;
    let (held_event, held) = host.post_incident("held").await;
    let (legal_event, legal) = host.post_incident("legal").await;
    let (open_event, open) = host.post_incident("open").await;
    let (closed_event, closed) = host.post_incident("closed").await;
    let id = |answer: Value| answer["event_id"].as_str().unwrap().to_owned();
    let raw = id(host.post("raw", "raw").await);
    let queued = id(host.post("late", "queued").await);
    let quarantined = id(host.post("broken", "quarantined").await);
    for incident in [&held, &legal] {
        let shown = host.patch(incident, json!({"hold": true, "status": "closed"})).await;
        assert_eq!(shown["hold"], true);
    }
    host.patch(&closed, json!({"status": "closed", "note": "done"})).await;
    let trail = host.get(&format!("/api/incidents/{held}/audit")).await;
    assert_eq!(
        (&trail["data"][1]["details"]["hold"], &trail["data"][1]["object"]["hold"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(trail["data"][0]["object"]["hold"], false);
    let (status, refused) = host.call(Method::DELETE, &format!("/api/incidents/{held}"), "").await;
    assert!(status == 409 && refused["error"]["message"].as_str().unwrap().contains("has a hold"), "{refused}");
    host.running.stop().await;

    let host = Shifted::restart(&folder, 400).await;
    eventually("the payload is gone", async || (host.event(&raw).await == (true, false)).then_some(())).await;
    let expected = [
        (&held_event, true),
        (&legal_event, true),
        (&open_event, false),
        (&closed_event, false),
        (&raw, false),
        (&queued, true),
        (&quarantined, false),
    ];
    for (event, has_body) in expected {
        assert_eq!(host.event(event).await, (true, has_body), "{event}");
    }
    let shown = host.get(&format!("/api/events/{raw}")).await;
    assert!(shown["body_removed"]["reason"].as_str().unwrap().contains("retention.payloads"), "{shown}");
    let (status, refused) = host.call(Method::POST, &format!("/api/events/{raw}/replay"), "").await;
    assert!(
        status == 409 && refused["error"]["message"].as_str().unwrap().contains("removed by retention"),
        "{refused}"
    );
    assert_eq!(host.rows().await, counted(&folder));
    // An event that had to stay goes when its reason ends.
    host.patch(&held, json!({"hold": false})).await;
    host.running.stop().await;
    let host = Shifted::start(&folder, 400).await;
    eventually("the payload is gone", async || (host.event(&held_event).await == (true, false)).then_some(())).await;
    assert_eq!(host.event(&legal_event).await, (true, true));
    host.running.stop().await;

    // 160 days later, the older audit entries of ended incidents are gone.
    let host = Shifted::restart(&folder, 240).await;
    let closed_trail = format!("/api/incidents/{closed}/audit");
    eventually("the audit entry is gone", async || {
        (host.get(&closed_trail).await["data"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    let newest = &host.get(&closed_trail).await["data"][0];
    assert_eq!((&newest["object"]["notes"][0]["text"], &newest["operation"]), (&json!("done"), &json!("Update")));
    for (incident, entries) in [(&open, 1), (&legal, 2), (&held, 3)] {
        let trail = host.get(&format!("/api/incidents/{incident}/audit")).await;
        assert_eq!(trail["data"].as_array().unwrap().len(), entries, "{incident}");
    }
    host.running.stop().await;

    // 240 days later, nothing is left but what had to stay.
    let host = Shifted::restart(&folder, 0).await;
    for path in [format!("/api/events/{raw}"), format!("/api/incidents/{closed}"), format!("/api/incidents/{held}")] {
        host.when_gone(&path).await;
    }
    assert!(!host.exists(&closed_trail).await);
    for event in [&open_event, &closed_event, &held_event, &quarantined] {
        assert_eq!(host.event(event).await, (false, false), "{event}");
    }
    assert_eq!((host.event(&legal_event).await, host.event(&queued).await), ((true, true), (true, true)));
    assert!(host.exists(&format!("/api/incidents/{open}")).await);
    let deliveries = host.get(&format!("/api/deliveries?incident={legal}")).await;
    assert_eq!(deliveries["data"].as_array().unwrap().len(), 2, "{deliveries}");
    let rows = eventually("the pass has ended", async || {
        let rows = host.rows().await;
        (rows == counted(&folder) && rows["incidents"] == 5).then_some(rows)
    })
    .await;
    assert_eq!(rows["audit"], 6);
    eventually("the removed incidents are counted", async || {
        (host.metric("retention_removed_rows_total{kind=\"incidents\"}").await == 2.0).then_some(())
    })
    .await;
    assert_eq!(host.metric("store_rows{kind=\"incidents\"}").await, 5.0);
    eventually("the end of the pass is shown", async || {
        (host.metric("retention_last_done_timestamp_seconds").await > 0.0).then_some(())
    })
    .await;
    host.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_ahead_removes_nothing() {
    let folder = Folder::new(&format!("retention: {{ payloads: 90d, events: 90d }}\n{SOURCES}"));
    let host = Shifted::start(&folder, 0).await;
    let event = host.post("raw", "one").await["event_id"].as_str().unwrap().to_owned();
    host.clock.shift_ms(365 * DAY_MS);
    host.post("raw", "two").await;
    assert_eq!(host.get("/api/storage").await["retention"][1]["due_rows"], 1, "by the clock the event is old");
    let passes = "retention_passes_total{result=\"clock\"}";
    eventually("a pass after the jump", async || (host.metric(passes).await >= 1.0).then_some(())).await;
    assert_eq!(host.event(&event).await, (true, true));
    host.running.stop().await;
}

/// Makes a folder with events of 100 days ago, one of them of an incident with a hold. Returns its id.
async fn with_old_events(config: &str, count: usize) -> (Folder, String) {
    let folder = Folder::new(&format!("{config}\n{SOURCES}")).with("returns", &guest("returns"));
    let host = Shifted::start(&folder, 100).await;
    let (event, incident) = host.post_incident("held").await;
    host.patch(&incident, json!({"hold": true})).await;
    for index in 0..count {
        host.post("raw", format!("{index} {}", "x".repeat(3_000))).await;
    }
    host.running.stop().await;
    (folder, event)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prune_shows_and_removes_beside_a_host_and_may_be_killed() {
    let (folder, held) = with_old_events("", 400).await;
    let host = folder.start().await;
    let answer = host.post("raw", "new").await;
    let new = answer.event_id();
    let (done, text, errors) = folder.run(&["prune", "--older-than", "90d", "--dry-run"]);
    assert!(done, "{errors}");
    let row = text.lines().find(|line| line.contains("payloads")).unwrap_or_else(|| panic!("{text}"));
    assert!(row.contains("400") && text.contains("WOULD GO") && text.contains("would free about 1"), "{text}");
    assert_eq!(host.list("/api/events?limit=1000").await.len(), 402);
    // Killed again and again, the command never leaves a half of an event.
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut left = 402;
    for round in 0.. {
        assert!(Instant::now() < deadline, "{left} events are left");
        let mut child = folder.hookmill(&["prune", "--older-than", "90d"]).stdout(Stdio::null()).spawn().unwrap();
        // A little later each time, so that the first kill that meets writes meets the first ones.
        tokio::time::sleep(Duration::from_millis(20 + 3 * round)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let events = host.list("/api/events?limit=1000").await;
        assert!(events.len() <= left, "{} events after {left}", events.len());
        left = events.len();
        assert!(events.iter().any(|event| event["id"] == held.as_str()), "the held event");
        assert!(events.iter().any(|event| event["id"] == new), "the new event");
        if left < 300 {
            break;
        }
    }
    let (done, text, errors) = folder.run(&["prune", "--older-than", "90d"]);
    // On a busy machine the last command may have removed all before it was killed.
    assert!(done && (text.contains("REMOVED") || left == 2), "{text}{errors}");
    assert_eq!(host.list("/api/events?limit=1000").await.len(), 2);
    assert!(!host.get(&format!("/api/events/{held}")).await["body"].is_null());
    assert!(folder.run(&["prune", "--older-than", "90d"]).1.contains("nothing is old enough"));
    let (done, _, errors) = folder.run(&["prune", "--older-than", "90d", "--vacuum"]);
    assert!(!done && errors.contains("in use by another hookmill"), "{errors}");
    host.kill();
    let host = folder.start().await;
    assert_eq!(host.list("/api/events").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_command_does_not_migrate_the_database_of_a_host_that_runs() {
    let (folder, _) = with_old_events("", 1).await;
    let host = folder.start().await;
    let disk = Connection::open(folder.path(DATABASE)).unwrap();
    let version: u32 = disk.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let commands: [&[&str]; 3] =
        [&["prune", "--older-than", "90d"], &["token", "list"], &["token", "create", "--scope", "read"]];
    disk.pragma_update(None, "user_version", version - 1).unwrap();
    for command in commands {
        let (done, text, errors) = folder.run(command);
        let expected = format!("uses version {} of the database's schema", version - 1);
        assert!(!done && errors.contains(&expected), "{command:?}: {text}{errors}");
        assert!(errors.contains("upgrade the host first, or stop it"), "{command:?}: {errors}");
    }
    disk.pragma_update(None, "user_version", version).unwrap();
    for command in commands {
        let (done, _, errors) = folder.run(command);
        assert!(done, "{command:?}: {errors}");
    }
    drop(host);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn space_goes_back_to_the_disk() {
    let (folder, _) = with_old_events("", 600).await;
    let size = || std::fs::metadata(folder.path(DATABASE)).unwrap().len();
    let full = size();
    let mut host = folder.start().await;
    host.post("raw", "new").await;
    assert!(folder.run(&["prune", "--older-than", "90d"]).0);
    host.terminate();
    host.end().await;
    assert!(size() < full * 3 / 4, "{} of {full} bytes", size());
    // A database of an earlier version, which gives nothing back.
    {
        let disk = Connection::open(folder.path(DATABASE)).unwrap();
        disk.execute_batch("PRAGMA journal_mode = delete; PRAGMA auto_vacuum = 0; VACUUM").unwrap();
    }
    let mut host = folder.start().await;
    assert_eq!(host.get("/api/storage").await["gives_back"], false);
    host.terminate();
    host.end().await;
    let (done, text, errors) = folder.run(&["prune", "--vacuum"]);
    assert!(done && text.starts_with("the database had"), "{text}{errors}");
    // As a command that was killed leaves it.
    let left = ["data/hookmill.db.copy", "data/hookmill.db.copy-journal"].map(|name| folder.path(name));
    left.iter().for_each(|file| std::fs::write(file, "a part").unwrap());
    let host = folder.start().await;
    assert!(!left.iter().any(|file| file.exists()), "the parts of a copy take space");
    assert_eq!(host.get("/api/storage").await["gives_back"], true);
    assert_eq!(host.list("/api/events").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_prune_and_loses_nothing() {
    let (folder, _) = with_old_events("", 100).await;
    let mut host = folder.start().await;
    host.post("raw", "new").await;
    // A file that may not grow is like a full disk, if the signal is ignored.
    let limited = |arguments: &str| {
        let program = folder.hookmill(&[]);
        let script = format!("trap '' XFSZ; ulimit -f 128; exec \"$0\" prune {arguments}");
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", &script]).arg(program.get_program()).current_dir(folder.path("")).env_clear();
        let output = shell.output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (done, errors) = limited("--older-than 90d");
    assert!(!done && errors.contains("stays removed"), "{errors}");
    assert_eq!(host.post("raw", "another").await.status, 202);
    assert_eq!(host.list("/api/events?limit=1000").await.len(), 103);
    host.terminate();
    host.end().await;
    let (done, errors) = limited("--vacuum");
    assert!(!done && errors.contains("the database is unchanged"), "{errors}");
    assert!(!folder.path("data/hookmill.db.copy").exists());
    let host = folder.start().await;
    assert_eq!(host.list("/api/events?limit=1000").await.len(), 103);
}

#[tokio::test]
async fn ages_that_cannot_work_are_refused() {
    for (retention, expected) in [
        ("{ payloads: 2y, events: 1y }", "`retention.payloads` is longer than `retention.events`"),
        ("{ audit: never, incidents: 1y }", "`retention.audit` is longer than `retention.incidents`"),
        ("{ events: soon }", "`soon` is not an age"),
    ] {
        let refusal = Folder::new(&format!("retention: {retention}\n{SOURCES}")).refusal();
        assert!(refusal.contains(expected), "expected `{expected}` in: {refusal}");
    }
    let folder = Folder::new(SOURCES);
    folder.start().await;
    let (done, _, errors) = folder.run(&["prune"]);
    assert!(!done && errors.contains("keeps everything"), "{errors}");
}
