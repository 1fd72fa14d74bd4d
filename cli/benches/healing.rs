//! How long posts wait while the mapper of events in quarantine is compiled and while they heal, beside a host where they
//! stay: both get the same load in turn, and one stands still while the other has it.

use super::load::{self, LoadReport, SECRET, requests, requests_to};
use super::server::{self, Server, plugin_file};
use super::{SMALL, SMALL_ID};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const EVENTS: usize = 50_000;
/// The requests by which the full rate of posts is measured.
const FULL: usize = 20_000;
/// The shares of the full rate at which payloads are posted.
const SHARES: [(&str, f64); 2] = [("half", 0.5), ("a quarter", 0.25)];
/// The duration of one load.
const PART: Duration = Duration::from_secs(2);
/// The loads at each share to each host.
const PARTS: usize = 15;

pub fn run() {
    let events = std::env::var("HOOKMILL_BENCH_QUARANTINED").map_or(EVENTS, |text| text.parse().unwrap());
    println!("\n{events} events in quarantine at each of two hosts; at one of them they heal");
    let mut hosts = [Host::with_quarantined(events), Host::with_quarantined(events)];
    let rates = hosts.each_mut().map(|host| host.send(FULL, load::run).rate());
    hosts.iter().for_each(|host| host.server.pause());
    let full = rates[0].min(rates[1]);

    let healing = &mut hosts[1];
    healing.server.resume();
    healing.replace_mapper();
    let mut compiling = LoadReport::default();
    let (name, share) = SHARES[0];
    while healing.quarantined() == events {
        compiling.add(healing.post(full * share));
    }
    print(&format!("{name}, while the mapper is compiled"), &compiling);
    let (left, mut healing_for) = (healing.quarantined(), Duration::ZERO);
    healing.server.pause();

    for (name, share) in SHARES {
        let mut reports = [LoadReport::default(), LoadReport::default()];
        for _ in 0..PARTS {
            for (host, report) in hosts.iter_mut().zip(&mut reports) {
                host.server.resume();
                report.add(host.post(full * share));
                host.server.pause();
            }
        }
        for (verb, report) in ["stay", "heal"].iter().zip(&reports) {
            print(&format!("{name}, where events {verb}"), report);
        }
        healing_for += reports[1].elapsed;
    }
    hosts.iter().for_each(|host| host.server.resume());
    let healed = left - hosts[1].quarantined();
    assert!(healed > 0 && healed < left, "{healed} of {left} events healed; more of them are needed if that is all");
    println!("  {:<34} {:>9.0} /s", "events that heal", healed as f64 / healing_for.as_secs_f64());
}

/// A host with events in quarantine.
struct Host {
    server: Server,
    sent: usize,
}

impl Host {
    fn with_quarantined(events: usize) -> Self {
        let source = format!("secret: \"{SECRET}\", on_unmappable: accept");
        let config = format!("sources:\n  crowdstrike: {{ {source} }}\n  healed: {{ {source}, plugin: replaced }}\n");
        let folder = server::folder(&["crowdstrike"], &config);
        // The mapper of another vendor supports none of the payloads.
        std::fs::copy(plugin_file("elastic"), folder.path().join("plugins/replaced.wasm")).unwrap();
        let host = Self { server: Server::hookmill(folder), sent: 0 };
        let numbers = (0..events).map(|number| 1_000_000 + number);
        let report = load::run(host.server.address, &requests_to(&["healed"], SMALL, SMALL_ID, numbers));
        assert_eq!(report.failed, 0, "some requests failed");
        assert_eq!(host.quarantined(), events);
        host
    }

    /// Puts a mapper that supports the events in the place of the one that does not.
    fn replace_mapper(&self) {
        let mapper = self.server.folder.path().join("plugins/replaced.wasm");
        std::fs::copy(plugin_file("crowdstrike"), mapper.with_extension("new")).unwrap();
        std::fs::rename(mapper.with_extension("new"), mapper).unwrap();
    }

    /// Posts payloads at a rate for the duration of one load.
    fn post(&mut self, rate: f64) -> LoadReport {
        self.send((rate * PART.as_secs_f64()) as usize, |address, requests| load::run_at(address, requests, rate))
    }

    fn send(&mut self, count: usize, send: impl FnOnce(SocketAddr, &Arc<Vec<Vec<u8>>>) -> LoadReport) -> LoadReport {
        let report = send(self.server.address, &requests(SMALL, SMALL_ID, self.sent, count));
        self.sent += count;
        assert_eq!(report.failed, 0, "some requests failed");
        report
    }

    fn quarantined(&self) -> usize {
        let metrics = self.server.get("/metrics");
        let value = metrics.lines().find_map(|line| line.strip_prefix("quarantined_events "));
        value.unwrap().parse().unwrap()
    }
}

fn print(name: &str, report: &LoadReport) {
    let ms = |share| report.percentile(share).as_secs_f64() * 1e3;
    let (median, tail, most) = (ms(0.5), ms(0.99), ms(1.0));
    println!("  {name:<34} {:>9.0} /s   p50 {median:.2} ms   p99 {tail:.2} ms   max {most:.2} ms", report.rate());
}
