//! Events that one, two and four hosts record in PostgreSQL in a second, beside a loop that inserts one row after the other
//! into the same server, and beside one host with SQLite.
//!
//! `HOOKMILL_BENCH_EVENTS` sets the number of events.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark that fails should say so and end")]

#[path = "../tests/database/open.rs"]
mod database;

use database::connect;
use hookmill_incident::{Clock, Event, Journey, Mapped, Observation, PluginVersion, Reading, Verdict};
use hookmill_store::{Dedup, Policy, Store};
use hookmill_test_postgres::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

/// Senders of each host at once.
const SENDERS: usize = 256;
const BODY_BYTES: usize = 1024;

#[tokio::main]
async fn main() {
    let events = std::env::var("HOOKMILL_BENCH_EVENTS").map_or(5_000, |text| text.parse().unwrap());
    // As in production: a commit is answered when it is on disk.
    let server = Server::start(&["fsync=on", "full_page_writes=on"]);
    let single = loop_of_inserts(&server.new_database(), events / 5).await;
    println!("a loop of single-row inserts: {single:.0} rows/s");
    let folder = tempfile::tempdir().unwrap();
    let embedded = Store::open(folder.path(), 1024, policy(), Box::new(|_, _| {}), Clock::default()).unwrap();
    let rate = events_rate(&[Arc::new(embedded)], events).await;
    println!("SQLite: {rate:.0} events/s with incident and audit entry, {:.1} times the loop", rate / single);
    for count in [1, 2, 4] {
        let (url, mut hosts) = (server.new_database(), Vec::new());
        for index in 0..count {
            hosts.push(host(&url, &format!("host-{index}")).await);
        }
        let stores: Vec<Arc<Store>> = hosts.iter().map(|(store, _)| store.clone()).collect();
        let rate = events_rate(&stores, events).await;
        println!(
            "{count} host(s): {rate:.0} events/s with incident and audit entry, {:.1} times the loop",
            rate / single
        );
    }
}

/// Returns the rows per second of a client that inserts one row in each transaction.
async fn loop_of_inserts(url: &str, rows: usize) -> f64 {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE TABLE rows (key bigint PRIMARY KEY, body bytea NOT NULL)").await.unwrap();
    let insert = client.prepare("INSERT INTO rows (key, body) VALUES ($1, $2)").await.unwrap();
    let (body, started) = (vec![b'x'; BODY_BYTES], Instant::now());
    for key in 0..rows as i64 {
        client.execute(&insert, &[&key, &body]).await.unwrap();
    }
    rows as f64 / started.elapsed().as_secs_f64()
}

/// Returns the events per second of hosts, together.
async fn events_rate(stores: &[Arc<Store>], events: usize) -> f64 {
    let (next, started, mut running) = (Arc::new(AtomicUsize::new(0)), Instant::now(), JoinSet::new());
    for store in stores {
        for _ in 0..SENDERS {
            let (store, next) = (store.clone(), next.clone());
            running.spawn(async move {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= events {
                        return;
                    }
                    assert!(!store.record(mapped(&store, index)).await.unwrap().duplicate);
                }
            });
        }
    }
    running.join_all().await;
    events as f64 / started.elapsed().as_secs_f64()
}

fn policy() -> Policy {
    let dedup = Dedup { retention: Duration::from_secs(3600), window: Duration::from_secs(300) };
    Policy { dedup, reopen_within: Duration::from_secs(3600) }
}

async fn host(url: &str, name: &str) -> (Arc<Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = connect(url, name, folder.path(), policy(), Clock::default()).await;
    (Arc::new(store), folder)
}

/// Returns the report of a new incident.
fn mapped(store: &Store, index: usize) -> Mapped {
    let body = format!("{index:0>BODY_BYTES$}").into();
    let event = Event::dry_run(store.new_id(), store.clock().now_ms(), "lab".into(), Vec::new(), body);
    let observation = Observation {
        source_ref: format!("R-{index}"),
        title: Some(format!("Suspicious sign-in of user {index}")),
        tags: vec!["sign-in".into()],
        ..Observation::default()
    };
    let plugin = PluginVersion { name: "mapper".into(), version: "1".into(), sha256: "0".into() };
    let verdict = Verdict::Read { plugin, reading: Reading { observations: vec![observation], ..Reading::default() } };
    Mapped { event, verdict, playbook: None, auto_triage: false, tried: Vec::new(), journey: Journey::default() }
}
