//! Hosts that share a database in PostgreSQL, and a database that fails them.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test that fails should say so and end")]

#[path = "../database/open.rs"]
mod database;
mod proxy;

use database::connect;
use hookmill_incident::{Clock, Event, Journey, Mapped, Observation, PluginVersion, Reading, Verdict};
use hookmill_store::{Dedup, Policy, Recorded, Store, StoreError};
use hookmill_test_postgres::Server;
use proxy::Proxy;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::{JoinSet, spawn_blocking};

/// A host with its own data folder.
struct Host {
    store: Arc<Store>,
    _folder: TempDir,
}

async fn host(url: &str, name: &str) -> Host {
    let dedup = Dedup { retention: Duration::from_secs(3600), window: Duration::from_secs(3600) };
    let policy = Policy { dedup, reopen_within: Duration::from_secs(3600) };
    let folder = tempfile::tempdir().unwrap();
    let store = connect(url, name, folder.path(), policy, Clock::default()).await;
    Host { store: Arc::new(store), _folder: folder }
}

/// Returns the report of a new incident.
fn mapped(store: &Store, reference: usize) -> Mapped {
    let body = format!("payload {reference}").into();
    let event = Event::dry_run(store.new_id(), store.clock().now_ms(), "lab".into(), Vec::new(), body);
    let observation = Observation {
        source_ref: format!("R-{reference}"),
        title: Some(format!("incident {reference}")),
        tags: vec!["shared".into()],
        ..Observation::default()
    };
    let plugin = PluginVersion { name: "mapper".into(), version: "1".into(), sha256: "0".into() };
    let reading = Reading { observations: vec![observation], ..Reading::default() };
    let verdict = Verdict::Read { plugin, reading };
    Mapped { event, verdict, playbook: None, auto_triage: false, tried: Vec::new(), journey: Journey::default() }
}

/// Records an event, and again as a sender does while the database is away.
async fn record(store: &Store, reference: usize) -> Recorded {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match store.record(mapped(store, reference)).await {
            Err(StoreError::Blocked) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(20)).await,
            result => return result.unwrap(),
        }
    }
}

/// Records events with these references at the same time.
async fn record_all(hosts: &[&Host], references: std::ops::Range<usize>) -> Vec<Recorded> {
    let mut running = JoinSet::new();
    for reference in references {
        for host in hosts {
            let store = host.store.clone();
            running.spawn(async move { record(&store, reference).await });
        }
    }
    running.join_all().await
}

/// Asserts that each of so many events had its one effect, and that numbers and audit entries have no gaps.
fn assert_effects(server: &Server, url: &str, events: usize) {
    let database = url.rsplit('/').next().unwrap();
    let sql = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM repeats), (SELECT count(*) FROM incidents), \
               (SELECT count(DISTINCT source_ref) FROM incidents), (SELECT sum(occurrences) FROM incidents), \
               (SELECT max(number) - min(number) + 1 FROM incidents), (SELECT last FROM numbers), \
               (SELECT count(*) FROM audit), (SELECT sum(rows) FROM stored_days WHERE kind = 'events'), \
               (SELECT count(*) FROM words), (SELECT count(*) FROM postings)";
    assert_eq!(server.sql(database, sql), vec![events.to_string(); 11].join("|"));
    let sql = "SELECT count(*) FROM head WHERE last_key < (SELECT max(key) FROM audit)";
    assert_eq!(server.sql(database, sql), "0", "a key is above that of the head");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_reaches_two_hosts_at_once_has_one_effect() {
    const EVENTS: usize = 200;
    let server = Server::start(&[]);
    let url = server.new_database();
    let (a, b) = (host(&url, "a").await, host(&url, "b").await);
    let recorded = record_all(&[&a, &b], 0..EVENTS).await;
    assert_eq!(recorded.iter().filter(|recorded| recorded.duplicate).count(), EVENTS);
    assert_effects(&server, &url, EVENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_without_an_answer_are_neither_lost_nor_made_twice() {
    const EVENTS: usize = 60;
    let server = Server::start(&[]);
    let url = server.new_database();
    let proxy = Proxy::start(server.socket());
    let folder = |path: &std::path::Path| path.to_str().unwrap().replace('/', "%2F");
    let through = url.replace(&folder(server.socket().parent().unwrap()), &folder(proxy.folder()));
    let host = host(&through, "a").await;
    for reference in 0..EVENTS {
        // One group each, so that many commits are cut.
        assert!(!record(&host.store, reference).await.duplicate, "event {reference}");
    }
    let cuts = proxy.cuts();
    assert!(cuts.iter().all(|count| *count > EVENTS / 10), "{cuts:?}");
    assert_effects(&server, &url, EVENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn serialization_failures_and_ended_backends_are_not_noticed() {
    const EVENTS: usize = 300;
    let server = Arc::new(Server::start(&[]));
    let url = server.new_database();
    let database = url.rsplit('/').next().unwrap().to_owned();
    let (a, b) = (host(&url, "a").await, host(&url, "b").await);
    server.sql(
        &database,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF random() < 0.2 THEN RAISE EXCEPTION 'injected' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON groups FOR EACH ROW EXECUTE FUNCTION fail()",
    );
    let ended = Arc::new(AtomicUsize::new(0));
    for first in (0..EVENTS).step_by(20) {
        let (server, database, ended) = (server.clone(), database.clone(), ended.clone());
        let kill = spawn_blocking(move || {
            let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
            ended.fetch_add(server.sql(&database, sql).parse().unwrap(), Ordering::SeqCst);
        });
        record_all(&[&a, &b], first..first + 20).await;
        kill.await.unwrap();
    }
    assert!(ended.load(Ordering::SeqCst) > EVENTS / 20, "{ended:?}");
    assert_effects(&server, &url, EVENTS);
}

/// A host that was stopped for so long that another one has its slot works on with a new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_forgotten_gets_another_slot() {
    const EVENTS: usize = 50;
    let server = Server::start(&[]);
    let url = server.new_database();
    let database = url.rsplit('/').next().unwrap();
    let forgotten = host(&url, "a").await;
    record(&forgotten.store, 0).await;
    server.sql(database, "DELETE FROM hosts");
    let other = host(&url, "b").await;
    record_all(&[&forgotten, &other], 1..EVENTS).await;
    let hosts = server.sql(database, "SELECT name, slot FROM hosts ORDER BY slot");
    assert_eq!(hosts, "b|0\na|1");
    assert_effects(&server, &url, EVENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_refused_while_the_database_is_away_and_go_on_when_it_is_back() {
    let mut server = Server::start(&[]);
    let url = server.new_database();
    let host = host(&url, "a").await;
    record(&host.store, 0).await;
    server.stop();
    let refused = host.store.record(mapped(&host.store, 1)).await;
    assert!(matches!(refused, Err(StoreError::Blocked)), "{refused:?}");
    assert!(host.store.trouble().is_some());
    server.start_again();
    record(&host.store, 1).await;
    assert!(host.store.trouble().is_none());
    assert_effects(&server, &url, 2);
}
