//! Many hosts on one database of PostgreSQL give the guarantees of one host together. The tests do nothing unless
//! `HOOKMILL_TEST_DATABASE=postgres` is set, because they need PostgreSQL.

use crate::clocks::call;
use crate::database::is_shared;
use crate::gate::Gate;
use crate::guest::{echo, guest};
use crate::host::{Folder, Host, SECRET, eventually, send, signed, unix_s};
use crate::load::{Load, Sent};
use crate::outcome::incident;
use crate::receiver::{Received, Receiver, Reply};
use crate::stream::Reader;
use hookmill_host::running::Running;
use hookmill_incident::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Payloads that two hosts get in the same moment. `HOOKMILL_REPEATS` sets a larger number.
const REPEATS: usize = 200;
/// Kills of a host under load. `HOOKMILL_KILLS` sets a larger number.
const KILLS: usize = 5;
/// The time of a lease, after which another host takes over.
const LEASE: Duration = Duration::from_secs(10);
/// The leases of a host that is gone are taken within this time.
const TAKEN_WITHIN: Duration = Duration::from_secs(15);
/// The metric of the time at which a host counted rows.
const COUNTED_AT: &str = "store_counted_timestamp_seconds";

fn number_of(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |number| number.parse().unwrap())
}

/// The configuration of all hosts of a test.
fn configuration(receiver: &Receiver) -> String {
    format!(
        "drain_timeout: 5s
sources: {{ lab: {{ secret: {SECRET}, plugin: echo }}, open: {{ scheme: none, plugin: returns }} }}
webhooks: {{ soc: {{ url: \"{}\", allow_networks: [127.0.0.0/8], retry_schedule: [1s, 1s, 1s, 1s, 1s] }} }}",
        receiver.url
    )
}

fn with_plugins(folder: Folder) -> Folder {
    folder.with("echo", &echo("1.0")).with("returns", &guest("returns"))
}

/// Returns the folders of hosts that share a database.
fn folders<const N: usize>(config: &str) -> [Folder; N] {
    let first = with_plugins(Folder::new(config));
    let mut folders = vec![first];
    while folders.len() < N {
        let next = with_plugins(folders[0].beside(config));
        folders.push(next);
    }
    folders.try_into().unwrap_or_else(|_| panic!("{N} folders"))
}

/// Returns the id of the host that holds a lease.
async fn holder(host: &Host<'_>, lease: &str) -> Option<String> {
    let hosts = host.list("/api/hosts").await;
    let holds = |row: &&Value| row["leases"].as_array().unwrap().contains(&json!(lease));
    hosts.iter().find(holds).map(|row| row["id"].as_str().unwrap().to_owned())
}

/// Returns the id of a host.
async fn id(host: &Host<'_>) -> String {
    let hosts = host.list("/api/hosts").await;
    let own = hosts.iter().find(|row| row["is_this"] == true).unwrap();
    own["id"].as_str().unwrap().to_owned()
}

/// Checks that every acknowledged payload has one event with one incident, and that numbers have no gaps.
async fn check(host: &Host<'_>, sent: &[Sent]) {
    let incidents = host.list("/api/incidents?limit=1000&source=lab").await;
    let by_ref: BTreeMap<&str, &Value> =
        incidents.iter().map(|row| (row["source_ref"].as_str().unwrap(), row)).collect();
    assert_eq!(by_ref.len(), incidents.len(), "a payload has two incidents");
    for sent in sent {
        let Some(answer) = sent.answer.as_ref().filter(|answer| answer.status == 202) else { continue };
        let row = by_ref.get(sent.body.as_str()).unwrap_or_else(|| panic!("{answer:?} is lost"));
        assert_eq!((&row["occurrences"], &row["event_ids"]), (&json!(1), &json!([answer.event_id()])));
        assert_eq!(row["number"], answer.body["incident_number"]);
    }
    let numbers: BTreeSet<usize> =
        incidents.iter().map(|row| row["number"].as_str().unwrap()[9..].parse().unwrap()).collect();
    assert_eq!((numbers.len(), numbers.last().copied().unwrap_or(0)), (incidents.len(), incidents.len()));
}

/// Waits until every incident of the source `lab` was delivered, and returns the number of sends that were repeats.
async fn delivered(host: &Host<'_>, receiver: &Receiver) -> usize {
    eventually("every delivery", async || host.list("/api/deliveries?status=pending").await.is_empty().then_some(()))
        .await;
    let incidents = host.list("/api/incidents?limit=1000&source=lab").await;
    let received = receiver.received();
    let of_lab = received.iter().filter(|received| received.body["object"]["source"] == "lab");
    let ids: Vec<&str> = of_lab.map(|received| received.header("webhook-id")).collect();
    let distinct: BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(distinct.len(), incidents.len());
    ids.len() - distinct.len()
}

#[tokio::test]
async fn a_payload_that_reaches_two_hosts_at_once_has_one_effect() {
    if !is_shared() {
        return;
    }
    let receiver = Receiver::start([]).await;
    let [a, b] = folders(&configuration(&receiver));
    // Both migrate the new database.
    let (a, b) = tokio::join!(a.start(), b.start());
    let slots: BTreeSet<String> = a.list("/api/hosts").await.iter().map(|row| row["slot"].to_string()).collect();
    assert_eq!(slots.len(), 2);
    let count = number_of("HOOKMILL_REPEATS", REPEATS);
    let mut sent = Vec::new();
    for number in 0..count {
        let (body, at) = (format!("payload-{number}"), unix_s());
        let post = |host: &Host<'_>| send(signed(host.webhook("lab"), at, body.clone()));
        let (first, second) = tokio::join!(post(&a), post(&b));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!((first.status, second.status), (202, 202), "{first:?} {second:?}");
        assert_eq!(first.event_id(), second.event_id());
        let is_repeat = |answer: &crate::host::Answer| answer.body["duplicate"] == true;
        assert_ne!(is_repeat(&first), is_repeat(&second), "{first:?} {second:?}");
        sent.push(Sent { body, at, answer: Some(first) });
    }
    check(&a, &sent).await;
    check(&b, &sent).await;
    assert_eq!(delivered(&b, &receiver).await, 0, "a delivery was sent twice");
}

#[tokio::test]
async fn a_host_that_is_killed_loses_nothing_and_its_work_goes_on() {
    if !is_shared() {
        return;
    }
    let receiver = Receiver::start([]).await;
    let [mut a, b] = folders(&configuration(&receiver));
    let survivor = b.start().await;
    let (mut sent, kills) = (Vec::new(), number_of("HOOKMILL_KILLS", KILLS));
    for round in 0..kills {
        let host = a.start().await;
        let loads =
            [Load::start(&host, "lab", &format!("a-{round}")), Load::start(&survivor, "lab", &format!("b-{round}"))];
        loads[0].pass(40).await;
        host.kill();
        let [a_load, b_load] = loads;
        sent.extend(a_load.end().await);
        b_load.pass(40).await;
        let ended = b_load.end().await;
        assert!(ended.iter().all(|sent| sent.answer.as_ref().is_some_and(|answer| answer.status == 202)));
        sent.extend(ended);
        // The next host has an empty data folder of its own.
        a = with_plugins(b.beside(&configuration(&receiver)));
    }
    let killed_at = Instant::now();
    let own = id(&survivor).await;
    eventually("the survivor delivers", async || {
        (holder(&survivor, "destination/soc").await.as_ref() == Some(&own)).then_some(())
    })
    .await;
    assert!(killed_at.elapsed() < TAKEN_WITHIN);
    check(&survivor, &sent).await;
    let repeats = delivered(&survivor, &receiver).await;
    // Attempts that were under way when their host was killed, and those whose results were not recorded yet.
    assert!(repeats <= kills * 256, "{repeats} sends were repeats");
}

/// The results of a host that was stopped for longer than its leases are refused, and the order of changes is kept.
#[tokio::test]
async fn a_host_that_wakes_up_after_its_lease_changes_nothing() {
    if !is_shared() {
        return;
    }
    let receiver = Receiver::start([Reply::Never]).await;
    let [a, b] = folders(&configuration(&receiver));
    let stopped = a.start().await;
    let own = id(&stopped).await;
    eventually("the first host delivers", async || {
        (holder(&stopped, "destination/soc").await.as_ref() == Some(&own)).then_some(())
    })
    .await;
    let other = b.start().await;
    let answer = other.post("open", incident(json!({"source-ref": "1", "title": "0"}))).await;
    let path = format!("/api/incidents/{}", answer.body["incident_id"].as_str().unwrap());
    // The first attempt is under way at the first host.
    receiver.wait_for(1).await;
    let stopped_at = Instant::now();
    stopped.signal("STOP");
    for title in 1..=5 {
        let patched = other.call(Method::PATCH, &path, json!({"title": title.to_string()}).to_string()).await;
        assert_eq!(patched.status, 200, "{patched:?}");
    }
    let deliveries = other.settled("/api/deliveries").await;
    assert!(stopped_at.elapsed() > LEASE - Duration::from_secs(3), "the lease was held");
    assert!(stopped_at.elapsed() < LEASE + TAKEN_WITHIN);
    stopped.signal("CONT");
    stopped.logs("the lease destination/soc is lost").await;
    stopped.ready().await;
    let titles = |received: &[Received]| -> Vec<String> {
        received.iter().map(|received| received.body["object"]["title"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(titles(&receiver.received()), ["0", "0", "1", "2", "3", "4", "5"]);
    let again = other.list("/api/deliveries").await;
    assert_eq!(again, deliveries, "the results of the first host were recorded");
    // The host works on.
    let answer = stopped.post("open", incident(json!({"source-ref": "2", "title": "6"}))).await;
    assert_eq!(answer.status, 202);
    assert_eq!(titles(&receiver.wait_for(8).await)[7], "6");
}

/// The versions of an incident that is changed through three hosts arrive in order, although the destination is slow.
#[tokio::test]
async fn changes_through_three_hosts_arrive_in_order() {
    if !is_shared() {
        return;
    }
    let receiver = Receiver::start([Reply::Status(503), Reply::Status(500)]).await;
    let [a, b, c] = folders(&configuration(&receiver));
    let hosts = [a.start().await, b.start().await, c.start().await];
    let mut reader = Reader::at(&hosts[0], "/api/stream?from=0", None).await;
    let answer = hosts[0].post("open", incident(json!({"source-ref": "1", "title": "0"}))).await;
    let path = format!("/api/incidents/{}", answer.body["incident_id"].as_str().unwrap());
    let mut seen = Vec::new();
    for title in 1..=30 {
        let host = &hosts[title % 3];
        let patched = host.call(Method::PATCH, &path, json!({"title": title.to_string()}).to_string()).await;
        assert_eq!(patched.status, 200, "{patched:?}");
        if title % 10 == 0 {
            // The reader moves to another host, and goes on at its position there.
            seen.extend(reader.entries(title + 1 - seen.len()).await);
            let last = seen.last().unwrap().id.clone();
            reader = Reader::at(&hosts[(title / 10) % 3], "/api/stream", Some(&last)).await;
        }
    }
    let expected: Vec<String> = (0..=30).map(|title| title.to_string()).collect();
    let streamed: Vec<&str> = seen.iter().map(|event| event.data["object"]["title"].as_str().unwrap()).collect();
    assert_eq!(streamed, expected, "the stream has a gap or a repeat");
    hosts[1].settled("/api/deliveries").await;
    let mut titles: Vec<String> = receiver
        .received()
        .iter()
        .map(|received| received.body["object"]["title"].as_str().unwrap().to_owned())
        .collect();
    titles.dedup();
    assert_eq!(titles, expected);
}

/// A database that is away is answered with 503, and nothing that was accepted is lost.
#[tokio::test]
async fn a_database_that_restarts_loses_nothing() {
    if !is_shared() {
        return;
    }
    let mut server = hookmill_test_postgres::Server::start(&["fsync=on"]);
    let receiver = Receiver::start([]).await;
    let config = configuration(&receiver);
    let a = with_plugins(Folder::on(Some(server.new_database()), &config));
    let b = with_plugins(a.beside(&config));
    let (a, b) = (a.start().await, b.start().await);
    let loads = [Load::start(&a, "lab", "a"), Load::start(&b, "lab", "b")];
    loads[0].pass(40).await;
    server.stop();
    eventually("the host is not ready", async || (a.get_open("/readyz").await.0 == 503).then_some(())).await;
    let away = send(signed(a.webhook("lab"), unix_s(), "away")).await.unwrap();
    assert_eq!((away.status, away.error_code()), (503, "store_busy"), "{away:?}");
    assert!(away.retry_after.is_some());
    server.start_again();
    a.ready().await;
    b.ready().await;
    for load in &loads {
        load.pass(40).await;
    }
    let [first, second] = loads;
    let sent: Vec<Sent> = first.end().await.into_iter().chain(second.end().await).collect();
    check(&a, &sent).await;
    delivered(&b, &receiver).await;
}

/// What one host registers is known to all, and a host that stops leaves its work to the others at once.
#[tokio::test]
async fn hosts_share_sources_and_hand_work_over() {
    if !is_shared() {
        return;
    }
    let receiver = Receiver::start([]).await;
    let [a, b] = folders(&configuration(&receiver));
    let (mut a, b) = (a.start().await, b.start().await);
    let source = json!({"source": "late", "secret": SECRET, "plugin": "echo"});
    assert_eq!(a.call(Method::POST, "/api/webhooks", source.to_string()).await.status, 201);
    eventually("the other host knows the source", async || (b.signed("late", "1").await.status == 202).then_some(()))
        .await;
    let counted = async |host: &Host<'_>| host.get("/api/sources/late").await["received"].clone();
    assert_eq!(a.signed("late", "2").await.status, 202);
    for host in [&a, &b] {
        eventually("payloads of both hosts are counted", async || (counted(host).await == 2).then_some(())).await;
    }
    assert_eq!(a.call(Method::DELETE, "/api/sources/late", "").await.status, 204);
    eventually("the other host forgets the source", async || (b.signed("late", "3").await.status == 404).then_some(()))
        .await;
    let stopped_at = Instant::now();
    a.terminate();
    assert_eq!(a.end().await.code(), Some(0), "{}", a.log());
    let own = id(&b).await;
    for lease in ["destination/soc", "remap", "silence"] {
        eventually(lease, async || (holder(&b, lease).await.as_ref() == Some(&own)).then_some(())).await;
    }
    assert!(stopped_at.elapsed() < LEASE, "the leases were not released");
    let metrics = b.get_open("/metrics").await.1;
    assert!(metrics.contains(&format!("host_info{{id=\"{own}\",name=")), "{metrics}");
    assert_eq!(b.metric("lease_held{lease=\"destination/soc\"}").await, 1.0);
    assert_eq!(b.list("/api/hosts").await.len(), 1);
}

/// The clocks of the machines differ by twenty minutes, and one of them is set while its host runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_are_minutes_apart_change_nothing() {
    const MINUTES_MS: i64 = 10 * 60 * 1000;
    if !is_shared() {
        return;
    }
    let receiver = Receiver::start([]).await;
    let [a, b] = folders(&configuration(&receiver));
    let clocks = [Clock::default(), Clock::default()];
    clocks[0].shift_ms(MINUTES_MS);
    clocks[1].shift_ms(-MINUTES_MS);
    let hosts = [a.start_with(&clocks[0]).await, b.start_with(&clocks[1]).await];
    let url = |host: &Running, path: &str| format!("http://{}{path}", host.address);
    for host in &hosts {
        let ready = async || crate::host::client().get(url(host, "/readyz")).send().await.ok()?.error_for_status().ok();
        eventually("the host is ready", ready).await;
    }
    let body = incident(json!({"source-ref": "1", "title": "0"}));
    let answer = call(&hosts[0], Method::POST, "/api/webhooks/open", body).await;
    let path = format!("/api/incidents/{}", answer["incident_id"].as_str().unwrap());
    for title in 1..=20 {
        if title == 10 {
            clocks[1].shift_ms(MINUTES_MS);
            eventually("the host follows the clock of the database", async || {
                (clocks[1].now_ms().abs_diff(Clock::default().now_ms()) < 5_000).then_some(())
            })
            .await;
        }
        let host = &hosts[title % 2];
        // Signatures of now are accepted.
        let sent = signed(crate::host::client().post(url(host, "/api/webhooks/lab")), unix_s(), title.to_string());
        assert_eq!(send(sent).await.unwrap().status, 202);
        let patched = call(host, Method::PATCH, &path, json!({"title": title.to_string()}).to_string()).await;
        assert_eq!(patched["title"], title.to_string(), "{patched}");
    }
    // Nothing waits for the time of another machine.
    let received = receiver.wait_for(41).await;
    let of_open = received.iter().filter(|received| received.body["object"]["source"] == "open");
    let titles: Vec<&str> = of_open.map(|received| received.body["object"]["title"].as_str().unwrap()).collect();
    assert_eq!(titles, (0..=20).map(|title| title.to_string()).collect::<Vec<_>>());
    let stored = call(&hosts[0], Method::GET, "/api/incidents?source=lab", "").await;
    assert_eq!(stored["data"].as_array().unwrap().len(), 20);
    for host in hosts {
        host.stop().await;
    }
}

/// A host that is cut off from the database refuses payloads, and changes nothing when the connection is back.
#[tokio::test]
async fn a_host_that_is_cut_off_from_the_database_loses_and_doubles_nothing() {
    if !is_shared() {
        return;
    }
    let server = hookmill_test_postgres::Server::start(&[]);
    let gate = Gate::new(&server.socket());
    let (receiver, url) = (Receiver::start([]).await, server.new_database());
    let config = configuration(&receiver);
    let a = with_plugins(Folder::on(Some(gate.through(&url)), &config));
    let b = with_plugins(Folder::on(Some(url), &config));
    let a = a.start().await;
    let own = id(&a).await;
    eventually("the first host delivers", async || {
        (holder(&a, "destination/soc").await.as_ref() == Some(&own)).then_some(())
    })
    .await;
    let b = b.start().await;
    let mut sent = Vec::new();
    for round in 0..3 {
        let loads = [Load::start(&a, "lab", &format!("a-{round}")), Load::start(&b, "lab", &format!("b-{round}"))];
        loads[0].pass(20).await;
        let counted_at = a.metric(COUNTED_AT).await;
        assert!(counted_at > 0.0);
        gate.close();
        let cut_at = Instant::now();
        eventually("the host is not ready", async || (a.get_open("/readyz").await.0 == 503).then_some(())).await;
        assert_eq!(a.metric(COUNTED_AT).await, counted_at, "metrics show the last counts");
        loads[1].pass(20).await;
        if round == 0 {
            let other = id(&b).await;
            eventually("the other host delivers", async || {
                (holder(&b, "destination/soc").await.as_ref() == Some(&other)).then_some(())
            })
            .await;
            assert!(cut_at.elapsed() < TAKEN_WITHIN);
        }
        gate.open();
        a.ready().await;
        loads[0].pass(20).await;
        for load in loads {
            sent.extend(load.end().await);
        }
    }
    check(&b, &sent).await;
    check(&a, &sent).await;
    delivered(&a, &receiver).await;
}

/// Hosts are replaced one after the other under load. `HOOKMILL_OLD` is the program that is replaced, such as that of the
/// release before.
#[tokio::test]
async fn hosts_are_upgraded_one_by_one_under_load() {
    if !is_shared() {
        return;
    }
    let receiver = Receiver::start([]).await;
    let config = configuration(&receiver);
    let [a, b] = folders(&config);
    let old = std::env::var("HOOKMILL_OLD").unwrap_or_else(|_| env!("CARGO_BIN_EXE_hookmill").into());
    let mut hosts = Vec::new();
    for folder in [&a, &b] {
        let host = folder.start_listening_by(&mut folder.hookmill_of(old.as_ref(), &["serve"])).await;
        host.ready().await;
        hosts.push(host);
    }
    let mut sent = Vec::new();
    for (index, folder) in [&a, &b].into_iter().enumerate() {
        let loads: Vec<_> =
            hosts.iter().enumerate().map(|(host, of)| Load::start(of, "lab", &format!("{index}-{host}"))).collect();
        loads[index].pass(40).await;
        hosts[index].terminate();
        assert_eq!(hosts[index].end().await.code(), Some(0), "{}", hosts[index].log());
        let mut loads = loads;
        sent.extend(loads.remove(index).end().await);
        hosts[index] = folder.start().await;
        loads[0].pass(40).await;
        sent.extend(loads.remove(0).end().await);
    }
    assert!(sent.iter().filter_map(|sent| sent.answer.as_ref()).all(|answer| answer.status == 202));
    check(&hosts[0], &sent).await;
    assert_eq!(delivered(&hosts[1], &receiver).await, 0, "a delivery was sent twice");
}
