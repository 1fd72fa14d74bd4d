//! Limits on plugins, each tested with a guest that exceeds it.

use crate::guest::{guest, guest_in, wit};
use crate::host::{Folder, eventually};
use crate::outcome::{incident, returns};
use hookmill_sdk::testing::outcome_json;
use hookmill_sdk::{Field, Incident};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A guest, the body of its payload, the resulting code, and texts that the message contains.
const FAILURES: &[(&str, &str, &str, &str)] = &[
    ("loops", "x", "deadline_exceeded", "longer than 300 ms"),
    ("sleeps", "x", "deadline_exceeded", "longer than 300 ms"),
    (
        "grows",
        "a body of more than sixty bytes, so that four MiB and these are more than 64",
        "memory_exceeded",
        "64 MiB",
    ),
    (
        "talks",
        "a body of more than sixty-four bytes, so that 64 KiB for each of them are more than 4 MiB",
        "output_too_large",
        "output_mib",
    ),
    ("panics", "x", "trapped", "its log ends with: panicked at mapper.rs:7:9: | the id is missing"),
    ("traps", "x", "trapped", "unreachable"),
    ("recurses", "x", "trapped", "stack"),
    ("exits", "x", "trapped", "exit"),
    ("hoards", "x", "trapped", "exceeds limit"),
];

/// Builds the guest of a row of [`FAILURES`].
fn failing(name: &str) -> Vec<u8> {
    match name {
        "sleeps" | "exits" | "hoards" => guest_in(name, "wasi"),
        _ => guest(name),
    }
}

#[tokio::test]
async fn exceeding_a_limit_gives_its_code() {
    let sources: String = FAILURES.iter().map(|(name, ..)| format!("  {name}: {{ scheme: none }}\n")).collect();
    let brief = "{ deadline_ms: 300 }";
    let mut folder = Folder::new(&format!("plugins: {{ loops: {brief}, sleeps: {brief} }}\nsources:\n{sources}"));
    for (name, ..) in FAILURES {
        folder = folder.with(name, &failing(name));
    }
    let host = folder.start().await;
    for &(name, body, code, words) in FAILURES {
        let answer = host.post(name, body).await;
        assert_eq!((answer.status, answer.status_word()), (202, "queued"), "{name}: {answer:?}");
        let message = answer.body["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{name} 1.0: ")), "{message}");
        if code == "deadline_exceeded" {
            assert!(message.ends_with("attempt 1 of 3"), "{message}");
        }
        let event = host.event_when(answer.event_id(), |event| event["status"] == "quarantined").await;
        assert_eq!(event["error"]["code"], code, "{name}: {event}");
        assert!(event["error"]["message"].as_str().unwrap().contains(words), "{name}: {event}");
        assert_eq!(event["attempts"], if code == "deadline_exceeded" { 3 } else { 1 }, "{name}");
        let listed = host.list(&format!("/api/events?status=quarantined&code={code}&source={name}")).await;
        assert_eq!(listed.len(), 1, "{name}: {listed:?}");
    }
    eventually("the metric", async || (host.metric("quarantined_events").await == FAILURES.len() as f64).then_some(()))
        .await;
}

#[tokio::test]
async fn limits_can_be_set_per_plugin() {
    let folder = Folder::new(
        "limits: { deadline_ms: 20000, incidents: 3 }
plugins:
  brisk: { deadline_ms: 50 }
  small: { memory_mib: 16 }
  wide: { memory_mib: 200 }
  brief: { output_mib: 2 }
  few: { incidents: 2 }
  many: { incidents: 101 }
sources:
  lab: { scheme: none }
  brisk: { scheme: none }
  small: { scheme: none }
  usual: { scheme: none }
  wide: { scheme: none }
  brief: { scheme: none }
  few: { scheme: none }
  three: { scheme: none }
  many: { scheme: none }",
    )
    .with("brisk", &guest("loops"))
    .with("small", &guest("grows"))
    .with("usual", &guest("grows"))
    .with("wide", &guest("grows"))
    .with("brief", &guest("talks"))
    .with("few", &guest("returns"))
    .with("three", &guest("returns"))
    .with("many", &guest("returns"));
    let host = folder.start().await;
    let bytes = |count: usize| vec![b'x'; count];
    let incidents = |count: usize| {
        let incidents: Vec<Value> = (0..count).map(|index| json!({"source-ref": index.to_string()})).collect();
        returns(&json!({"incidents": incidents}))
    };
    for (source, body, expected) in [
        ("brisk", bytes(1), "deadline_exceeded: brisk 1.0: the call took longer than 50 ms"),
        ("small", bytes(12), "mapped"),
        ("small", bytes(13), "memory_exceeded: small 1.0: the call needs more than 16 MiB of memory"),
        ("usual", bytes(60), "mapped"),
        ("usual", bytes(61), "memory_exceeded: usual 1.0: the call needs more than 64 MiB of memory"),
        ("wide", bytes(196), "mapped"),
        ("wide", bytes(197), "memory_exceeded: wide 1.0: the call needs more than 200 MiB of memory"),
        ("brief", bytes(24), "mapped"),
        ("brief", bytes(33), "output_too_large: brief 1.0: the call passes more than `output_mib` to the host"),
        ("few", incidents(2), "mapped"),
        ("few", incidents(3), "partial: the mapper returned 3 incidents; the first 2 are taken, 1 are left out: `2`"),
        ("three", incidents(3), "mapped"),
        ("three", incidents(4), "partial: the mapper returned 4 incidents; the first 3 are taken, 1 are left out: `3`"),
        ("many", incidents(101), "mapped"),
    ] {
        let answer = host.post(source, body).await;
        let event = host.event_when(answer.event_id(), |event| event["status"] != "queued").await;
        let came_to = match event["error"].as_object() {
            None if event["message"].is_string() => {
                format!("{}: {}", event["status"].as_str().unwrap(), event["message"].as_str().unwrap())
            }
            None => event["status"].as_str().unwrap().to_owned(),
            Some(error) => format!("{}: {}", error["code"].as_str().unwrap(), error["message"].as_str().unwrap()),
        };
        assert_eq!(came_to, expected, "{source}");
    }
}

/// Invalid incidents, and data that only a broken mapper returns.
#[tokio::test]
async fn returned_data_is_checked() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: returns } }").with("returns", &guest("returns"));
    let host = folder.start().await;
    let observable =
        |kind: &str, value: &str| json!({"source-ref": "a", "observables": [{"data-type": kind, "value": value}]});
    let long = |bytes: usize| "x".repeat(bytes);
    let cases = [
        (json!({"source-ref": ""}), "invalid_incident", "source-ref"),
        (json!({"source-ref": long(512)}), "", ""),
        (json!({"source-ref": long(513)}), "invalid_incident", "source-ref has 513 bytes"),
        // A wrong value costs that value.
        (json!({"source-ref": "a", "title": ""}), "partial", "title has 0 bytes"),
        (json!({"source-ref": "a", "title": long(512)}), "", ""),
        (json!({"source-ref": "a", "title": long(513)}), "partial", "title has 513 bytes"),
        (json!({"source-ref": "a", "tags": [""]}), "partial", "a tag has 0 bytes"),
        (json!({"source-ref": "a", "tags": [long(128)]}), "", ""),
        (json!({"source-ref": "a", "tags": [long(129)]}), "partial", "a tag has 129 bytes"),
        (observable("", "10.0.0.1"), "partial", "data-type"),
        (observable("IP", "10.0.0.1"), "partial", "data-type"),
        (observable("ip", ""), "partial", "empty value"),
        (observable("made_up-1", "10.0.0.1"), "", ""),
        (json!({"source-ref": "a", "occurred-at": "yesterday"}), "partial", "occurred-at: `yesterday`"),
        (json!({"source-ref": "a", "occurred-at": "2026-02-30T10:00:00Z"}), "partial", "occurred-at"),
        (json!({"source-ref": "a", "occurred-at": "9999-12-31T23:59:59Z"}), "partial", "occurred-at"),
        (json!({"source-ref": "a", "changed-at": "1969-12-31T23:59:59Z"}), "partial", "changed-at"),
        (json!({"source-ref": "a", "occurred-at": "1970-01-01T00:00:00Z"}), "", ""),
        // Invalid data at the component boundary: invalid text, unknown discriminants, pointers outside the memory.
        (json!({"source-ref": [0x20_0000 - 64, 4]}), "", ""),
        (json!({"source-ref": "a", "severity": 5}), "trapped", "discriminant"),
        (json!({"source-ref": "a", "tlp": 200}), "trapped", "discriminant"),
        (json!({"source-ref": [0x40_0000, 4]}), "trapped", "out of bounds"),
        (json!({"source-ref": [0xffff_fff0_u32, 0xffff_u32]}), "trapped", "out of bounds"),
        (json!({"source-ref": "a", "title": [0, 0x4000_0000]}), "trapped", "out of bounds"),
    ];
    for (said, expected, words) in cases {
        let answer = host.post("lab", incident(said.clone())).await;
        let event = host.get(&format!("/api/events/{}", answer.event_id())).await;
        let found = match event["status"].as_str() {
            Some("mapped") => "",
            Some("partial") => "partial",
            _ => event["error"]["code"].as_str().unwrap(),
        };
        assert_eq!(found, expected, "{said}: {event}");
        assert_eq!(answer.body["incidents"].is_array(), matches!(expected, "" | "partial"), "{answer:?}");
        assert!(event["message"].as_str().unwrap_or_default().contains(words), "{said}: {event}");
    }
    // Text that is not UTF-8, and a list that is longer than the memory
    let mut body = incident(json!({"source-ref": "a", "title": "@@@@"}));
    let at = body.windows(4).position(|bytes| bytes == b"@@@@").unwrap();
    body[at] = 0xff;
    let mut endless = incident(json!({"source-ref": "a"}));
    endless[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut result_of_no_kind = returns(&json!({}));
    result_of_no_kind[0] = 7;
    for (body, words) in [(body, "utf-8"), (endless, ""), (result_of_no_kind, "discriminant")] {
        let answer = host.post("lab", body).await;
        let event = host.get(&format!("/api/events/{}", answer.event_id())).await;
        assert_eq!(event["error"]["code"], "trapped", "{event}");
        assert!(event["message"].as_str().unwrap().contains(words), "{event}");
    }
    // One unusable incident or value harms no neighbour.
    let mixed = [
        json!({"source-ref": "good"}),
        json!({"source-ref": ""}),
        json!({"source-ref": "late", "title": "kept", "occurred-at": "2026-02-30T00:00:00Z"}),
    ];
    let answer = host.post("lab", returns(&json!({"incidents": mixed}))).await;
    assert_eq!((answer.status_word(), answer.body["incidents"].as_array().unwrap().len()), ("accepted", 2));
    let event = host.get(&format!("/api/events/{}", answer.event_id())).await;
    assert_eq!((&event["status"], &event["error"]), (&json!("partial"), &Value::Null), "{event}");
    let message = event["message"].as_str().unwrap();
    assert!(message.contains("incident 2 of 3: source-ref") && message.contains("incident `late`: "), "{message}");
    let late = host.list("/api/incidents?source_ref=late").await;
    assert_eq!((&late[0]["title"], &late[0]["occurred_at"]), (&json!("kept"), &Value::Null));
}

/// A detail that is nested deeper than readers of JSON accept is stored as text, and everything that shows the
/// incident works.
#[tokio::test]
async fn deeply_nested_details_stay_readable() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: returns } }").with("returns", &guest("returns"));
    let host = folder.start().await;
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let details = json!({"deep": nested(126), "flat": nested(64)});
    let answer = host.post("lab", incident(json!({"source-ref": "a", "details": details}))).await;
    let path = format!("/api/incidents/{}", answer.body["incident_id"].as_str().unwrap());
    for _ in 0..2 {
        let shown = host.get(&path).await;
        assert_eq!(shown["details"]["deep"], nested(126));
        assert!(shown["details"]["flat"].is_array(), "{shown}");
        assert_eq!(host.list("/api/incidents").await.len(), 1);
        assert!(!host.list(&format!("{path}/audit")).await.is_empty());
        let changed = host.call(Method::PATCH, &path, json!({"severity": "low"}).to_string()).await;
        assert_eq!(changed.status, 200, "{changed:?}");
    }
}

/// The Rust SDK is complete in itself, so that its tests of mappers have the rule a second time.
#[tokio::test]
async fn details_are_stored_as_the_tests_of_the_rust_sdk_show_them() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: returns } }").with("returns", &guest("returns"));
    let host = folder.start().await;
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let mut texts =
        ["7.10", "7.1", "1e3", "-0", "x", "\"x\"", "true", " [1] ", "{\"a\": [1]}"].map(String::from).to_vec();
    texts.extend([63, 64, 65, 127, 128, 200].map(nested));
    let details: Vec<Field> =
        (10..).zip(texts).map(|(number, value)| Field { name: format!("detail{number}"), value }).collect();
    let sent: BTreeMap<_, _> = details.iter().map(|Field { name, value }| (name, value)).collect();
    let answer = host.post("lab", incident(json!({"source-ref": "a", "details": sent}))).await;
    let stored = host.get(&format!("/api/incidents/{}", answer.body["incident_id"].as_str().unwrap())).await;
    let shown = outcome_json(&Ok(Incident { details, ..Incident::new("a") }.into()));
    assert_eq!(stored["details"], shown["incidents"][0]["details"]);
}

#[tokio::test]
async fn a_reused_instance_ends_after_n_events_or_the_first_error() {
    let folder = Folder::new(
        "plugins: { counts: { instances: reuse(3) }, random: { instances: reuse(100) } }
sources: { counts: { scheme: none, plugin: counts }, random: { scheme: none } }",
    )
    .with("counts", &guest("counts"))
    .with("random", &guest_in("random", "wasi"));
    let host = folder.start().await;
    // The number of earlier events in the instance that maps this one.
    let mut number = 0;
    let mut count = async |kind: &str| {
        number += 1;
        let answer = host.post("counts", format!("{kind}{number}")).await;
        match answer.body["incident_id"].as_str() {
            Some(id) => host.get(&format!("/api/incidents/{id}")).await["source_ref"].as_str().unwrap().to_owned(),
            None => host.get(&format!("/api/events/{}", answer.event_id())).await["error"]["code"].to_string(),
        }
    };
    let mut counts = Vec::new();
    for kind in ["a", "a", "a", "a", "t", "a", "g", "a"] {
        counts.push(count(kind).await);
    }
    assert_eq!(counts, ["0", "1", "2", "0", "\"trapped\"", "0", "1", "0"]);
    // Each event has its own limits, also in an instance that mapped others.
    let (one, two) = (host.post("random", "x").await, host.post("random", "y").await);
    assert_ne!(one.body["incident_id"], two.body["incident_id"]);
}

#[tokio::test]
async fn instances_share_nothing_and_mapping_is_deterministic() {
    let folder = Folder::new(
        "sources:
           counts: { scheme: none }
           random: { scheme: none }
           clock: { scheme: none }
           floods: { scheme: none }",
    )
    .with("counts", &guest("counts"))
    .with("random", &guest_in("random", "wasi"))
    .with("clock", &guest_in("clock", "wasi"))
    .with("floods", &guest("floods"));
    let host = folder.start().await;
    for index in 0..5 {
        let answer = host.post("counts", format!("event {index}")).await;
        assert_eq!(answer.body["incidents"][0]["created"], index == 0, "each instance counts from 0: {answer:?}");
    }
    assert_eq!(host.get("/api/incidents?source=counts").await["data"][0]["source_ref"], "0");

    // The clock shows the event's `received-at`, and random numbers come from its id.
    for source in ["clock", "random"] {
        let answer = host.post(source, "x").await;
        let another = eventually("another result", async || {
            let another = host.post(source, crate::outcome::returns(&json!({}))).await;
            (another.body["incident_id"] != answer.body["incident_id"]).then_some(another)
        })
        .await;
        for answer in [answer, another] {
            let replayed = host.call(Method::POST, &format!("/api/events/{}/replay", answer.event_id()), "").await;
            assert_eq!(replayed.body["incidents"][0]["id"], answer.body["incident_id"], "{source}: {replayed:?}");
            assert_eq!(replayed.body["incidents"][0]["created"], false);
            if source == "clock" {
                let event = host.get(&format!("/api/events/{}", answer.event_id())).await;
                let received_at: jiff::Timestamp = event["received_at"].as_str().unwrap().parse().unwrap();
                let incident =
                    host.get(&format!("/api/incidents/{}", answer.body["incident_id"].as_str().unwrap())).await;
                // The guest spells the seconds as letters, the lowest four bits first.
                let spelled = incident["source_ref"].as_str().unwrap().bytes().rev();
                let seconds = spelled.fold(0, |seconds, letter| seconds << 4 | i64::from(letter - b'a'));
                assert_eq!(seconds, received_at.as_second());
            }
        }
    }

    // Too much log output is cut; the event is mapped.
    assert_eq!(host.post("floods", "x").await.status_word(), "accepted");
    host.logs("9900 further lines were dropped").await;
    assert_eq!(host.log().matches("a guest").count(), 100);
}

/// Go makes such modules. They get the adapter of the engine.
#[tokio::test]
async fn modules_for_wasi_preview_1_are_adapted_and_their_clock_runs() {
    let folder = Folder::new("sources: { preview1: { scheme: none } }").with("preview1", &guest("preview1"));
    let host = folder.start().await;
    assert_eq!(host.post("preview1", "x").await.status_word(), "accepted");
    assert_eq!(host.get("/api/incidents?source=preview1").await["data"][0]["source_ref"], "1");
}

/// Hanging calls of some plugins do not keep another plugin's events from being mapped.
#[tokio::test]
async fn bad_plugins_do_not_delay_others() {
    let folder = Folder::new(
        "plugins: { loops: { deadline_ms: 1000 }, sleeps: { deadline_ms: 1000 } }
limits: { instances: 8, deadline_ms: 20000 }
sources:
  good: { scheme: none, plugin: echo }
  loops: { scheme: none }
  sleeps: { scheme: none }",
    )
    .with("echo", &guest("echo"))
    .with("loops", &guest("loops"))
    .with("sleeps", &guest_in("sleeps", "wasi"));
    let host = folder.start().await;
    let mut bad = tokio::task::JoinSet::new();
    for index in 0..16 {
        for source in ["loops", "sleeps"] {
            bad.spawn(crate::host::send(host.webhook(source).body(format!("{index}"))));
        }
    }
    let mut good = 0;
    while !bad.is_empty() {
        let answer = host.post("good", format!("{good}")).await;
        assert_eq!((answer.status, answer.status_word()), (202, "accepted"), "{answer:?}");
        good += 1;
        while let Some(answer) = bad.try_join_next() {
            let answer = answer.unwrap().unwrap();
            assert_eq!((answer.status, answer.status_word()), (202, "queued"), "{answer:?}");
        }
    }
    // The hanging calls take a second or two. If good events had to wait for them, only a few would be mapped.
    assert!(good > 10, "only {good} good events were mapped while the bad events hung");
    assert_eq!(host.list("/api/incidents").await.len(), good);
}

/// A released version of the interface does not change.
#[test]
fn the_released_interface_is_unchanged() {
    use sha2::{Digest, Sha256};
    let wit = wit();
    let package = wit.lines().find_map(|line| line.strip_prefix("package ")?.strip_suffix(';')).unwrap();
    let changes = std::fs::read_to_string(crate::guest::project("wit/CHANGES.md")).unwrap();
    let digest = hex::encode(Sha256::digest(&wit));
    let row = changes.lines().find(|line| line.starts_with(&format!("| `{package}` |")));
    let row = row.unwrap_or_else(|| panic!("wit/CHANGES.md must have a row for {package}"));
    assert!(row.contains(&digest), "plugin.wit has {digest} and another version's number; {row}");
}
