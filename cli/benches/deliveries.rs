//! Measures the rate of deliveries, compared with a bare loop of the same HTTP client, and the cost of many deliveries
//! that cannot be sent.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark may stop at an unexpected result")]

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod load;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod server;
mod sink;

use load::{LoadReport, SECRET, requests};
use server::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const PAYLOAD: &str = include_str!("../../plugins/crowdstrike/payloads/small.json");
const ID: &str = ":42";
const DELIVERIES: usize = 20_000;
/// The number of concurrent requests to the destination, and of the bare loop.
const CONCURRENCY: usize = 32;
const ROUNDS: usize = 7;
/// The same length as the bodies that the host sends.
const BODY_BYTES: usize = 1664;
const PENDING: usize = 100_000;
/// The time for which the idle host is measured, and the number of timed deliveries to the healthy destination.
const AT_REST: Duration = Duration::from_secs(10);
const TIMED: usize = 200;

/// As in the program itself, for the baseline too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sink"] => sink::serve(),
        ["rate"] => rate(),
        _ => {
            rate();
            pending();
        }
    }
}

fn config(destinations: &[(&str, &str)]) -> String {
    let mut config = format!("sources: {{ crowdstrike: {{ secret: \"{SECRET}\" }} }}\nwebhooks:\n");
    for (name, url) in destinations {
        config += &format!(
            "  {name}: {{ url: \"{url}\", allow_networks: [127.0.0.0/8], concurrency: {CONCURRENCY}, ordering: incident }}\n"
        );
    }
    config
}

/// A port without a listener.
const CLOSED: &str = "http://127.0.0.1:9/hook";

/// The round in the middle by its share of the bare rate: both rates of a round are of the same moment of the machine.
fn rate() {
    println!(
        "\n{DELIVERIES} deliveries of a small incident to one destination, {CONCURRENCY} at the same time, median of {ROUNDS}"
    );
    let mut rounds: Vec<(f64, f64, f64)> = (0..ROUNDS)
        .map(|_| {
            let (bare, (made, delivered)) = (bare_loop(), out_of_the_store());
            (bare, made, delivered)
        })
        .collect();
    rounds.sort_by(|one, other| (one.2 / one.0).total_cmp(&(other.2 / other.0)));
    let share = |round: &(f64, f64, f64)| round.2 / round.0;
    let (least, most) = (share(&rounds[0]), share(&rounds[ROUNDS - 1]));
    let (bare, made, delivered) = rounds[ROUNDS / 2];
    println!("  {:<34} {bare:>9.0} /s", "bare loop of the same client");
    println!("  {:<34} {made:>9.0} /s", "payloads that made them");
    println!(
        "  {:<34} {delivered:>9.0} /s  {:>5.2} of bare ({least:.2} to {most:.2})  goal 0.5",
        "out of the store, each recorded",
        delivered / bare
    );
}

/// Queues deliveries while the receiver is closed, then opens the receiver and measures the time until the last
/// delivery arrives.
fn out_of_the_store() -> (f64, f64) {
    let sink = sink::start();
    let host = Server::hookmill(server::folder(&["crowdstrike"], &config(&[("sink", CLOSED)])));
    let report = load::run(host.address, &requests(PAYLOAD, ID, 0, DELIVERIES));
    assert_eq!(report.failed, 0);
    let open = config(&[("sink", &format!("http://{}/hook", sink.address))]);
    std::fs::write(host.folder.path().join("hookmill.yaml"), format!("listen: 127.0.0.1:0\n{open}")).unwrap();
    sink::wait_for(&sink, 1);
    let (started, first) = (Instant::now(), sink::count(&sink));
    // Deliveries that failed at the closed port wait for their retry.
    let wanted = DELIVERIES - 100;
    sink::wait_for(&sink, wanted);
    (report.rate(), (wanted - first) as f64 / started.elapsed().as_secs_f64())
}

fn bare_loop() -> f64 {
    let sink = sink::start();
    let (url, body) = (format!("http://{}/hook", sink.address), [b'x'; BODY_BYTES]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let (next, started) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    runtime.block_on(async {
        let mut loops = tokio::task::JoinSet::new();
        for _ in 0..CONCURRENCY {
            let (client, next, url) = (client.clone(), next.clone(), url.clone());
            loops.spawn(async move {
                while next.fetch_add(1, Ordering::Relaxed) < DELIVERIES {
                    let answer = client.post(&url).body(body.to_vec()).send().await.unwrap();
                    assert!(answer.status().is_success());
                    answer.bytes().await.unwrap();
                }
            });
        }
        loops.join_all().await
    });
    DELIVERIES as f64 / started.elapsed().as_secs_f64()
}

/// Measures the cost of a destination with many undeliverable deliveries for the host and its other destination.
fn pending() {
    println!("\n{PENDING} deliveries that wait for a receiver that is not there");
    let sink = sink::start();
    let healthy = format!("http://{}/hook", sink.address);
    let config = config(&[("dead", CLOSED), ("healthy", &healthy)]);
    let host = Server::hookmill(server::folder(&["crowdstrike"], &config));
    let before = delays(&host, &sink, 0);
    let (memory_before, mut sent) = (host.memory_mib("VmRSS"), TIMED);
    while sent < PENDING {
        let part = (PENDING - sent).min(10_000);
        assert_eq!(load::run(host.address, &requests(PAYLOAD, ID, sent, part)).failed, 0);
        sent += part;
    }
    sink::wait_for(&sink, sent);
    let cpu = host.cpu_s();
    std::thread::sleep(AT_REST);
    let share = (host.cpu_s() - cpu) / AT_REST.as_secs_f64() * 100.0;
    let after = delays(&host, &sink, sent);
    println!("  memory: {memory_before:.0} MiB before, {:.0} MiB with them", host.memory_mib("VmRSS"));
    println!("  processor at rest: {share:.1} % of one core");
    let (before, after) = (before.as_secs_f64() * 1e3, after.as_secs_f64() * 1e3);
    println!(
        "  from a payload to its delivery at the healthy one, median: {before:.2} ms before, {after:.2} ms with them"
    );
}

/// The median time from sending a payload to its delivery.
fn delays(host: &Server, sink: &Server, first: usize) -> Duration {
    let latencies = (0..TIMED)
        .map(|index| {
            let (known, request) = (sink::count(sink), requests(PAYLOAD, ID, first + index, 1));
            let started = Instant::now();
            assert_eq!(load::run(host.address, &request).failed, 0);
            while sink::count(sink) == known {}
            started.elapsed()
        })
        .collect();
    let mut report = LoadReport { latencies, ..LoadReport::default() };
    report.latencies.sort_unstable();
    report.percentile(0.5)
}
