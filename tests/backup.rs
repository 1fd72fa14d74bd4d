//! Backups of a running host, and what a host restored from one does and does not do.

use crate::guest::{echo, guest};
use crate::host::{ADMIN_TOKEN, Folder, Host, SECRET, eventually, send, signed, unix_s};
use crate::load::Load;
use crate::outcome::incident;
use crate::receiver::{Receiver, Reply};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

const PASSPHRASE: &str = "a passphrase of the tests";

/// Writes a file that only its owner can read.
pub fn private(folder: &Folder, name: &str, text: &str) {
    let path = folder.path(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Runs `hookmill` with the passphrase.
pub fn run(folder: &Folder, arguments: &[&str]) -> (bool, String, String) {
    private(folder, "passphrase", PASSPHRASE);
    folder.run(&[arguments, &["--passphrase-file", "passphrase"]].concat())
}

/// Runs `hookmill` with the passphrase, which must succeed, and returns its JSON.
pub fn json_of(folder: &Folder, arguments: &[&str]) -> Value {
    let (done, output, errors) = run(folder, &[arguments, &["--json"]].concat());
    assert!(done, "{arguments:?}: {errors}");
    serde_json::from_str(&output).unwrap()
}

/// Returns a folder that has only the configuration of another one and its backup `b.tar`, as on another machine.
pub fn other_machine(from: &Folder) -> Folder {
    let other = Folder::new("");
    for name in ["hookmill.yaml", "b.tar"] {
        std::fs::copy(from.path(name), other.path(name)).unwrap();
    }
    other
}

async fn ids(host: &Host<'_>, path: &str) -> Vec<Value> {
    host.list(path).await.iter().map(|row| row["id"].clone()).collect()
}

#[tokio::test]
async fn a_restored_host_has_everything_and_does_nothing_again() {
    let receiver = Receiver::start([Reply::Status(200), Reply::Status(500), Reply::Status(500)]).await;
    let folder = Folder::new(&format!(
        "sources: {{ lab: {{ scheme: none, plugin: returns, auto_triage: true, playbook: missing }} }}
webhooks: {{ soc: {{ url: \"{}\", allow_networks: [127.0.0.0/8], retry_schedule: [1h] }} }}",
        receiver.url
    ))
    .with("returns", &guest("returns"));
    let host = folder.start().await;
    let source = json!({"source": "registered", "secret": SECRET, "plugin": "none"}).to_string();
    assert_eq!(host.call(Method::POST, "/api/webhooks", source).await.status, 201);
    for reference in ["a", "b", "c"] {
        assert_eq!(host.post("lab", incident(json!({"source-ref": reference}))).await.status_word(), "accepted");
    }
    receiver.wait_for(3).await;
    eventually("all attempts are recorded", async || {
        let deliveries = host.list("/api/deliveries").await;
        deliveries.iter().all(|delivery| !delivery["attempts"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;

    let made = json_of(&folder, &["backup", "b.tar"]);
    assert_eq!(
        (&made["manifest"]["rows"]["events"], &made["manifest"]["keys"]),
        (&json!(3), &json!("sealed_with_passphrase"))
    );
    assert_eq!(std::fs::metadata(folder.path("b.tar")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!folder.path(".hookmill-backup").exists());
    assert_eq!(json_of(&folder, &["verify", "b.tar"])["whole"], true);
    let (events, incidents, before) =
        (ids(&host, "/api/events").await, host.list("/api/incidents").await, host.list("/api/deliveries").await);
    // Everything after the backup is lost with the machine.
    let lost = host.post("lab", incident(json!({"source-ref": "lost"}))).await;
    let lost_entry =
        host.list(&format!("/api/incidents/{}/audit", lost.body["incident_number"].as_str().unwrap())).await;
    let lost_position = lost_entry[0]["requestId"].as_str().unwrap().to_owned();
    receiver.wait_for(4).await;
    host.kill();

    let other = other_machine(&folder);
    let restored = json_of(&other, &["restore", "b.tar", "--with-plugins", "--skip-numbers", "50"]);
    assert_eq!((&restored["dead_deliveries"], &restored["ended_triages"]), (&json!(2), &json!(3)), "{restored:#}");
    assert_eq!((&restored["plugins"], &restored["warnings"]), (&json!(["returns"]), &json!([])));
    for name in ["hookmill.db", "secret.key", "store.mark"] {
        let mode = std::fs::metadata(other.path("data").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(!other.path("data/.restore").exists());

    let host = other.start().await;
    assert_eq!(ids(&host, "/api/events").await, events);
    for (now, then) in host.list("/api/incidents").await.iter().zip(&incidents) {
        assert_eq!(
            (&now["id"], &now["number"], &now["source_ref"]),
            (&then["id"], &then["number"], &then["source_ref"])
        );
        let triage = &now["triage"];
        assert_eq!(triage["status"], "skipped", "{triage}");
        assert!(triage["problems"][0].as_str().unwrap().starts_with("restored from a backup of "), "{triage}");
    }
    let after = host.list("/api/deliveries").await;
    assert_eq!(after.len(), before.len());
    for (now, then) in after.iter().zip(&before) {
        assert_eq!((&now["id"], &now["attempts"]), (&then["id"], &then["attempts"]));
        if then["status"] == "pending" {
            assert_eq!(now["status"], "dead");
            assert!(now["error"].as_str().unwrap().starts_with("restored from a backup of "), "{now}");
        } else {
            assert_eq!(now, then);
        }
    }
    assert_eq!(receiver.received().len(), 4, "nothing is sent again");

    // A source that was registered works with its secret.
    assert_eq!(host.signed("registered", "{}").await.status, 202);
    // A client whose position is of the lost time misses nothing, and numbers given then are not given again.
    let mut stream =
        host.request(Method::GET, "/api/stream").header("last-event-id", &lost_position).send().await.unwrap();
    let new = host.post("lab", incident(json!({"source-ref": "new"}))).await;
    assert!(new.body["incident_number"].as_str().unwrap().ends_with("-0054"), "{new:?}");
    let mut text = String::new();
    while !text.contains("\"new\"") {
        text += &String::from_utf8_lossy(&stream.chunk().await.unwrap().unwrap());
    }
    let of_lost_time: uuid::Uuid = lost.event_id().parse().unwrap();
    assert!(new.event_id().parse::<uuid::Uuid>().unwrap() > of_lost_time);
    // An operator can send what was not sent.
    let dead = after.iter().find(|delivery| delivery["status"] == "dead").unwrap()["id"].as_str().unwrap();
    let (retried, _, errors) = other.run(&["deliveries", "retry", dead, "--url", &host.url, "--token", ADMIN_TOKEN]);
    assert!(retried, "{errors}");
    let received = receiver.wait_for(6).await;
    assert!(received.iter().any(|received| received.header("webhook-id") == dead));
}

/// Backups that are made while events are stored hold everything that was acknowledged before.
#[tokio::test]
async fn a_backup_under_load_holds_what_was_acknowledged_before() {
    let folder =
        Folder::new(&format!("sources: {{ lab: {{ secret: {SECRET}, plugin: echo }} }}")).with("echo", &echo("1.0"));
    let host = folder.start().await;
    let load = Load::start(&host, "lab", "x");
    let mut known = Vec::new();
    for _ in 0..3 {
        load.pass(100).await;
        known = ids(&host, "/api/events?limit=1000").await;
        json_of(&folder, &["backup", "b.tar", "--rate-mib", "2"]);
    }
    load.pass(50).await;
    load.end().await;
    let stored = ids(&host, "/api/events?limit=1000").await.len();
    host.kill();
    // Without a host, what is only in the log of the database is backed up too.
    assert_eq!(json_of(&folder, &["backup", "c.tar"])["manifest"]["rows"]["events"], stored);
    let other = other_machine(&folder);
    json_of(&other, &["restore", "b.tar"]);
    let host = other.start().await;
    let restored: BTreeSet<String> = ids(&host, "/api/events?limit=1000").await.iter().map(Value::to_string).collect();
    assert!(known.len() >= 300 && known.iter().all(|id| restored.contains(&id.to_string())));
    // Every event has its incident.
    assert_eq!(ids(&host, "/api/incidents?limit=1000").await.len(), restored.len());
}

#[tokio::test]
async fn a_restore_replaces_no_data() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: none } }");
    let mut host = folder.start().await;
    host.post("lab", "one").await;
    json_of(&folder, &["backup", "b.tar"]);
    let refused = |text: &str| {
        let (done, _, errors) = run(&folder, &["restore", "b.tar"]);
        assert!(!done && errors.contains(text), "{errors}");
    };
    refused("in use by another hookmill");
    host.terminate();
    host.end().await;
    refused("a restore replaces no data");
    // The folder of a database that disappeared, and what a restore that was killed left behind.
    std::fs::remove_file(folder.path("data/hookmill.db")).unwrap();
    std::fs::create_dir(folder.path("data/.restore")).unwrap();
    std::fs::write(folder.path("data/.restore/hookmill.db"), "half").unwrap();
    assert!(folder.refusal().contains("is missing and was there before"));
    json_of(&folder, &["restore", "b.tar"]);
    let host = folder.start().await;
    assert_eq!(host.list("/api/events").await.len(), 1);
    host.kill();
    // The restored database and the one that was lost are two.
    let other = other_machine(&folder);
    json_of(&other, &["restore", "b.tar"]);
    for name in ["data/hookmill.db", "data/hookmill.db-wal"] {
        if folder.path(name).exists() {
            std::fs::copy(folder.path(name), other.path(name)).unwrap();
        }
    }
    assert!(other.refusal().contains("is another database"));
}

#[tokio::test]
async fn keys_need_their_passphrase() {
    let folder = Folder::new("");
    let host = folder.start().await;
    let source = json!({"source": "registered", "secret": SECRET, "plugin": "none"}).to_string();
    assert_eq!(host.call(Method::POST, "/api/webhooks", source).await.status, 201);

    let (made, _, errors) = folder.run(&["backup", "b.tar"]);
    assert!(!made && errors.contains("--passphrase-file") && !folder.path("b.tar").exists(), "{errors}");
    private(&folder, "short", "short");
    let (made, _, errors) = folder.run(&["backup", "b.tar", "--passphrase-file", "short"]);
    assert!(!made && errors.contains("use at least 12"), "{errors}");
    // The key of another host does not open the secrets.
    let mut foreign = folder.hookmill(&["backup", "b.tar"]);
    foreign.env("HOOKMILL_BACKUP_PASSPHRASE", PASSPHRASE).env("HOOKMILL_SECRET_KEY", "A".repeat(43) + "=");
    let output = foreign.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && errors.contains("does not open the secrets"), "{errors}");

    json_of(&folder, &["backup", "b.tar"]);
    private(&folder, "wrong", "another passphrase than that");
    private(&folder, "key", &("B".repeat(42) + "A=\n"));
    let other = other_machine(&folder);
    for name in ["wrong", "key"] {
        std::fs::copy(folder.path(name), other.path(name)).unwrap();
    }
    for (option, text) in [
        (Some(["--passphrase-file", "wrong"]), "keys: wrong passphrase"),
        (Some(["--key-file", "key"]), "keys: the keys are sealed with a passphrase"),
        (None, "give the passphrase"),
    ] {
        let options = option.map(|option| option.to_vec()).unwrap_or_default();
        let (restored, _, errors) = other.run(&[&["restore", "b.tar"], &options[..]].concat());
        assert!(!restored && errors.contains(text), "{errors}");
        assert!(!other.path("data/hookmill.db").exists());
        let (whole, _, errors) = other.run(&[&["verify", "b.tar"], &options[..]].concat());
        assert_eq!(whole, option.is_none(), "{errors}");
    }
    // Without the keys the source is there, and cannot be used.
    let (restored, _, warnings) = other.run(&["restore", "b.tar", "--without-keys"]);
    assert!(restored && warnings.contains("there is no key for 1 secrets"), "{warnings}");

    // A key in a file instead of a passphrase.
    let (made, _, errors) = folder.run(&["backup", "b.tar", "--key-file", "key"]);
    assert!(made, "{errors}");
    let other = other_machine(&folder);
    std::fs::copy(folder.path("key"), other.path("key")).unwrap();
    let (restored, _, errors) = other.run(&["restore", "b.tar", "--key-file", "key"]);
    assert!(restored, "{errors}");
    let restored = other.start().await;
    assert_eq!(send(signed(restored.webhook("registered"), unix_s(), "{}")).await.unwrap().status, 202);

    // A backup without keys says so, and the key can come from elsewhere.
    let (made, _, warnings) = folder.run(&["backup", "b.tar", "--without-keys"]);
    assert!(made && warnings.contains("the key is left out"), "{warnings}");
    let other = other_machine(&folder);
    std::fs::create_dir(other.path("data")).unwrap();
    private(&other, "data/secret.key", &std::fs::read_to_string(folder.path("data/secret.key")).unwrap());
    let (restored, _, warnings) = other.run(&["restore", "b.tar"]);
    assert!(restored && !warnings.contains("there is no key"), "{warnings}");
    let restored = other.start().await;
    assert_eq!(send(signed(restored.webhook("registered"), unix_s(), "{}")).await.unwrap().status, 202);
}
