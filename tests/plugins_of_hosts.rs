//! Hosts that share a database share the versions of plugins, the decisions on them and their files. The tests do nothing
//! unless `HOOKMILL_TEST_DATABASE=postgres` is set, because they need PostgreSQL.

use crate::database::is_shared;
use crate::guest::{at_version, echo, guest};
use crate::host::{Folder, Host, SECRET, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::sync::Arc;

fn config() -> String {
    format!("sources: {{ lab: {{ secret: {SECRET}, plugin: echo }} }}")
}

/// Returns the folder of a host with version 1.0 of the plugin, and one of a host without files.
fn folders() -> (Folder, Folder) {
    let first = Folder::new(&config()).with("echo", &echo("1.0"));
    let second = first.beside(&config());
    (first, second)
}

/// Waits until a version is live on hosts.
async fn is_live<const N: usize>(hosts: [&Host<'_>; N], version: &str) {
    for host in hosts {
        host.plugin_when("echo", |plugin| plugin["version"] == version).await;
    }
}

async fn refused(host: &Host<'_>, words: &str) -> Value {
    host.plugin_when("echo", |plugin| plugin["error"].as_str().is_some_and(|error| error.contains(words))).await
}

/// Returns the number of proofs in the logs of hosts.
fn proofs<const N: usize>(hosts: [&Host<'_>; N]) -> usize {
    hosts.iter().map(|host| host.log().matches("proof: ").count()).sum()
}

/// Changes the live version when the host has loaded the one before.
async fn change_live(host: &Host<'_>, action: &str) -> Value {
    eventually(action, async || {
        let answer = host.call(Method::POST, &format!("/api/plugins/echo/{action}"), "").await;
        if answer.status == 409 && answer.body["error"]["message"].as_str().unwrap().contains("being loaded") {
            return None;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        Some(answer.body)
    })
    .await
}

/// Returns a statement that locks a table until the table `unlocked` has a row; not for ever, so that a test that fails ends.
fn lock(table: &str) -> String {
    format!(
        "DO $$ BEGIN LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; \
         WHILE (SELECT count(*) = 0 FROM unlocked) AND clock_timestamp() < now() + interval '5 minutes' \
         LOOP PERFORM pg_sleep(0.01); END LOOP; END $$"
    )
}

/// Returns the state of a version.
async fn state(host: &Host<'_>, version: &str) -> Value {
    let shown = host.get("/api/plugins/echo").await;
    let versions = shown["versions"].as_array().unwrap();
    versions.iter().find(|row| row["version"] == version).map_or(Value::Null, |row| row["state"].clone())
}

#[tokio::test]
async fn a_file_of_one_host_is_proven_once_and_live_on_all() {
    if !is_shared() {
        return;
    }
    let (a_folder, b_folder) = folders();
    let a = a_folder.start().await;
    assert_eq!(a.signed("lab", "one").await.status_word(), "accepted");
    let b = b_folder.start().await;
    is_live([&b], "1.0").await;
    assert_eq!(b.signed("lab", "two").await.status_word(), "accepted");

    a_folder.put("echo", &echo("2.0"));
    is_live([&a, &b], "2.0").await;
    assert_eq!(proofs([&a, &b]), 2, "one for each version");
    let answer = b.signed("lab", "three").await;
    let incident = b.get(&format!("/api/incidents/{}", answer.body["incident_id"].as_str().unwrap())).await;
    assert_eq!(incident["plugin"]["version"], "2.0");
    assert!(!b_folder.plugin("echo").exists());

    for folder in [&a_folder, &b_folder] {
        folder.put("echo", &echo("3.0"));
    }
    is_live([&a, &b], "3.0").await;
    let digest = hex::encode(Sha256::digest(echo("3.0")));
    eventually("both hosts show what they have loaded", async || {
        let hosts = a.list("/api/hosts").await;
        let expected = json!([{"name": "echo", "version": "3.0", "sha256": digest}]);
        (hosts.len() == 2 && hosts.iter().all(|host| host["plugins"] == expected)).then_some(())
    })
    .await;
    // A file that is gone from one folder was not removed from the others.
    fs::remove_file(a_folder.plugin("echo")).unwrap();
    a.logs("stays live on all hosts").await;
    assert_eq!(a.signed("lab", "four").await.status_word(), "accepted");
    assert_eq!(proofs([&a, &b]), 3, "of two hosts with the same new file, one proves it");
}

/// A plugin that is removed stays so, also if a host has its file, until one puts a file there.
#[tokio::test]
async fn a_plugin_is_removed_from_all_hosts() {
    if !is_shared() {
        return;
    }
    let (a_folder, b_folder) = folders();
    let (a, b) = (a_folder.start().await, b_folder.start().await);
    is_live([&a, &b], "1.0").await;
    assert_eq!(change_live(&b, "remove").await["version"], "1.0");
    for host in [&a, &b] {
        eventually("no plugin", async || host.list("/api/plugins").await.is_empty().then_some(())).await;
    }
    let waiting = a.signed("lab", "one").await;
    assert_eq!(waiting.status_word(), "queued");
    drop(a);
    let a = a_folder.start().await;
    a.logs("have decided on").await;
    assert!(a.list("/api/plugins").await.is_empty());
    a_folder.put("echo", &echo("2.0"));
    is_live([&a, &b], "2.0").await;
    b.event_when(waiting.event_id(), |event| event["status"] == "mapped").await;
}

#[tokio::test]
async fn an_old_file_in_the_folder_of_a_host_changes_nothing() {
    if !is_shared() {
        return;
    }
    let (a_folder, b_folder) = folders();
    b_folder.put("echo", &echo("1.0"));
    let (a, b) = (a_folder.start().await, b_folder.start().await);
    is_live([&a, &b], "1.0").await;
    a_folder.put("echo", &echo("2.0"));
    is_live([&a, &b], "2.0").await;
    b.kill();
    let b = b_folder.start().await;
    is_live([&b], "2.0").await;
    b.logs("have decided on").await;
    is_live([&a, &b], "2.0").await;
    assert_eq!(b.signed("lab", "one").await.status_word(), "accepted");
    drop((a, b));

    // Nor if all hosts were away, and the host has a new data folder.
    let c_folder = a_folder.beside(&config()).with("echo", &echo("1.0"));
    let c = c_folder.start().await;
    is_live([&c], "2.0").await;
    c.logs("have decided on").await;
    is_live([&c], "2.0").await;
    // A file that is put into the folder of a running host counts.
    c_folder.put("echo", &echo("4.0"));
    is_live([&c], "4.0").await;
    c_folder.put("echo", &echo("1.0"));
    is_live([&c], "1.0").await;
}

#[tokio::test]
async fn a_version_that_one_host_holds_back_is_promoted_on_another() {
    if !is_shared() {
        return;
    }
    let (a_folder, b_folder) = folders();
    let (a, b) = (a_folder.start().await, b_folder.start().await);
    assert_eq!(a.signed("lab", "one").await.status_word(), "accepted");
    a_folder.put("echo", &at_version(guest("traps"), "2.0"));
    for host in [&a, &b] {
        assert_eq!(refused(host, "newly fails on 1 of 1 payloads").await["version"], "1.0");
    }
    assert_eq!(change_live(&b, "promote").await["version"], "2.0");
    is_live([&a, &b], "2.0").await;
    for host in [&a, &b] {
        host.plugin_when("echo", |plugin| plugin["error"].is_null()).await;
    }
    assert_eq!(change_live(&a, "rollback").await["version"], "1.0");
    is_live([&a, &b], "1.0").await;
    refused(&b, "held back since a rollback").await;
    assert_eq!(state(&b, "2.0").await, "held");
    assert_eq!(b.signed("lab", "two").await.status_word(), "accepted");
    // A host that comes later sees the same.
    let c_folder = a_folder.beside(&config());
    let c = c_folder.start().await;
    assert_eq!(refused(&c, "held back since a rollback").await["version"], "1.0");
}

/// A command about a plugin of which the host has no file is answered with its own result, although a file comes meanwhile.
#[tokio::test]
async fn a_command_without_a_file_is_not_answered_by_a_new_file() {
    if !is_shared() {
        return;
    }
    let server = Arc::new(hookmill_test_postgres::Server::start(&[]));
    let url = server.new_database();
    let database = url.rsplit('/').next().unwrap();
    let a_folder = Folder::on(Some(url.clone()), &config()).with("echo", &echo("1.0"));
    let b_folder = a_folder.beside(&config());
    let (a, b) = (a_folder.start().await, b_folder.start().await);
    a_folder.put("echo", &echo("2.0"));
    is_live([&a, &b], "2.0").await;
    server.sql(database, "CREATE TABLE unlocked (at timestamptz)");
    let locked = tokio::task::spawn_blocking({
        let (server, database) = (server.clone(), database.to_owned());
        move || server.sql(&database, &lock("plugin_versions"))
    });
    let count = async |what: &str, sql: &str| {
        eventually(what, async || (server.sql(database, sql) != "0").then_some(())).await;
    };
    let is_locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
                     AND relation = 'plugin_versions'::regclass";
    count("the table is locked", is_locked).await;
    let meanwhile = async {
        count("the command waits", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").await;
        // The file is refused without a look at the database.
        let aside = b_folder.path("plugins/.echo");
        fs::File::create(&aside).unwrap().set_len(65 << 20).unwrap();
        fs::rename(aside, b_folder.plugin("echo")).unwrap();
        b.logs("a plugin file may have at most").await;
        server.sql(database, "INSERT INTO unlocked VALUES (now())");
    };
    let (rolled_back, ()) = tokio::join!(change_live(&b, "rollback"), meanwhile);
    locked.await.unwrap();
    assert_eq!(rolled_back["version"], "1.0");
    is_live([&a, &b], "1.0").await;
}

/// Of a rollback that fails, nothing is stored.
#[tokio::test]
async fn a_rollback_is_stored_whole_or_not_at_all() {
    if !is_shared() {
        return;
    }
    let server = hookmill_test_postgres::Server::start(&[]);
    let url = server.new_database();
    let database = url.rsplit('/').next().unwrap();
    let folder = Folder::on(Some(url.clone()), &config()).with("echo", &echo("1.0"));
    let host = folder.start().await;
    folder.put("echo", &echo("2.0"));
    is_live([&host], "2.0").await;
    server.sql(
        database,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'injected'; END $$; \
         CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON plugin_versions FOR EACH ROW WHEN (NEW.state = 'held') \
             EXECUTE FUNCTION fail()",
    );
    let refused = host.call(Method::POST, "/api/plugins/echo/rollback", "").await;
    assert_ne!(refused.status, 200, "{refused:?}");
    // Another host has what is stored.
    let other_folder = folder.beside(&config());
    let other = other_folder.start().await;
    is_live([&host, &other], "2.0").await;
    server.sql(database, "DROP TRIGGER fail ON plugin_versions");
    assert_eq!(change_live(&host, "rollback").await["version"], "1.0");
    is_live([&host, &other], "1.0").await;
}

/// A host that may not load the live version keeps payloads for the hosts that have it.
#[tokio::test]
async fn a_host_without_the_live_version_maps_nothing() {
    if !is_shared() {
        return;
    }
    let (a_folder, b_folder) = folders();
    let listed = hex::encode(Sha256::digest(echo("1.0")));
    fs::write(b_folder.path("plugins.lock"), format!("{listed}  echo.wasm\n")).unwrap();
    b_folder.append("plugins_lock: plugins.lock");
    a_folder.start().await.kill();
    // The host maps what waits until it lacks a version.
    let b = b_folder.start().await;
    is_live([&b], "1.0").await;
    let a = a_folder.start().await;
    a_folder.put("echo", &echo("2.0"));
    is_live([&a], "2.0").await;
    let plugin = refused(&b, "cannot be loaded on this one").await;
    assert_eq!((&plugin["state"], &plugin["version"]), (&json!("refused"), &json!(null)), "{plugin}");
    let answer = b.signed("lab", "one").await;
    assert_eq!((answer.status_word(), &answer.body["message"]), ("queued", &json!("plugin `echo` is not loaded")));
    b.event_when(answer.event_id(), |event| event["status"] == "mapped").await;
    let incidents = b.list("/api/incidents").await;
    assert_eq!(incidents[0]["plugin"]["version"], "2.0");
    // It maps again when it may.
    assert_eq!(change_live(&b, "rollback").await["version"], "1.0");
    is_live([&a, &b], "1.0").await;
    assert_eq!(b.signed("lab", "two").await.status_word(), "accepted");
}

/// A host that is stopped during a proof decides nothing when another host decided meanwhile.
#[tokio::test]
async fn a_proof_of_a_host_that_was_stopped_decides_nothing() {
    if !is_shared() {
        return;
    }
    let server = hookmill_test_postgres::Server::start(&[]);
    let url = server.new_database();
    let database = url.rsplit('/').next().unwrap();
    let a_folder = Folder::on(Some(url.clone()), &config()).with("echo", &echo("1.0"));
    let b_folder = a_folder.beside(&config());
    let (a, b) = (a_folder.start().await, b_folder.start().await);
    is_live([&a, &b], "1.0").await;
    let hosts = a.list("/api/hosts").await;
    let own = hosts.iter().find(|row| row["is_this"] == true).unwrap()["id"].clone();
    server.sql(database, "CREATE TABLE unlocked (at timestamptz)");
    std::thread::scope(|scope| {
        // The proof waits for the payloads, and the host is stopped meanwhile.
        scope.spawn(|| server.sql(database, &lock("events")));
        let is_locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
                         AND relation = 'events'::regclass";
        while server.sql(database, is_locked) != "1" {}
        a_folder.put("echo", &echo("2.0"));
        let is_waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND \
                          EXISTS (SELECT FROM leases WHERE name = 'proof' AND host IS NOT NULL)";
        while server.sql(database, is_waiting) == "0" {}
        let holder = server.sql(database, "SELECT host FROM leases WHERE name = 'proof'");
        assert_eq!(json!(holder), own);
        a.signal("STOP");
        server.sql(database, "INSERT INTO unlocked VALUES (now())");
    });
    b_folder.put("echo", &echo("2.0"));
    is_live([&b], "2.0").await;
    assert_eq!(change_live(&b, "rollback").await["version"], "1.0");
    a.signal("CONT");
    a.logs("a decision is not possible now").await;
    // The host decides again, and finds the newer decision.
    refused(&a, "held back since a rollback").await;
    is_live([&a, &b], "1.0").await;
    assert_eq!((state(&a, "1.0").await, state(&a, "2.0").await), (json!("accepted"), json!("held")));
}
