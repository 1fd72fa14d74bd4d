//! The rate of the pipeline with many events in the database, beside its rate with none.

use super::load::{self, SECRET, requests_to};
use super::server::{self, Server};
use super::stored_incidents::fill;
use super::{Cost, SMALL, SMALL_ID, in_turn, share};
use hookmill_incident::Clock;
use hookmill_store::{Dedup, Policy, Store};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;

const EVENTS: usize = 1_000_000;
const ROUNDS: usize = 5;
/// The requests of one round to one host.
const REQUESTS: usize = 20_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The beginning of the references of stored incidents, which a number follows.
const STORED_REF: &str = "ref-";

pub fn run() {
    let count = std::env::var("HOOKMILL_BENCH_EVENTS").map_or(EVENTS, |text| text.parse().unwrap());
    let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let clock = Clock::default();
    let data = std::env::var_os("HOOKMILL_BENCH_FOLDER").map_or(temporary.path().to_owned(), PathBuf::from);
    if !data.join("hookmill.db").exists() {
        write(&data, count);
    }
    let gib = std::fs::metadata(data.join("hookmill.db")).unwrap().len() as f64 / f64::from(1 << 30);
    println!("\n{count} events in a database of {gib:.1} GiB, {REQUESTS} requests a round, the middle of {ROUNDS}");
    let config = format!("sources: {{ crowdstrike: {{ secret: \"{SECRET}\" }} }}\n");
    let empty = Server::hookmill(server::folder(&["crowdstrike"], &config));
    let full = Server::hookmill(server::folder(&["crowdstrike"], &format!("{config}data_dir: {}\n", data.display())));
    for host in [&empty, &full] {
        assert!(host.get("/metrics").contains("plugin_info{plugin=\"crowdstrike\""), "the mapper is not live");
    }
    let scattered = SMALL.replace(SMALL_ID, STORED_REF).replace("FIN-LT-0042", "ws-ref-");
    let payloads = [
        ("small payload", SMALL, SMALL_ID, in_order as fn(usize) -> usize),
        ("ids and hosts scattered among those stored", &scattered, STORED_REF, scatter),
    ];
    for (title, payload, id, number) in payloads {
        // Further payloads in each run, also if the database stays.
        let first = clock.now_ms() as usize;
        let (mut sent_empty, mut sent_full) = (first, first);
        let post = |server: &Server, sent: &mut usize| {
            let numbers = (*sent..*sent + REQUESTS).map(number);
            *sent += REQUESTS;
            let (requests, cpu_before) = (requests_to(&["crowdstrike"], payload, id, numbers), server.cpu_s());
            let report = load::run(server.address, &requests);
            assert_eq!(report.failed, 0, "some requests failed");
            Cost { rate: report.rate(), cpu_us: (server.cpu_s() - cpu_before) * 1e6 / REQUESTS as f64 }
        };
        let round = in_turn(ROUNDS, || post(&empty, &mut sent_empty), || post(&full, &mut sent_full));
        println!("  {title}");
        for (name, Cost { rate, cpu_us }) in ["nothing stored", "with the events stored"].iter().zip(round) {
            println!("    {name:<34} {rate:>9.0} /s  {cpu_us:>6.1} µs of CPU");
        }
        println!("    {:<34} {:>9.2}      goal 0.9", "share", share(&round));
    }
}

fn in_order(index: usize) -> usize {
    index
}

/// Returns numbers without an order, none of them twice in a run.
fn scatter(index: usize) -> usize {
    (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> 20
}

/// Writes the events as the host does.
fn write(data: &Path, count: usize) {
    let policy = Policy { dedup: Dedup { retention: 7 * DAY, window: DAY }, reopen_within: 30 * DAY };
    let clock = Clock::default();
    let store = Store::open(data, 1_024, policy, Box::new(|_, _| {}), clock.clone()).unwrap();
    Runtime::new().unwrap().block_on(fill(&store, &clock, count));
    store.close();
}
