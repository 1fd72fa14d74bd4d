//! New versions of mappers: checked before they go live, refused, promoted, rolled back; and events mapped again.

use crate::guest::{at_version, echo, guest, guest_of_kind};
use crate::host::{ADMIN_TOKEN, Folder, Host, SECRET};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;

fn lab(more: &str) -> Folder {
    Folder::new(&format!("{more}\nsources: {{ lab: {{ secret: {SECRET}, plugin: echo }} }}")).with("echo", &echo("1.0"))
}

/// Builds a version that traps on every call.
fn broken(version: &str) -> Vec<u8> {
    at_version(guest("traps"), version)
}

async fn version_is(host: &Host<'_>, version: &str) -> Value {
    host.plugin_when("echo", |plugin| plugin["version"] == version && plugin["state"] == "loaded").await
}

async fn refused(host: &Host<'_>, words: &str) -> Value {
    host.plugin_when("echo", |plugin| plugin["error"].as_str().is_some_and(|error| error.contains(words))).await
}

async fn change_live(host: &Host<'_>, action: &str) -> (u16, Value) {
    let answer = host.call(Method::POST, &format!("/api/plugins/echo/{action}"), "").await;
    (answer.status, answer.body)
}

fn cli(folder: &Folder, host: &Host, arguments: &[&str]) -> (bool, String, String) {
    let connection = ["--url", &host.url, "--token", ADMIN_TOKEN];
    folder.run(&[arguments, &connection].concat())
}

#[tokio::test]
async fn a_version_that_newly_fails_goes_live_only_by_promote() {
    let folder = lab("");
    let host = folder.start().await;
    for body in ["one", "two"] {
        assert_eq!(host.signed("lab", body).await.status_word(), "accepted");
    }
    folder.put("echo", &broken("2.0"));
    let plugin = refused(&host, "newly fails on 2 of 2 payloads").await;
    assert_eq!(plugin["version"], "1.0");
    assert!(plugin["error"].as_str().unwrap().contains("unreachable"), "the reason must be shown: {plugin}");
    assert_eq!(host.signed("lab", "three").await.status_word(), "accepted");

    let shown = host.get("/api/plugins/echo").await;
    let versions = shown["versions"].as_array().unwrap();
    let find = |version: &str| versions.iter().find(|row| row["version"] == version).unwrap();
    assert_eq!((&find("1.0")["state"], &find("2.0")["state"]), (&json!("accepted"), &json!("refused")));
    assert!(find("1.0")["live_since"].is_string() && find("2.0")["live_since"].is_null());
    let report = &find("2.0")["report"];
    assert_eq!((&report["passed"], &report["against"]["version"]), (&json!(false), &json!("1.0")));
    let failing = &report["newly_failing"];
    assert_eq!((&failing["count"], &failing["payloads"][0]["source"]), (&json!(2), &json!("lab")));
    let (success, output, errors) = cli(&folder, &host, &["plugin", "diff", "echo"]);
    assert!(!success && output.contains("newly failing: ") && output.contains("trapped: "), "{output}{errors}");
    drop(host);

    // The live version is live again after a restart, although its file is gone.
    let host = folder.start().await;
    assert_eq!(refused(&host, "newly fails on").await["version"], "1.0");
    assert_eq!(host.signed("lab", "four").await.status_word(), "accepted");

    let (success, output, errors) = cli(&folder, &host, &["plugin", "promote", "echo"]);
    assert!(success && output.contains("echo 2.0 is live"), "{output}{errors}");
    version_is(&host, "2.0").await;
    let failed = host.signed("lab", "five").await;
    assert_eq!(failed.status_word(), "queued");
    drop(host);

    let host = folder.start().await;
    version_is(&host, "2.0").await;
    let (status, live) = change_live(&host, "rollback").await;
    assert_eq!((status, &live["version"]), (200, &json!("1.0")), "{live}");
    // Events that failed on one version are mapped by the other.
    let event = host.event_when(failed.event_id(), |event| event["status"] == "mapped").await;
    assert_eq!(event["attempts"], 2);
    assert_eq!(change_live(&host, "rollback").await.0, 409, "there is none before it");
    drop(host);

    let host = folder.start().await;
    assert_eq!(refused(&host, "held back since a rollback").await["version"], "1.0");
    // Another file ends the hold.
    folder.put("echo", &echo("3.0"));
    version_is(&host, "3.0").await;
    assert_eq!(change_live(&host, "rollback").await.1["version"], "1.0");
    assert_eq!(change_live(&host, "promote").await.1["version"], "3.0");
    assert_eq!(host.call(Method::POST, "/api/plugins/nobody/promote", "").await.status, 404);
}

#[tokio::test]
async fn plugin_diff_shows_what_a_file_would_change() {
    let folder = lab("");
    let host = folder.start().await;
    for body in ["one", "another"] {
        host.signed("lab", body).await;
    }
    let diff = |name: &str, bytes: Vec<u8>| {
        let file = folder.path(name);
        fs::write(&file, bytes).unwrap();
        cli(&folder, &host, &["plugin", "diff", "echo", file.to_str().unwrap(), "--json"])
    };
    let (success, output, errors) = diff("same.wasm", echo("1.1"));
    assert!(success, "{errors}");
    let report: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&report["same"], &report["payloads"]), (&json!(2), &json!(2)), "{report}");

    let (success, output, errors) = diff("changed.wasm", at_version(guest("counts"), "1.1"));
    assert!(success, "what changed may be meant: {errors}");
    let report: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&report["changed"]["count"], &report["passed"]), (&json!(2), &json!(true)));
    let change = &report["changed"]["payloads"][0]["fields"][0];
    assert_eq!(change["path"], "/incidents/0/source_ref");
    assert_eq!((&change["before"], &change["after"]), (&json!("another"), &json!("0")));

    assert!(!diff("broken.wasm", broken("1.1")).0);
    let (success, _, errors) = diff("none.wasm", b"no plugin".to_vec());
    assert!(!success && errors.contains("not a WebAssembly binary"), "{errors}");
    assert_eq!(host.list("/api/plugins").await[0]["version"], "1.0", "nothing went live");
}

#[tokio::test]
async fn samples_in_the_plugins_folder_are_checked_too() {
    let folder = Folder::new(&format!("sources: {{ lab: {{ secret: {SECRET}, plugin: echo }} }}"));
    fs::create_dir(folder.path("plugins/echo.samples")).unwrap();
    fs::write(folder.path("plugins/echo.samples/alert.json"), "{}").unwrap();
    let folder = folder.with("echo", &broken("1.0"));
    let host = folder.start().await;
    let plugin = refused(&host, "alert.json").await;
    assert_eq!(plugin["state"], "refused");
    let waits = host.signed("lab", "x").await;
    assert_eq!(waits.status_word(), "queued");
    folder.put("echo", &echo("1.1"));
    host.event_when(waits.event_id(), |event| event["status"] == "mapped").await;
}

/// A plugin may quote a sample. A sample must not reveal another file, nor its own content to tokens of scope `read`.
#[tokio::test]
async fn results_of_samples_need_scope_admin() {
    use crate::outcome::returns;
    use std::os::unix::fs::symlink;
    let folder = Folder::new("");
    let (success, text, errors) = folder.run(&["token", "create", "--scope", "read", "--name", "reader"]);
    assert!(success, "{errors}");
    let read = text.lines().find(|line| line.starts_with("hm_")).unwrap().trim().to_owned();
    let samples = folder.path("plugins/echo.samples");
    fs::create_dir(&samples).unwrap();
    fs::write(samples.join("a.json"), returns(&json!({"malformed": "words of a sample"}))).unwrap();
    fs::write(folder.path("outside.json"), returns(&json!({"malformed": "words of another file"}))).unwrap();
    symlink(folder.path("outside.json"), samples.join("b.json")).unwrap();
    let folder = folder.with("echo", &guest("returns"));
    let host = folder.start().await;
    let plugin = refused(&host, "newly fails on 1 of 1 payloads; first a.json of echo; ").await;
    assert_eq!(plugin["state"], "refused");
    host.logs("a sample is not used: b.json is a link").await;
    let reason = async |token: &str| {
        let request = host.client.get(format!("{}/api/plugins/echo", host.url)).bearer_auth(token);
        let shown = crate::host::send(request).await.unwrap().body;
        let failing = &shown["versions"][0]["report"]["newly_failing"];
        assert_eq!((&failing["count"], &failing["payloads"][0]["payload"]), (&json!(1), &json!("a.json")));
        failing["payloads"][0]["reason"].clone()
    };
    assert_eq!(reason(&read).await, Value::Null);
    assert!(reason(ADMIN_TOKEN).await.as_str().unwrap().contains("words of a sample"));
    assert!(!host.log().contains("words of"), "{}", host.log());

    let get = async |token: &str, path: &str| {
        let request = host.client.get(format!("{}/api/plugins/echo/samples{path}", host.url)).bearer_auth(token);
        let answer = crate::host::send(request).await.unwrap();
        (answer.status, answer.body)
    };
    assert_eq!(get(ADMIN_TOKEN, "").await, (200, json!({"data": ["a.json", "b.json"], "next_cursor": null})));
    let (status, sample) = get(ADMIN_TOKEN, "/a.json").await;
    assert_eq!((status, &sample["body"]["encoding"], &sample["context"]), (200, &json!("utf-8"), &json!([])));
    assert_eq!(sample["headers"], json!([{"name": "content-type", "value": "application/json"}]));
    assert!(sample["body"]["data"].as_str().unwrap().contains("words of a sample"), "{sample}");
    let (status, refusal) = get(ADMIN_TOKEN, "/b.json").await;
    assert_eq!((status, &refusal["error"]["code"]), (409, &json!("conflict")));
    assert!(refusal["error"]["message"].as_str().unwrap().ends_with("b.json is a link"), "{refusal}");
    for path in ["/c.json", "/..%2F..%2Foutside.json", "/a.event.json"] {
        assert_eq!(get(ADMIN_TOKEN, path).await.0, 404, "{path}");
    }
    for path in ["", "/a.json"] {
        assert_eq!(get(&read, path).await.0, 403, "{path}");
    }
}

/// Only files that might go live are run for a comparison.
#[tokio::test]
async fn plugin_diff_runs_only_signed_files() {
    let folder = lab("");
    let (success, printed, errors) = folder.run(&["plugin", "sign", "--new-key", "signing.key"]);
    assert!(success, "{errors}");
    folder.append(printed.lines().find(|line| line.starts_with("plugins_key: ")).unwrap());
    let host = folder.start().await;
    fs::create_dir(folder.path("new")).unwrap();
    let file = folder.path("new/echo.wasm");
    let file = file.to_str().unwrap();
    fs::write(file, echo("2.0")).unwrap();
    let (success, _, errors) = cli(&folder, &host, &["plugin", "diff", "echo", file]);
    assert!(!success && errors.contains("echo.wasm.sig does not exist"), "{errors}");
    assert!(folder.run(&["plugin", "sign", file, "--key", "signing.key"]).0);
    let (success, output, errors) = cli(&folder, &host, &["plugin", "diff", "echo", file]);
    assert!(success && output.contains("may go live"), "{output}{errors}");
    fs::write(file, echo("3.0")).unwrap();
    let (success, _, errors) = cli(&folder, &host, &["plugin", "diff", "echo", file]);
    assert!(!success && errors.contains("does not match this file"), "{errors}");
    // Nor is a file run that was refused and is in the plugins folder.
    let refused = hex::encode(Sha256::digest(echo("1.0")));
    let body = json!({"body": "x", "version": refused}).to_string();
    let run = host.call(Method::POST, "/api/plugins/echo/run", body).await;
    let message = run.body["error"]["message"].as_str().unwrap();
    assert!(run.status == 409 && message.contains("echo.wasm.sig does not exist"), "{message}");
}

#[tokio::test]
async fn with_reload_immediate_a_version_is_not_checked() {
    let folder = lab("reload: immediate");
    let host = folder.start().await;
    host.signed("lab", "one").await;
    folder.put("echo", &broken("2.0"));
    version_is(&host, "2.0").await;
    assert_eq!(change_live(&host, "rollback").await.1["version"], "1.0");
}

#[tokio::test]
async fn a_dry_run_of_a_replay_changes_nothing() {
    let folder = lab("reload: immediate");
    let host = folder.start().await;
    let first = host.signed("lab", "one").await;
    let path = format!("/api/incidents/{}", first.body["incident_id"].as_str().unwrap());
    let before = host.get(&path).await;
    folder.put("echo", &at_version(guest("counts"), "2.0"));
    version_is(&host, "2.0").await;
    let (success, output, errors) = cli(&folder, &host, &["events", "replay", first.event_id(), "--dry-run"]);
    assert!(success && output.contains("would be mapped") && output.contains("a new incident"), "{output}{errors}");
    assert_eq!(host.get(&path).await, before);
    assert_eq!(host.list("/api/incidents").await.len(), 1);
    // The real replay makes a new incident, which names the plugin's version.
    let (success, _, errors) = cli(&folder, &host, &["events", "replay", first.event_id()]);
    assert!(success, "{errors}");
    let incidents = host.list("/api/incidents").await;
    assert_eq!((incidents.len(), &incidents[0]["plugin"]["version"]), (2, &json!("2.0")));
}

/// With a lock file or a key, only listed or signed plugins load; later changes of these files count.
#[tokio::test]
async fn only_locked_or_signed_plugins_load() {
    let folder = Folder::new("plugins_lock: plugins.lock").with("echo", &echo("1.0")).with("other", &echo("1.0"));
    let digest = |name: &str| {
        use sha2::{Digest, Sha256};
        hex::encode(Sha256::digest(fs::read(folder.plugin(name)).unwrap()))
    };
    let host = folder.start().await;
    refused(&host, "without the lock file").await;
    fs::write(folder.path("plugins.lock"), format!("{}  echo.wasm\n", "0".repeat(64))).unwrap();
    refused(&host, "lists another digest for echo.wasm").await;
    fs::write(folder.path("plugins.lock"), format!("{}  echo.wasm\n", digest("echo"))).unwrap();
    version_is(&host, "1.0").await;
    let other = host.plugin_when("other", |plugin| !plugin["error"].is_null()).await;
    assert!(other["error"].as_str().unwrap().contains("does not list other.wasm"), "{other}");
    // A replaced file does not go live.
    folder.put("echo", &echo("2.0"));
    assert_eq!(refused(&host, "lists another digest for echo.wasm").await["version"], "1.0");
    drop(host);

    let (success, printed, errors) = folder.run(&["plugin", "sign", "--new-key", "signing.key"]);
    assert!(success, "{errors}");
    let key = printed.lines().find(|line| line.starts_with("plugins_key: ")).unwrap();
    folder.configure(key);
    let host = folder.start().await;
    refused(&host, "echo.wasm.sig does not exist").await;
    // The signature of another plugin is not valid.
    let sign = |name: &str| {
        let file = folder.plugin(name);
        let (success, _, errors) = folder.run(&["plugin", "sign", file.to_str().unwrap(), "--key", "signing.key"]);
        assert!(success, "{errors}");
    };
    sign("other");
    fs::copy(folder.path("plugins/other.wasm.sig"), folder.path("plugins/echo.wasm.sig")).unwrap();
    refused(&host, "does not match this file, this name").await;
    sign("echo");
    version_is(&host, "2.0").await;
    folder.put("echo", &echo("3.0"));
    assert_eq!(refused(&host, "does not match this file").await["version"], "2.0");
}

/// A file that is not a plugin, or has another kind, leaves the previous version live, also after a restart.
#[tokio::test]
async fn an_unloadable_file_leaves_the_previous_version_live_after_a_restart() {
    let folder = lab("");
    let host = folder.start().await;
    version_is(&host, "1.0").await;
    host.kill();
    folder.put("echo", b"half of a fi");
    let host = folder.start().await;
    assert_eq!(refused(&host, "not a WebAssembly binary").await["version"], "1.0");
    assert_eq!(host.signed("lab", "one").await.status_word(), "accepted");
    folder.put("echo", &guest_of_kind("judges", "playbook"));
    assert_eq!(refused(&host, "the file is a playbook").await["kind"], "mapper");
    assert_eq!(change_live(&host, "rollback").await.0, 409, "there is nothing to go back to");
    assert_eq!(host.signed("lab", "two").await.status_word(), "accepted");
}

/// The first version of a mapper is checked too, on stored payloads that another mapper maps.
#[tokio::test]
async fn a_first_version_is_checked_on_stored_payloads() {
    let folder = Folder::new("sources: { lab: { scheme: none } }").with("generic", &echo("1.0"));
    let host = folder.start().await;
    assert_eq!(host.post("lab", "one").await.status_word(), "accepted");
    folder.put("another", &guest("returns"));
    host.plugin_when("another", |plugin| plugin["state"] == "loaded" || !plugin["error"].is_null()).await;
    let shown = host.get("/api/plugins/another").await;
    assert!(shown["error"].as_str().is_some_and(|error| error.contains("newly fails")), "it breaks on `one`: {shown}");
}
