//! `hookmill store move`: what a host has on PostgreSQL after a move from an embedded database, and back. The test does
//! nothing unless `HOOKMILL_TEST_DATABASE=postgres` is set, because it needs PostgreSQL.

use crate::database::is_shared;
use crate::guest::{at_version, guest};
use crate::host::{Folder, Host, SECRET, eventually, send, signed, unix_s};
use crate::outcome::incident;
use crate::receiver::{Receiver, Reply};
use hookmill_test_postgres::Server;
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Stdio;
use std::thread;

/// Lists that are the same after a move, while nothing happens.
const LISTS: [&str; 6] = [
    "/api/incidents",
    "/api/events",
    "/api/deliveries",
    "/api/incidents?q=findable",
    "/api/incidents?tag=one",
    "/api/operator-actions",
];

async fn lists(host: &Host<'_>) -> Vec<Vec<Value>> {
    let mut lists = Vec::new();
    for path in LISTS {
        lists.push(host.list(path).await);
    }
    lists
}

async fn is_live(host: &Host<'_>, version: &str) {
    host.plugin_when("returns", |plugin| plugin["version"] == version).await;
}

/// Starts a move, and kills the command while the table `audit` takes no rows.
async fn kill_in_the_middle(server: &Server, folder: &Folder, arguments: &[&str]) {
    thread::scope(|scope| {
        scope.spawn(|| {
            server.sql(
                "test_0",
                "BEGIN; LOCK TABLE audit IN SHARE MODE; SELECT count(pg_sleep(2)) FROM generate_series(1, 3)",
            )
        });
        let count = |sql: &str| server.sql("test_0", &format!("SELECT count(*) FROM pg_locks WHERE {sql}")) != "0";
        while !count("mode = 'ShareLock' AND relation = 'audit'::regclass") {}
        let mut command = folder.hookmill(arguments).stderr(Stdio::null()).spawn().unwrap();
        while !count("NOT granted") {
            assert!(command.try_wait().unwrap().is_none(), "the move ended");
        }
        command.kill().unwrap();
        command.wait().unwrap();
    });
}

#[tokio::test]
async fn everything_moves_to_postgresql_and_back() {
    if !is_shared() {
        return;
    }
    let server = Server::start(&[]);
    // The answer to the second delivery never comes, because the host is killed before.
    let receiver = Receiver::start([Reply::Status(200), Reply::Never]).await;
    let config = format!(
        "sources: {{ lab: {{ scheme: none, plugin: returns }} }}
webhooks: {{ soc: {{ url: \"{}\", allow_networks: [127.0.0.0/8], retry_schedule: [1s, 1s] }} }}",
        receiver.url
    );
    let embedded = Folder::on(None, &config).with("returns", &guest("returns"));
    let shared = Folder::on(Some(server.new_database()), &config);
    let host = embedded.start().await;
    let source = json!({"source": "registered", "secret": SECRET, "plugin": "returns"}).to_string();
    assert_eq!(host.call(Method::POST, "/api/webhooks", source).await.status, 201);
    let payload = |name: &str| incident(json!({"source-ref": name, "title": "a findable title", "tags": ["one"]}));
    host.post("lab", payload("delivered")).await;
    host.settled("/api/deliveries").await;
    let newer = at_version(guest("returns"), "2.0");
    embedded.put("returns", &newer);
    is_live(&host, "2.0").await;
    assert_eq!(host.call(Method::POST, "/api/plugins/returns/rollback", "").await.status, 200);
    let (body, at) = (payload("pending"), unix_s());
    let pending = send(signed(host.webhook("registered"), at, body.clone())).await.unwrap();
    receiver.wait_for(2).await;
    let before = lists(&host).await;
    host.kill();

    let (data, url) = (embedded.path("data"), server.url("test_0"));
    let there = ["store", "move", "--from", data.to_str().unwrap(), "--to", &url, "--json"];
    let (moved, _, errors) = shared.run(&there);
    assert!(!moved && errors.contains("has another key than"), "{errors}");
    std::fs::copy(data.join("secret.key"), shared.path("data/secret.key")).unwrap();
    assert!(shared.run(&["token", "list"]).0, "the tables are created");
    kill_in_the_middle(&server, &shared, &there).await;
    let refused = shared.refusal();
    assert!(refused.contains("did not end, and rows are missing"), "{refused}");
    let (moved, output, errors) = shared.run(&there);
    assert!(moved, "{errors}");
    let output: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&output["rows"]["events"], &output["warnings"]), (&json!(2), &json!([])), "{output:#}");
    let refused = embedded.refusal();
    assert!(refused.contains("was moved to the database `test_0`"), "{refused}");
    let (moved, _, errors) = shared.run(&there);
    assert!(!moved && errors.contains("was moved to"), "{errors}");

    let mut host = shared.start().await;
    // The host has no plugin file of its own.
    is_live(&host, "1.0").await;
    // The delivery that was under way is sent once more, with its id, and no other one.
    let deliveries = host.settled("/api/deliveries").await;
    let after = lists(&host).await;
    for (list, (before, after)) in LISTS.iter().zip(before.iter().zip(&after)) {
        let is_same = |(before, after): (&Value, &Value)| before == after || *list == "/api/deliveries";
        assert!(before.len() == after.len() && before.iter().zip(after).all(is_same), "{list}: {before:#?} {after:#?}");
    }
    let received = receiver.wait_for(3).await;
    assert_eq!((received.len(), received[2].header("webhook-id")), (3, received[1].header("webhook-id")));
    assert!(deliveries.iter().all(|delivery| delivery["status"] == "delivered"), "{deliveries:#?}");
    let again = send(signed(host.webhook("registered"), at, body.clone())).await.unwrap();
    assert_eq!((&again.body["duplicate"], again.event_id()), (&json!(true), pending.event_id()));
    let last = host.post("lab", payload("on PostgreSQL")).await;
    receiver.wait_for(4).await;
    host.settled("/api/deliveries").await;
    let before = lists(&host).await;
    let back_to = Folder::on(None, &config);
    let to = back_to.path("data");
    let back = ["store", "move", "--from", &url, "--to", to.to_str().unwrap()];
    let (moved, _, errors) = shared.run(&back);
    assert!(!moved && errors.contains("hosts run on the database `test_0`"), "{errors}");
    host.terminate();
    host.end().await;
    let (moved, output, errors) = shared.run(&back);
    assert!(moved && output.contains("3 events, 3 incidents, 3 deliveries"), "{output} {errors}");
    let refused = shared.refusal();
    assert!(refused.contains("was moved to the data folder"), "{refused}");

    let embedded = back_to.with("returns", &newer);
    let host = embedded.start().await;
    is_live(&host, "1.0").await;
    assert_eq!(lists(&host).await, before);
    let again = send(signed(host.webhook("registered"), at, body)).await.unwrap();
    assert_eq!((&again.body["duplicate"], again.event_id()), (&json!(true), pending.event_id()));
    let next = host.post("lab", payload("embedded again")).await;
    let number =
        |answer: &crate::host::Answer| answer.body["incident_number"].as_str().unwrap()[9..].parse::<u32>().unwrap();
    assert_eq!(number(&next), number(&last) + 1);
    eventually("the last delivery", async || (receiver.received().len() == 5).then_some(())).await;
    host.settled("/api/deliveries").await;
    assert_eq!(receiver.received().len(), 5, "nothing is sent again");
}
