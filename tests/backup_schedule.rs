//! Backups that a host makes at intervals.

use crate::backup::{private, run};
use crate::host::{Folder, eventually};
use crate::receiver::Receiver;
use serde_json::{Value, json};

fn backups(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path("backups")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with("hookmill-"));
    names.sort();
    names
}

#[tokio::test]
async fn the_newest_backups_are_kept_and_failures_are_reported_once() {
    let operators = Receiver::start([]).await;
    let folder = Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: none }} }}
backup: {{ every: 1s, keep: 2, to: backups, passphrase_file: passphrase }}
destinations: {{ operators: {{ type: webhook, format: standard-webhooks, url: \"{}\", allow_networks: [127.0.0.0/8] }} }}
notifications: [{{ name: failed, trigger: backup_failed, notify: [{{ to: operators }}] }}]",
        operators.url
    ));
    // Without the folder or the passphrase the host does not start.
    private(&folder, "passphrase", "a passphrase of the tests");
    assert!(folder.refusal().contains("make the folder of the backups"));
    std::fs::create_dir(folder.path("backups")).unwrap();
    std::fs::remove_file(folder.path("passphrase")).unwrap();
    assert!(folder.refusal().contains("passphrase"));
    private(&folder, "passphrase", "a passphrase of the tests");
    // A file of this name that is cut off is not counted, and not removed.
    std::fs::write(folder.path("backups/hookmill-20200101T000000Z.tar"), "cut off").unwrap();

    let host = folder.start().await;
    host.post("lab", "one").await;
    let first = eventually("a backup", async || {
        let names = backups(&folder);
        (names.len() > 1).then(|| names[1].clone())
    })
    .await;
    eventually("the first backup is removed", async || (!folder.path("backups").join(&first).exists()).then_some(()))
        .await;
    let names = backups(&folder);
    assert!(names.len() <= 4 && names[0] == "hookmill-20200101T000000Z.tar", "{names:?}");
    let state = host.get("/api/backups").await;
    assert_eq!(
        (&state["schedule"]["every"], &state["schedule"]["keep"], &state["last_failure"]),
        (&json!(1), &json!(2), &Value::Null)
    );
    let last = &state["last_success"];
    assert!(last["bytes"].as_u64().unwrap() > 100_000 && last["duration_ms"].is_u64(), "{state:#}");
    assert!(host.metric("backup_last_success_timestamp_seconds").await > 1.7e9);
    assert!(host.metric("backup_size_bytes").await > 100_000.0);
    assert!(host.metric("backup_duration_seconds").await > 0.0);

    // A streak of failures is one notice. On a busy machine a backup may be late before.
    let blocked = || {
        let notices = operators.received().into_iter().map(|received| received.body);
        notices.filter(|notice| notice.to_string().contains("is not a folder")).collect::<Vec<_>>()
    };
    assert_eq!(blocked().len(), 0);
    std::fs::write(folder.path("backups/blocker"), "").unwrap();
    eventually("the work folder is blocked", async || {
        std::fs::rename(folder.path("backups/blocker"), folder.path("backups/.hookmill-backup")).ok()
    })
    .await;
    eventually("failures", async || (host.metric("backup_failures_total").await >= 3.0).then_some(())).await;
    let notice = eventually("a notice", async || blocked().pop()).await;
    assert_eq!(notice["type"], "backup.failed", "{notice}");
    let object = &notice["data"]["object"];
    assert!(object["last_success_at"].is_string() && object["to"].as_str().unwrap().ends_with("backups"), "{object}");
    assert!(host.get("/api/backups").await["last_failure"]["error"].is_string());
    let kept = backups(&folder);
    assert!(kept.len() >= 3, "failures remove nothing: {kept:?}");
    std::fs::remove_file(folder.path("backups/.hookmill-backup")).unwrap();
    eventually("a success", async || host.get("/api/backups").await["last_failure"].is_null().then_some(())).await;
    assert_eq!(blocked().len(), 1);

    // A backup of the schedule can be verified, and the newest one is known after a restart.
    let newest = format!("backups/{}", backups(&folder).pop().unwrap());
    std::fs::copy(folder.path(&newest), folder.path("b.tar")).unwrap();
    let (whole, _, errors) = run(&folder, &["verify", "b.tar"]);
    assert!(whole, "{errors}");
    host.kill();
    folder.configure("backup: { every: 7d, to: backups, without_keys: true }");
    let host = folder.start().await;
    let state = host.get("/api/backups").await;
    assert!(state["last_success"]["at"].is_string() && state["last_success"]["duration_ms"].is_null(), "{state:#}");
}

#[tokio::test]
async fn a_backup_that_does_not_end_in_time_is_reported() {
    let operators = Receiver::start([]).await;
    let folder = Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: none }} }}
destinations: {{ operators: {{ type: http, url: \"{}\", allow_networks: [127.0.0.0/8], body: '{{\"text\": {{{{json object.error}}}}}}' }} }}
notifications: [{{ name: failed, trigger: backup_failed, notify: [{{ to: operators }}] }}]\n",
        operators.url
    ));
    let host = folder.start().await;
    for index in 0..6 {
        assert_eq!(host.post("lab", format!("{index} {}", "x".repeat(1_000_000))).await.status, 202);
    }
    host.kill();
    folder.append("backup: { every: 1s, to: ., without_keys: true, rate_mib: 1 }");
    let mut host = folder.start().await;
    let text = operators.wait_for(1).await[0].body["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("no backup was completed since "), "{text}");
    // Stopping does not wait for the backup.
    host.terminate();
    assert_eq!(host.end().await.code(), Some(0));
    assert!(!host.log().contains("stopped before all requests"), "{}", host.log());
}

#[tokio::test]
async fn a_schedule_says_what_seals_the_key() {
    let folder = Folder::new("backup: { every: 1h, to: . }");
    assert!(folder.refusal().contains("set one of passphrase_file, key_file and without_keys"));
    folder.configure("backup: { every: 1h, to: ., key_file: missing }");
    assert!(folder.refusal().contains("missing"));
    folder.configure("");
    let host = folder.start().await;
    assert_eq!(host.get("/api/backups").await["schedule"], Value::Null);
}

#[test]
fn the_command_names_the_keys_of_a_schedule() {
    let folder = Folder::new("");
    let (made, _, errors) = folder.run(&["backup", "--every", "2h", "--to", "/backups"]);
    assert!(
        !made && errors.contains("`backup: { every: 2h, keep: 24, to: /backups, passphrase_file: FILE }`"),
        "{errors}"
    );
    let (_, help, _) = folder.run(&["backup", "--help"]);
    assert!(help.contains("backup: { every: 1h, keep: 24, to: /backups, passphrase_file: "), "{help}");
    let (made, _, errors) = folder.run(&["backup"]);
    assert!(!made && errors.contains("<FILE>") && !errors.contains("--every"), "{errors}");
}
