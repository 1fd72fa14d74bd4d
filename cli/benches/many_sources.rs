//! Many sources, plugins and destinations, beside one of each.

use super::load::{self, SECRET, requests_to};
use super::precompiled;
use super::server::{self, Server};
use super::sink;
use super::{Cost, SMALL, SMALL_ID, in_turn, share};
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

const SOURCES: usize = 1_000;
const PLUGINS: usize = 200;
const ROUNDS: usize = 5;
/// The requests of one round to one host.
const REQUESTS: usize = 10_000;
/// Larger files are those of interpreters.
const RUST_BYTES_MAX: usize = 1 << 20;

pub fn run() {
    println!("\n{SOURCES} sources, {PLUGINS} plugins, {SOURCES} destinations, the middle of {ROUNDS}");
    let plugins = precompiled::folder("scale-many", plugins());
    let one = Side::start(1, &precompiled::folder("scale-one", plugins_of_one()), "crowdstrike");
    // The host with one of each goes on, and would take payloads that it has for repeats.
    let mut one_sent = 0;
    for (title, plugin) in [("each source names its plugin", "crowdstrike"), ("`plugin: auto`", "auto")] {
        let started = Instant::now();
        let many = Side::start(SOURCES, &plugins, plugin);
        println!("  {title}");
        println!("    {:<34} {:>9.2} s   goal 5", "ready after", started.elapsed().as_secs_f64());
        println!("    {:<34} {:>9.0} MiB, {:.0} with one of each", "memory", many.memory_mib(), one.memory_mib());
        let mut many_sent = 0;
        let round = in_turn(ROUNDS, || one.post(&mut one_sent), || many.post(&mut many_sent));
        for (name, Cost { rate, cpu_us }) in ["one of each", "many"].iter().zip(round) {
            println!("    {name:<34} {rate:>9.0} /s  {cpu_us:>6.1} µs of CPU");
        }
        println!("    {:<34} {:>9.2}", "share", share(&round));
    }
}

fn plugins_of_one() -> Vec<(String, Vec<u8>)> {
    precompiled::bundled().into_iter().filter(|(name, _)| name == "crowdstrike").collect()
}

/// Returns the bundled plugins in Rust, again and again with other digests.
fn plugins() -> Vec<(String, Vec<u8>)> {
    let bundled = precompiled::bundled();
    let rust: Vec<_> = bundled.into_iter().filter(|(_, bytes)| bytes.len() < RUST_BYTES_MAX).collect();
    let copy = |index: usize| {
        let (name, mut bytes) = rust[index % rust.len()].clone();
        match (index / rust.len()) as u8 {
            0 => (name, bytes),
            number => {
                // A section that has no meaning.
                bytes.extend([0, 6, 5, b'b', b'e', b'n', b'c', b'h']);
                *bytes.last_mut().unwrap() = number;
                (format!("{name}-{number}"), bytes)
            }
        }
    };
    (0..PLUGINS).map(copy).collect()
}

/// A host, the names of its sources, and the receiver of its deliveries.
struct Side {
    host: Server,
    sources: Vec<String>,
    sink: Server,
}

impl Side {
    /// Starts a host with sources, each of whose incidents are sent to a destination of their own.
    fn start(count: usize, plugins: &Path, plugin: &str) -> Self {
        let sink = sink::start();
        let sources: Vec<String> = (0..count).map(|index| format!("source-{index}")).collect();
        let (mut declared, mut destinations, mut notifications) = (String::new(), String::new(), String::new());
        for name in &sources {
            writeln!(declared, "  {name}: {{ secret: \"{SECRET}\", plugin: {plugin} }}").unwrap();
            let url = format!("http://{}/hook", sink.address);
            writeln!(destinations, "  {name}: {{ type: webhook, url: \"{url}\", allow_networks: [127.0.0.0/8] }}")
                .unwrap();
            let filter = format!("{{ _eq: {{ _field: object.source, _value: {name} }} }}");
            let notify = format!("filter: {filter}, notify: [{{ to: {name} }}]");
            writeln!(notifications, "  - {{ name: {name}, trigger: any, {notify} }}").unwrap();
        }
        let config = precompiled::config(plugins)
            + &format!("sources:\n{declared}destinations:\n{destinations}notifications:\n{notifications}");
        Self { host: Server::hookmill(server::folder(&[], &config)), sources, sink }
    }

    fn memory_mib(&self) -> f64 {
        self.host.memory_mib("VmRSS")
    }

    /// Posts to all sources in turn, and waits for all deliveries.
    fn post(&self, sent: &mut usize) -> Cost {
        let numbers = (*sent..*sent + REQUESTS).map(|number| 1_000_000 + number);
        *sent += REQUESTS;
        let (requests, cpu_before) = (requests_to(&self.sources, SMALL, SMALL_ID, numbers), self.host.cpu_s());
        let report = load::run(self.host.address, &requests);
        assert_eq!(report.failed, 0, "some requests failed");
        sink::wait_for(&self.sink, *sent);
        Cost { rate: report.rate(), cpu_us: (self.host.cpu_s() - cpu_before) * 1e6 / REQUESTS as f64 }
    }
}
