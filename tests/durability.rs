//! Acknowledged events are never lost, and no event has a second effect.

use crate::guest::{echo, guest};
use crate::host::{Folder, Host, SECRET, send, signed};
use crate::load::{Load, Sent};
use crate::receiver::Receiver;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Kills of one data folder. The environment variable `HOOKMILL_KILLS` sets a larger number; after each `ROUNDS` kills
/// a new folder is used.
const ROUNDS: usize = 4;

fn configuration(receiver: &Receiver) -> String {
    format!(
        "sources: {{ lab: {{ secret: {SECRET}, plugin: echo }} }}
webhooks: {{ soc: {{ url: \"{}\", allow_networks: [127.0.0.0/8], concurrency: 4 }} }}",
        receiver.url
    )
}

/// Checks that every acknowledged event is stored with its incident, and nothing else.
async fn check(host: &Host<'_>, sent: &[Sent]) {
    let by_id = |rows: Vec<Value>| -> BTreeMap<String, Value> {
        rows.into_iter().map(|row| (row["id"].as_str().unwrap().to_owned(), row)).collect()
    };
    let events = by_id(host.list("/api/events?limit=1000").await);
    let incidents = by_id(host.list("/api/incidents?limit=1000").await);
    for sent in sent {
        let Some(answer) = &sent.answer else { continue };
        let event = events.get(answer.event_id()).unwrap_or_else(|| panic!("{answer:?} is lost"));
        assert_eq!(event["status"], "mapped", "{event}");
        let incident = &incidents[answer.body["incident_id"].as_str().unwrap()];
        assert_eq!(incident["number"], answer.body["incident_number"]);
        assert_eq!((&incident["source_ref"], &incident["occurrences"]), (&json!(sent.body), &json!(1)));
        assert_eq!(incident["event_ids"], json!([answer.event_id()]));
    }
    // Each event has one incident with one number, without gaps.
    assert_eq!(events.len(), incidents.len());
    assert!(events.len() <= sent.len());
    let numbers: BTreeSet<&str> = incidents.values().map(|incident| incident["number"].as_str().unwrap()).collect();
    assert_eq!(numbers.len(), incidents.len());
    let last = numbers.last().map_or(0, |number| number[9..].parse().unwrap());
    assert_eq!(last, incidents.len(), "{:?}", numbers.last());
}

#[tokio::test]
async fn a_kill_at_any_moment_loses_no_acknowledged_event() {
    let kills = std::env::var("HOOKMILL_KILLS").map_or(ROUNDS, |kills| kills.parse().unwrap());
    for _ in 0..kills.div_ceil(ROUNDS) {
        kill_and_check().await;
    }
}

async fn kill_and_check() {
    let receiver = Receiver::start([]).await;
    let folder = Folder::new(&configuration(&receiver)).with("echo", &echo("1.0"));
    let mut sent = Vec::new();
    for round in 0..ROUNDS {
        let host = folder.start().await;
        check(&host, &sent).await;
        let load = Load::start(&host, "lab", &format!("round-{round}"));
        load.pass(150 + 170 * round).await;
        host.kill();
        sent.extend(load.end().await);
    }
    let host = folder.start().await;
    check(&host, &sent).await;
    let lost = sent.iter().filter(|sent| sent.answer.is_none()).count();
    assert!(lost > 0, "no request was under way when the host was killed");

    // Senders without an answer send again, and so do some with one: each payload has one effect.
    for again in &mut sent {
        if again.answer.is_some() && !again.body.ends_with('7') {
            continue;
        }
        let answer = send(signed(host.webhook("lab"), again.at, again.body.clone())).await.unwrap();
        assert_eq!((answer.status, answer.status_word()), (202, "accepted"), "{answer:?}");
        if let Some(former) = &again.answer {
            assert_eq!((answer.event_id(), &answer.body["duplicate"]), (former.event_id(), &json!(true)));
        }
        again.answer = Some(answer);
    }
    check(&host, &sent).await;
    assert_eq!(host.list("/api/incidents?limit=1000").await.len(), sent.len());

    // Every creation is delivered at least once; repeats have the same delivery id.
    crate::host::eventually("every delivery", async || {
        host.list("/api/deliveries?status=pending").await.is_empty().then_some(())
    })
    .await;
    let mut delivered: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for received in receiver.received() {
        assert_eq!(received.body["operation"], "Creation");
        let incident = received.body["object"]["source_ref"].as_str().unwrap().to_owned();
        delivered.entry(incident).or_default().insert(received.header("webhook-id").to_owned());
    }
    assert_eq!(delivered.len(), sent.len());
    assert!(delivered.values().all(|ids| ids.len() == 1));
}

#[tokio::test]
async fn shutdown_under_load_is_graceful() {
    let receiver = Receiver::start([]).await;
    let folder = Folder::new(&configuration(&receiver)).with("echo", &echo("1.0"));
    let mut host = folder.start().await;
    let load = Load::start(&host, "lab", "x");
    load.pass(300).await;
    host.terminate();
    assert_eq!(host.end().await.code(), Some(0), "{}", host.log());
    let sent = load.end().await;
    for sent in sent.iter().filter_map(|sent| sent.answer.as_ref()) {
        assert!(matches!(sent.status, 202 | 503), "{sent:?}");
    }
    host.logs(" stopped\n").await;
    let sent: Vec<Sent> =
        sent.into_iter().filter(|sent| sent.answer.as_ref().is_none_or(|answer| answer.status == 202)).collect();
    let host = folder.start().await;
    check(&host, &sent).await;
}

/// A waiting event is on disk with everything that mapping it later needs.
#[tokio::test]
async fn waiting_events_are_mapped_after_a_restart() {
    let folder = Folder::new("sources: { lab: { scheme: none, plugin: late }, trap: { scheme: none, plugin: trap } }")
        .with("trap", &guest("traps"));
    let host = folder.start().await;
    let queued = host.post("lab", "queued").await;
    let quarantined = host.post("trap", "quarantined").await;
    host.kill();
    folder.put("late", &guest("echo"));
    folder.put("trap", &guest("echo"));
    let host = folder.start().await;
    for event in [queued, quarantined] {
        host.event_when(event.event_id(), |event| event["status"] == "mapped").await;
    }
    assert_eq!(host.list("/api/incidents").await.len(), 2);
}

#[tokio::test]
async fn a_second_host_on_the_same_data_folder_is_refused() {
    let folder = Folder::new("");
    let host = folder.start().await;
    let refusal = folder.refusal();
    assert!(refusal.contains("in use by another hookmill"), "{refusal}");
    host.kill();
    folder.start().await;
}
