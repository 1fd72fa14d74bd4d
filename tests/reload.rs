//! Plugins that are added, replaced, broken and removed while the host runs.

use crate::guest::{echo, guest};
use crate::host::{Folder, SECRET};
use crate::load::Load;
use reqwest::Method;
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

fn lab() -> Folder {
    Folder::new(&format!("sources: {{ lab: {{ secret: {SECRET}, plugin: echo }} }}"))
}

#[tokio::test]
async fn a_plugin_replaced_under_load_loses_nothing() {
    let folder = lab().with("echo", &echo("1.0"));
    let host = folder.start().await;
    let load = Load::start(&host, "lab", "x");
    for round in 0..12 {
        let version = format!("{}.{}", 1 + round / 10, (1 + round) % 10);
        if round % 3 == 2 {
            // Overwritten in place and in pieces, with an incomplete file for a while.
            let bytes = echo(&version);
            let mut file = File::create(folder.plugin("echo")).unwrap();
            for piece in bytes.chunks(bytes.len() / 4 + 1) {
                file.write_all(piece).unwrap();
                load.pass(40).await;
            }
        } else {
            folder.put("echo", &echo(&version));
        }
        host.plugin_when("echo", |plugin| plugin["version"] == version.as_str() && plugin["error"].is_null()).await;
        load.pass(100).await;
    }
    let sent = load.end().await;
    for sent in &sent {
        let answer = sent.answer.as_ref().unwrap();
        assert_eq!((answer.status, answer.status_word()), (202, "accepted"), "{}: {answer:?}", sent.body);
    }
    let incidents = host.list("/api/incidents?limit=1000").await;
    assert_eq!(incidents.len(), sent.len());
    let mut versions: Vec<&str> =
        incidents.iter().map(|incident| incident["plugin"]["version"].as_str().unwrap()).collect();
    versions.sort_unstable();
    versions.dedup();
    assert!(versions.len() >= 12, "only {versions:?} mapped anything");
}

#[tokio::test]
async fn a_broken_version_does_not_replace_a_working_one() {
    let folder = lab().with("echo", &echo("1.0"));
    let host = folder.start().await;
    let live = host.plugin_when("echo", |plugin| plugin["state"] == "loaded").await;
    let newer = echo("1.1");
    for (broken, words) in [
        (&b"not a plugin"[..], "not a WebAssembly binary"),
        (&newer[..newer.len() - 10], ""),
        (&guest("shy")[..], "unreachable"),
        (&[][..], "not a WebAssembly binary"),
    ] {
        folder.put_old("echo", broken);
        let refused = host
            .plugin_when("echo", |plugin| plugin["error"].as_str().is_some_and(|error| error.contains(words)))
            .await;
        let of_live = |name: &str| (refused[name].clone(), live[name].clone());
        for name in ["state", "version", "sha256", "loaded_at"] {
            let (now, before) = of_live(name);
            assert_eq!(now, before, "{name}: {refused}");
        }
        assert_eq!(host.signed("lab", format!("under {words} {}", broken.len())).await.status_word(), "accepted");
        // The good version in between, so that the next broken file gives a new error.
        folder.put("echo", &echo("1.0"));
        host.plugin_when("echo", |plugin| plugin["error"].is_null()).await;
    }
    host.logs("echo.wasm refused; the previous version stays live: ").await;
    folder.put("echo", &newer);
    host.plugin_when("echo", |plugin| plugin["version"] == "1.1").await;
}

/// A plugin whose file is missing for a moment stays loaded. After a longer absence, its events wait.
#[tokio::test]
async fn a_removed_plugin_unloads_after_a_while_and_comes_back() {
    let folder = lab().with("echo", &echo("1.0"));
    let host = folder.start().await;
    let aside = folder.path("aside");
    for index in 0..20 {
        fs::rename(folder.plugin("echo"), &aside).unwrap();
        assert_eq!(host.signed("lab", format!("meanwhile {index}")).await.status_word(), "accepted");
        fs::rename(&aside, folder.plugin("echo")).unwrap();
    }
    assert_eq!(host.metric("plugin_reloads_total{plugin=\"echo\",result=\"removed\"}").await, 0.0);

    fs::rename(folder.plugin("echo"), &aside).unwrap();
    crate::host::eventually("the plugin is unloaded", async || {
        host.list("/api/plugins").await.is_empty().then_some(())
    })
    .await;
    let waiting = host.signed("lab", "waiting").await;
    assert_eq!(waiting.body["message"], "plugin `echo` is not loaded");
    fs::rename(&aside, folder.plugin("echo")).unwrap();
    let event = host.event_when(waiting.event_id(), |event| event["status"] == "mapped").await;
    assert_eq!(
        (&event["attempts"], &event["error"]),
        (&json!(1), &json!(null)),
        "waiting must not count as an attempt: {event}"
    );
}

#[tokio::test]
async fn a_late_or_replaced_plugins_folder_is_watched() {
    let folder = lab();
    fs::remove_dir(folder.path("plugins")).unwrap();
    let host = folder.start().await;
    let early = host.signed("lab", "early").await;
    assert_eq!(early.status_word(), "queued");

    fs::create_dir(folder.path("plugins")).unwrap();
    folder.put("echo", &echo("1.0"));
    host.event_when(early.event_id(), |event| event["status"] == "mapped").await;

    fs::create_dir(folder.path("next")).unwrap();
    fs::write(folder.path("next/echo.wasm"), echo("1.1")).unwrap();
    fs::rename(folder.path("plugins"), folder.path("former")).unwrap();
    fs::rename(folder.path("next"), folder.path("plugins")).unwrap();
    host.plugin_when("echo", |plugin| plugin["version"] == "1.1").await;
    folder.put("echo", &echo("1.2"));
    host.plugin_when("echo", |plugin| plugin["version"] == "1.2").await;
}

/// An event whose first plugin is missing is left alone until that plugin comes: neither mapped nor written again.
#[tokio::test]
async fn events_that_wait_for_a_plugin_cause_no_writes() {
    let sources = "sources: { lab: { scheme: none, plugin: [late, echo] }, other: { scheme: none, plugin: none } }";
    let folder = Folder::new(sources).with("echo", &echo("1.0"));
    let host = folder.start().await;
    let waiting = host.post("lab", "waiting").await;
    assert_eq!(waiting.status_word(), "queued", "{waiting:?}");
    // A change of the plugins makes the host look at the events that wait.
    folder.put("echo", &echo("1.1"));
    host.plugin_when("echo", |plugin| plugin["version"] == "1.1").await;
    let writes = async || host.metric("store_commit_batch_size_sum").await;
    let before = writes().await;
    const PAYLOADS: usize = 200;
    for index in 0..PAYLOADS {
        assert_eq!(host.post("other", format!("{index}")).await.status, 202);
    }
    let others = writes().await - before - PAYLOADS as f64;
    assert!(others < 20.0, "{others} writes beside those of the payloads");
    folder.put("late", &guest("echo"));
    host.event_when(waiting.event_id(), |event| event["status"] == "mapped").await;
}

/// Quarantined events are mapped when a repaired version is loaded, and a repeat gets the new answer.
#[tokio::test]
async fn a_repaired_plugin_maps_quarantined_events() {
    let folder = Folder::new(
        "sources:
           lab: { scheme: none, plugin: mender }
           chain: { scheme: none, plugin: [returns, mender] }
           refused: { scheme: none, plugin: returns }",
    )
    .with("mender", &guest("traps"))
    .with("returns", &guest("returns"));
    let host = folder.start().await;
    let trapped = host.post("lab", "to be mended").await;
    let unsupported = crate::outcome::returns(&json!({"unsupported": "not mine"}));
    let passed_on = host.post("chain", unsupported.clone()).await;
    let refused = host.post("refused", unsupported).await;
    let discarded = host.post("lab", "to be discarded").await;
    let discarding = host.call(Method::POST, &format!("/api/events/{}/discard", discarded.event_id()), "").await;
    assert_eq!(discarding.status_word(), "discarded");
    assert_eq!((trapped.status_word(), passed_on.status_word(), refused.status), ("queued", "queued", 422));

    folder.put("mender", &guest("echo"));
    for event in [&trapped, &passed_on] {
        let event = host.event_when(event.event_id(), |event| event["status"] == "mapped").await;
        assert_eq!((&event["error"], &event["attempts"]), (&json!(null), &json!(2)));
    }
    let repeat = host.post("lab", "to be mended").await;
    assert_eq!((repeat.status_word(), &repeat.body["duplicate"]), ("accepted", &json!(true)), "{repeat:?}");
    assert_eq!(host.get(&format!("/api/events/{}", refused.event_id())).await["attempts"], 1, "nothing new for it");
    assert_eq!(host.get(&format!("/api/events/{}", discarded.event_id())).await["status"], "discarded");
    let replayed = host.call(Method::POST, &format!("/api/events/{}/replay", discarded.event_id()), "").await;
    assert_eq!(replayed.status, 409);
}

/// An event that waits for its plugin is mapped as soon as that comes, also while many others leave the quarantine.
#[tokio::test]
async fn queued_events_do_not_wait_for_the_quarantine() {
    const QUARANTINED: usize = 1_000;
    let sources = "sources: { lab: { scheme: none, plugin: mender }, other: { scheme: none, plugin: late } }";
    let folder = Folder::new(sources).with("mender", &guest("traps"));
    let host = folder.start().await;
    for index in 0..QUARANTINED {
        assert_eq!(host.post("lab", format!("{index}")).await.status_word(), "queued");
    }
    let waiting = host.post("other", "waiting").await;
    let quarantined = async || host.metric("quarantined_events").await as usize;
    assert_eq!(quarantined().await, QUARANTINED);

    folder.put("mender", &guest("echo"));
    crate::host::eventually("events leave the quarantine", async || (quarantined().await < QUARANTINED).then_some(()))
        .await;
    folder.put("late", &guest("echo"));
    host.event_when(waiting.event_id(), |event| event["status"] == "mapped").await;
    assert!(quarantined().await > 0, "the event waited for all others");
}

/// `plugin: auto`: the plugin with the source's name, else every loaded one, `generic` last, the last match first.
#[tokio::test]
async fn auto_finds_the_mapper_that_fits() {
    let folder = Folder::new("sources: { lab: { scheme: none }, named: { scheme: none } }")
        .with("a-returns", &guest("returns"))
        .with("generic", &guest("echo"))
        .with("named", &guest("echo"))
        .with("z-returns", &guest("returns"));
    let host = folder.start().await;
    let mapped_by = async |source: &str, outcome| {
        let answer = host.post(source, crate::outcome::returns(&outcome)).await;
        let event = host.get(&format!("/api/events/{}", answer.event_id())).await;
        let tried: Vec<String> = event["tried"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tried| tried.as_str().unwrap().split_once('@').unwrap().0.to_owned())
            .collect();
        tried
    };
    assert_eq!(mapped_by("named", json!({})).await, ["named"]);
    assert_eq!(mapped_by("lab", json!({"unsupported": "x"})).await, ["a-returns", "named"]);
    assert_eq!(mapped_by("lab", json!({})).await, ["named"], "the mapper that fitted last must be called first");
    fs::remove_file(folder.plugin("named")).unwrap();
    crate::host::eventually("the plugin is unloaded", async || {
        (host.list("/api/plugins").await.len() == 3).then_some(())
    })
    .await;
    assert_eq!(mapped_by("lab", json!({"unsupported": "x"})).await, ["a-returns", "z-returns", "generic"]);
}

/// With `plugin: auto`, a mapper that answers `malformed` or with an empty result passes the payload on, and the sender
/// gets no list of plugins.
#[tokio::test]
async fn auto_passes_on_what_a_mapper_cannot_read() {
    let mut folder = Folder::new("sources: { lab: { scheme: none }, other: { scheme: none } }");
    for index in 1..=12 {
        folder = folder.with(&format!("m{index:02}"), &guest("returns"));
    }
    let host = folder.start().await;
    let sent = async |source: &str, outcome: serde_json::Value| {
        let answer = host.post(source, crate::outcome::returns(&outcome)).await;
        let event = host.get(&format!("/api/events/{}", answer.event_id())).await;
        (answer, event)
    };
    for code in ["malformed", "unsupported"] {
        let (answer, event) = sent("lab", json!({code: "not mine"})).await;
        assert_eq!((answer.status, answer.error_code()), (422, "unmappable_payload"));
        assert_eq!(answer.body["error"]["message"], "none of the 12 mappers called can read the payload");
        let message = event["message"].as_str().unwrap();
        assert_eq!((&event["error"]["code"], event["tried"].as_array().unwrap().len()), (&json!(code), 12));
        assert!(message.contains("m01 1.0: not mine; m02") && message.ends_with("; and 9 more"), "{message}");
    }
    let (answer, event) = sent("other", json!({})).await;
    assert_eq!((answer.status_word(), event["tried"].as_array().unwrap().len()), ("ignored", 12), "{event}");
    // A mapper with an empty result does not count as the one that fits: the others are called too.
    folder.put("generic", &echo("1.0"));
    host.plugin_when("generic", |plugin| plugin["state"] == "loaded").await;
    let (answer, event) = sent("other", json!({})).await;
    assert_eq!((answer.status_word(), event["tried"].as_array().unwrap().len()), ("accepted", 13), "{event}");
}

/// Folders that other users can write to are refused; the host's own files are private.
#[tokio::test]
async fn folders_that_others_can_write_to_are_refused() {
    let mode = |folder: &Folder, path: &str, mode: u32| {
        fs::set_permissions(folder.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    for (path, bits) in [("plugins", 0o770), ("plugins", 0o707), ("data", 0o770), ("data", 0o777)] {
        let folder = lab().with("echo", &echo("1.0"));
        fs::create_dir_all(folder.path(path)).unwrap();
        mode(&folder, path, bits);
        let refusal = folder.refusal();
        assert!(refusal.contains("other users can write in") && refusal.contains("chmod go-w"), "{refusal}");
    }
    let folder = lab().with("echo", &echo("1.0"));
    let host = folder.start().await;
    let bits = |path: &str| fs::metadata(folder.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((bits("data"), bits("data/compiled")), (0o700, 0o700));
    for entry in fs::read_dir(folder.path("data")).unwrap().chain(fs::read_dir(folder.path("data/compiled")).unwrap()) {
        let path = entry.unwrap().path();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert!(path.is_dir() || mode & 0o777 == 0o600, "{} has mode {mode:o}", path.display());
    }
    // If a folder becomes writable for others, loaded plugins stay and no new file is loaded.
    mode(&folder, "plugins", 0o777);
    folder.put("echo", &echo("6.6"));
    host.logs("other users can write in").await;
    assert_eq!(host.list("/api/plugins").await[0]["version"], "1.0");
    mode(&folder, "plugins", 0o700);
    host.plugin_when("echo", |plugin| plugin["version"] == "6.6").await;
}

/// Compiled code is reused after a restart, unless it was changed.
#[tokio::test]
async fn compiled_plugins_are_cached_and_checked() {
    let folder = lab().with("echo", &echo("1.0"));
    folder.start().await.kill();
    let entry = fs::read_dir(folder.path("data/compiled")).unwrap().next().unwrap().unwrap().path();
    let compiled = fs::read(&entry).unwrap();

    folder.start().await.kill();
    assert_eq!(fs::read(&entry).unwrap(), compiled);
    OpenOptions::new().append(true).open(&entry).unwrap().write_all(b"more").unwrap();
    let host = folder.start().await;
    assert_eq!(host.signed("lab", "x").await.status_word(), "accepted");
    assert_eq!(fs::read(&entry).unwrap(), compiled, "what was changed was compiled anew");

    // The two newest versions of a plugin are kept.
    for version in ["1.1", "1.2"] {
        assert!(entry.exists());
        folder.put("echo", &echo(version));
        host.plugin_when("echo", |plugin| plugin["version"] == version).await;
    }
    crate::host::eventually("the oldest entry is gone", async || (!entry.exists()).then_some(())).await;
    assert_eq!(fs::read_dir(folder.path("data/compiled")).unwrap().count(), 2);

    // No compiled code of a removed plugin is kept, whether its file is removed while the host runs or between two runs.
    let entries = || fs::read_dir(folder.path("data/compiled")).unwrap().count();
    folder.put("other", &echo("1.0"));
    host.plugin_when("other", |plugin| plugin["state"] == "loaded").await;
    assert_eq!(entries(), 3);
    fs::remove_file(folder.plugin("other")).unwrap();
    crate::host::eventually("its entry is gone", async || (entries() == 2).then_some(())).await;
    drop(host);
    fs::rename(folder.plugin("echo"), folder.plugin("renamed")).unwrap();
    let host = folder.start().await;
    host.plugin_when("renamed", |plugin| plugin["state"] == "loaded").await;
    crate::host::eventually("the entries of the former name are gone", async || (entries() == 1).then_some(())).await;
}
