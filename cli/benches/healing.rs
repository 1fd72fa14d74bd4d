//! The rate at which events in quarantine are mapped again, and how long posts wait meanwhile and while the new mapper is
//! compiled.

use super::load::{self, LoadReport, SECRET, requests, requests_to};
use super::server::{self, Server, plugin_file};
use super::{SMALL, SMALL_ID};
use std::time::{Duration, Instant};

const EVENTS: usize = 50_000;
/// The requests by which the full rate of posts is measured.
const FULL: usize = 20_000;
/// The shares of the full rate at which payloads are posted.
const SHARES: [(&str, f64); 2] = [("half", 0.5), ("a quarter", 0.25)];
/// The duration of one load.
const PART: Duration = Duration::from_secs(2);
/// The loads at each share before events heal, and while they do.
const PARTS: usize = 15;

pub fn run() {
    let events = std::env::var("HOOKMILL_BENCH_QUARANTINED").map_or(EVENTS, |text| text.parse().unwrap());
    println!("\n{events} events in quarantine, while payloads are posted");
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
    let mut post = |share: f64, parts: usize, goes_on: &dyn Fn() -> bool| {
        let (rate, mut report) = (full * share, LoadReport::default());
        let count = (rate * PART.as_secs_f64()) as usize;
        for _ in (0..parts).take_while(|_| goes_on()) {
            report.add(load::run_at(host.address, &requests(SMALL, SMALL_ID, sent, count), rate));
            sent += count;
        }
        assert_eq!(report.failed, 0, "some requests failed");
        report
    };
    for (name, share) in SHARES {
        print(&format!("before, {name} of the full rate"), &post(share, PARTS, &|| true));
    }

    let new = replaced.with_extension("new");
    std::fs::copy(plugin_file("crowdstrike"), &new).unwrap();
    std::fs::rename(new, replaced).unwrap();
    let (name, share) = SHARES[0];
    let report = post(share, PARTS, &|| quarantined(&host) == events);
    print(&format!("while the mapper is compiled, {name}"), &report);
    let (left, started) = (quarantined(&host), Instant::now());
    for (name, share) in SHARES {
        print(&format!("while they heal, {name}"), &post(share, PARTS, &|| true));
    }
    let healed = left - quarantined(&host);
    assert!(healed > 0 && healed < left, "{healed} of {left} events healed; more of them are needed if that is all");
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
