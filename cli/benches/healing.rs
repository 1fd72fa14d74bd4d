//! The rate at which events in quarantine are mapped again, and how long posts wait meanwhile and while the new mapper is
//! compiled.

use super::load::{self, LoadReport, SECRET, requests, requests_to};
use super::server::{self, Server, plugin_file};
use super::{SMALL, SMALL_ID};
use std::time::{Duration, Instant};

const EVENTS: usize = 50_000;
/// The requests by which the full rate of posts is measured.
const FULL: usize = 20_000;
/// The duration of one load.
const PART: Duration = Duration::from_secs(2);
/// The loads before events heal, and while they do.
const PARTS: usize = 15;

pub fn run() {
    let events = std::env::var("HOOKMILL_BENCH_QUARANTINED").map_or(EVENTS, |text| text.parse().unwrap());
    println!("\n{events} events in quarantine, while payloads are posted at half of the full rate");
    let source = format!("secret: \"{SECRET}\", on_unmappable: accept");
    let config = format!("sources:\n  crowdstrike: {{ {source} }}\n  healed: {{ {source}, plugin: replaced }}\n");
    let folder = server::folder(&["crowdstrike"], &config);
    let replaced = folder.path().join("plugins/replaced.wasm");
    // The mapper of another vendor supports none of the payloads.
    std::fs::copy(plugin_file("elastic"), &replaced).unwrap();
    let host = Server::hookmill(folder);
    let numbers = (0..events).map(|number| 1_000_000 + number);
    assert_eq!(load::run(host.address, &requests_to(&["healed"], SMALL, SMALL_ID, numbers)).failed, 0);
    assert_eq!(quarantined(&host), events);

    let mut sent = 0;
    let full = load::run(host.address, &requests(SMALL, SMALL_ID, sent, FULL)).rate();
    sent += FULL;
    let mut post = || {
        let count = (full / 2.0 * PART.as_secs_f64()) as usize;
        let report = load::run_at(host.address, &requests(SMALL, SMALL_ID, sent, count), full / 2.0);
        assert_eq!(report.failed, 0, "some requests failed");
        sent += count;
        report
    };
    let mut before = LoadReport::default();
    (0..PARTS).for_each(|_| before.add(post()));
    print("before", &before);

    let new = replaced.with_extension("new");
    std::fs::copy(plugin_file("crowdstrike"), &new).unwrap();
    std::fs::rename(new, replaced).unwrap();
    let mut replacing = LoadReport::default();
    for _ in (0..PARTS).take_while(|_| quarantined(&host) == events) {
        replacing.add(post());
    }
    print("while the mapper is compiled", &replacing);
    let (left, started) = (quarantined(&host), Instant::now());
    let mut during = LoadReport::default();
    (0..PARTS).for_each(|_| during.add(post()));
    let healed = left - quarantined(&host);
    print("while they heal", &during);
    assert!(healed > 0 && healed < left, "{healed} of {left} events healed");
    println!("  {:<34} {:>9.0} /s", "events that heal", healed as f64 / started.elapsed().as_secs_f64());
}

fn quarantined(host: &Server) -> usize {
    let metrics = host.get("/metrics");
    let value = metrics.lines().find_map(|line| line.strip_prefix("quarantined_events "));
    value.unwrap().parse().unwrap()
}

fn print(name: &str, report: &LoadReport) {
    let ms = |share| report.percentile(share).as_secs_f64() * 1e3;
    let (median, tail, most) = (ms(0.5), ms(0.99), ms(1.0));
    println!("  {name:<34} {:>9.0} /s   p50 {median:.2} ms   p99 {tail:.2} ms   max {most:.2} ms", report.rate());
}
