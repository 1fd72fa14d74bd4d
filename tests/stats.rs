//! Counts by time, and the space that the store uses.

use crate::guest::guest;
use crate::host::{ADMIN_TOKEN, Folder, eventually};
use crate::outcome::{incident, returns};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CONFIG: &str = "
sources:
  lab: { scheme: none, plugin: returns }
  signed: { secret: a-secret-of-the-tests-only, plugin: none }
  late: { scheme: none, plugin: late }
destinations: { lines: { type: file, path: lines.jsonl } }
notifications: [{ name: all, trigger: any, notify: [{ to: lines }] }]
";

/// Returns the totals of all series, as `kind name result`.
fn totals(stats: &Value) -> BTreeMap<String, u64> {
    let series = stats["series"].as_array().unwrap().iter();
    let total = |series: &Value| {
        let counts = series["counts"].as_array().unwrap();
        assert_eq!(counts.len(), stats["times"].as_array().unwrap().len());
        let sum: u64 = counts.iter().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(series["total"], sum);
        let word = |name: &str| series[name].as_str().unwrap().to_owned();
        (format!("{} {} {}", word("kind"), word("name"), word("result")), sum)
    };
    series.map(total).collect()
}

#[tokio::test]
async fn everything_that_happens_is_counted_by_time() {
    let folder = Folder::new(CONFIG).with("returns", &guest("returns"));
    let host = folder.start().await;
    for (reference, severity) in [("a", "high"), ("b", "high"), ("c", "low")] {
        host.post("lab", incident(json!({"source-ref": reference, "severity": severity}))).await;
    }
    host.post("lab", returns(&json!({"incidents": []}))).await;
    host.post("lab", returns(&json!({"malformed": "no"}))).await;
    assert_eq!(host.post("signed", "unsigned").await.status, 401);
    let queued = host.post("late", "waits").await;
    assert_eq!(host.post("late", "waits").await.body["duplicate"], true);
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for (series, count) in [
        ("payloads lab received", 5),
        ("payloads lab mapped", 3),
        ("payloads lab ignored", 1),
        ("payloads lab quarantined", 1),
        ("payloads signed received", 1),
        ("payloads signed refused", 1),
        ("payloads late received", 2),
        ("payloads late queued", 1),
        ("payloads late duplicate", 1),
        ("incidents lab high", 2),
        ("incidents lab low", 1),
        ("deliveries lines delivered", 3),
    ] {
        expected.insert(series.to_owned(), count);
    }
    for step in ["minute", "hour", "day"] {
        let path = format!("/api/stats?step={step}&from={}", jiff_hours_ago(23));
        eventually(&format!("all counts by {step}"), async || {
            let found = totals(&host.get(&path).await);
            (found == expected).then_some(())
        })
        .await;
    }
    // An event that is mapped later is counted then, too. A restart keeps the counts.
    folder.put("late", &guest("echo"));
    host.event_when(queued.event_id(), |event| event["status"] == "mapped").await;
    host.kill();
    let host = folder.start().await;
    let found = totals(&host.get("/api/stats?kind=payloads&name=late").await);
    assert_eq!(found.get("payloads late mapped"), Some(&1), "{found:?}");
    assert_eq!(found.len(), 4, "{found:?}");
    let (shown, text, errors) = folder.run(&["stats", "--url", &host.url, "--token", ADMIN_TOKEN]);
    assert!(shown && text.contains("quarantined") && text.contains('█'), "{text}{errors}");
    for (query, expected) in [
        ("step=week", "expected one of: minute, hour, day"),
        ("step=minute&from=2020-01-01T00:00:00Z", "buckets are too many"),
        ("from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z", "`from` must be before `to`"),
        ("unknown=1", "unknown parameter"),
    ] {
        let refused = host.call(Method::GET, &format!("/api/stats?{query}"), "").await;
        let message = refused.body["error"]["message"].as_str().unwrap().to_owned();
        assert!(refused.status == 400 && message.contains(expected), "{query}: {message}");
    }
}

/// Returns a time some hours ago.
fn jiff_hours_ago(hours: i64) -> String {
    let seconds = crate::host::unix_s() as i64 - hours * 3600;
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

#[tokio::test]
async fn a_disk_that_becomes_too_small_is_notified_once_until_it_is_large_enough() {
    let config = |mib: u32| {
        format!(
            "limits: {{ free_disk_mib: {mib}, deadline_ms: 20000 }}\n{}",
            CONFIG.replace("trigger: any", "trigger: storage_low")
        )
    };
    let folder = Folder::new(&config(100_000_000));
    let lines = || std::fs::read_to_string(folder.path("lines.jsonl")).unwrap_or_default();
    let host = folder.start_listening().await;
    host.logs("becomes too small").await;
    eventually("the notification", async || lines().contains("should be").then_some(())).await;
    let storage = host.get("/api/storage").await;
    assert_eq!(storage["disk_free_bytes_min"], 100_000_000_u64 * 1024 * 1024);
    // A delivery whose result is not recorded is repeated after a kill.
    host.settled("/api/deliveries").await;
    host.kill();
    // A restart does not repeat it.
    let host = folder.start_listening().await;
    assert_eq!(host.post("late", "something").await.status, 202);
    eventually("a look at the space", async || {
        let (_, metrics) = host.get_open("/metrics").await;
        metrics.contains("store_rows{kind=\"events\"} 1").then_some(())
    })
    .await;
    assert_eq!(lines().lines().count(), 1, "{}", lines());
    host.kill();
    folder.configure(&config(1));
    let host = folder.start().await;
    host.logs("large enough again").await;
    host.kill();
    folder.configure(&config(100_000_000));
    let host = folder.start_listening().await;
    eventually("another notification", async || (lines().lines().count() == 2).then_some(())).await;
    drop(host);
}

#[tokio::test]
async fn the_used_space_is_shown_by_kind() {
    let folder = Folder::new(&format!("retention: {{ payloads: 1d, events: 90d }}\n{CONFIG}"));
    let host = folder.start().await;
    for body in ["one", "two", "three"] {
        host.post("late", body).await;
    }
    let connection = ["--url", &host.url, "--token", ADMIN_TOKEN];
    let (shown, text, errors) = folder.run(&[&["storage"], &connection[..]].concat());
    assert!(shown, "{errors}");
    let row = |kind: &str| -> Vec<&str> {
        let line = text.lines().find(|line| line.starts_with(kind)).unwrap_or_else(|| panic!("{kind}: {text}"));
        line.split_whitespace().collect()
    };
    let (payloads, events) = (row("payloads"), row("events"));
    assert_eq!((&payloads[..4], &payloads[5..]), (&["payloads", "3", "11", "bytes"][..], &["1d", "0"][..]), "{text}");
    assert_eq!((&events[..2], &events[events.len() - 2..]), (&["events", "3"][..], &["90d", "0"][..]), "{text}");
    for word in ["database ", "log ", "growth ", "are free; at least 64 MiB should be"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let (shown, json, errors) = folder.run(&[&["storage", "--json"], &connection[..]].concat());
    assert!(shown, "{errors}");
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["stored"][0]["rows"], 3);
}
