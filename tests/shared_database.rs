//! Commands that open a database of PostgreSQL themselves. The tests do nothing unless `HOOKMILL_TEST_DATABASE=postgres` is
//! set, because they need PostgreSQL.

use crate::database::is_shared;
use crate::guest::guest;
use crate::host::{Folder, SECRET, eventually};
use crate::outcome::incident;
use crate::receiver::{Receiver, Reply};
use hookmill_test_postgres::Server;
use reqwest::Method;
use serde_json::{Value, json};

/// Old rows go beside a host that runs. The newest event stays, and one that is not mapped yet.
#[tokio::test]
async fn prune_removes_old_rows_beside_hosts() {
    if !is_shared() {
        return;
    }
    let folder = Folder::new(
        "dedup_retention: 1ms
dedup_window: 1ms
sources: { raw: { scheme: none, plugin: none }, waiting: { scheme: none, plugin: missing } }",
    );
    let host = folder.start().await;
    let waiting = host.post("waiting", "1").await;
    assert_eq!(waiting.status_word(), "queued");
    for body in ["1", "2"] {
        host.post("raw", body).await;
    }
    let newest = host.post("raw", "3").await;
    let prune = |arguments: &[&str]| {
        let (done, output, errors) = folder.run(&[&["prune", "--older-than", "1s"], arguments].concat());
        assert!(done, "{errors}");
        output
    };
    let stored =
        async || -> Vec<Value> { host.list("/api/events").await.iter().map(|event| event["id"].clone()).collect() };
    eventually("events are old", async || {
        let output = prune(&["--dry-run"]);
        (output.contains("WOULD GO") && output.contains("events")).then_some(())
    })
    .await;
    assert_eq!(stored().await.len(), 4);
    eventually("the old events are gone", async || {
        prune(&[]);
        (stored().await == [newest.event_id(), waiting.event_id()]).then_some(())
    })
    .await;
    assert!(prune(&[]).contains("nothing is old enough"));
    let storage = host.get("/api/storage").await;
    let events = storage["stored"].as_array().unwrap().iter().find(|kind| kind["kind"] == "events").unwrap();
    assert_eq!(events["rows"], 2, "{storage:#}");
    let (done, _, errors) = folder.run(&["prune", "--vacuum", "--older-than", "60d"]);
    assert!(!done && errors.contains("is for the embedded database"), "{errors}");
    // The host goes on between the writes of the command.
    assert_eq!(host.post("raw", "later").await.status, 202);
}

/// Of a dump that is restored as docs/BACKUP.md says, nothing is sent again, and no number is given again.
#[tokio::test]
async fn a_restored_dump_sends_nothing_again() {
    if !is_shared() {
        return;
    }
    let server = Server::start(&[]);
    let receiver = Receiver::start([Reply::Status(200), Reply::Never]).await;
    let config = format!(
        "sources: {{ lab: {{ scheme: none, plugin: returns, auto_triage: true, playbook: missing }} }}
webhooks: {{ soc: {{ url: \"{}\", allow_networks: [127.0.0.0/8], retry_schedule: [1s] }} }}",
        receiver.url
    );
    let folder = Folder::on(Some(server.new_database()), &config).with("returns", &guest("returns"));
    let host = folder.start().await;
    let source = json!({"source": "registered", "secret": SECRET, "plugin": "none"}).to_string();
    assert_eq!(host.call(Method::POST, "/api/webhooks", source).await.status, 201);
    host.post("lab", incident(json!({"source-ref": "delivered"}))).await;
    host.settled("/api/deliveries").await;
    host.post("lab", incident(json!({"source-ref": "under way"}))).await;
    receiver.wait_for(2).await;
    let dump = folder.path("hookmill.dump");
    let dump = dump.to_str().unwrap();
    server.run("pg_dump", &["--format=custom", "--file", dump, "test_0"]);
    host.kill();

    let other = Folder::on(Some(server.new_database()), &config).with("returns", &guest("returns"));
    server.run("pg_restore", &["--no-owner", "--exit-on-error", "--dbname", "test_1", dump]);
    // The dump has the host, which counts as running for a moment.
    let arguments = ["restore", "--database-restored", "--skip-numbers", "50", "--json"];
    let output = eventually("the host of the dump is gone", async || {
        let (done, output, errors) = other.run(&arguments);
        assert!(done || errors.contains("hosts run on"), "{errors}");
        done.then_some(output)
    })
    .await;
    let output: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&output["dead_deliveries"], &output["ended_triages"]), (&json!(1), &json!(2)), "{output:#}");

    let host = other.start().await;
    assert_eq!(host.signed("registered", "{}").await.status, 202);
    let new = host.post("lab", incident(json!({"source-ref": "new"}))).await;
    assert!(new.body["incident_number"].as_str().unwrap().ends_with("-0053"), "{new:?}");
    receiver.wait_for(3).await;
    let deliveries = host.settled("/api/deliveries").await;
    let dead: Vec<&Value> = deliveries.iter().filter(|delivery| delivery["status"] == "dead").collect();
    assert_eq!(dead.len(), 1, "{deliveries:#?}");
    assert!(dead[0]["error"].as_str().unwrap().starts_with("restored from a backup of "), "{dead:?}");
    assert_eq!(receiver.received().len(), 3, "nothing is sent again");
    // Without a dump there is nothing to begin with.
    let embedded = Folder::on(None, "");
    let (done, _, errors) = embedded.run(&["restore", "--database-restored"]);
    assert!(!done && errors.contains("`database` is not set"), "{errors}");
}
