//! Many sources, plugins and destinations, beside one of each.

use super::budget::{self, Budget, SampledHost};
use super::load::{self, LoadReport, SECRET, requests_to};
use super::precompiled;
use super::server::{self, Server};
use super::sink;
use super::{Cost, SMALL, SMALL_ID, in_turn, share};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;

const SOURCES: usize = 1_000;
const PLUGINS: usize = 200;
const ROUNDS: usize = 5;
/// The requests of one round to one host.
const REQUESTS: usize = 10_000;
/// A rate in payloads per second that both hosts keep up with.
const RATE: f64 = 2_000.0;
/// Larger files are those of interpreters.
const RUST_BYTES_MAX: usize = 1 << 20;

pub fn run() {
    println!("\n{SOURCES} sources, {PLUGINS} plugins, {SOURCES} destinations, the middle of {ROUNDS}");
    let plugins = [precompiled::folder("scale-one", plugins_of_one()), precompiled::folder("scale-many", plugins())];
    for (title, plugin) in [("each source names its plugin", "crowdstrike"), ("`plugin: auto`", "auto")] {
        println!("  {title}");
        rates(&plugins, plugin);
        stages(&plugins, plugin);
    }
}

/// Prints the start, the memory and the rates of a host with one of each, and with many.
fn rates([of_one, of_many]: &[PathBuf; 2], plugin: &str) {
    let (mut to_one, folder) = Senders::new(1, of_one, plugin);
    let one = Server::hookmill(folder);
    let (mut to_many, folder) = Senders::new(SOURCES, of_many, plugin);
    let started = Instant::now();
    let many = Server::hookmill(folder);
    println!("    {:<34} {:>9.2} s   goal 5", "ready after", started.elapsed().as_secs_f64());
    let memory_mib = |host: &Server| host.memory_mib("VmRSS");
    println!("    {:<34} {:>9.0} MiB, {:.0} with one of each", "memory", memory_mib(&many), memory_mib(&one));
    let round = in_turn(ROUNDS, || to_one.cost(&one), || to_many.cost(&many));
    for (name, Cost { rate, cpu_us }) in ["one of each", "many"].iter().zip(round) {
        println!("    {name:<34} {rate:>9.0} /s  {cpu_us:>6.1} µs of CPU");
    }
    println!("    {:<34} {:>9.2}", "share", share(&round));
}

/// Prints where the processor time of an event goes with one of each, and with many, at a rate that is the same for both.
fn stages([of_one, of_many]: &[PathBuf; 2], plugin: &str) {
    let mut sides = [("scale-one", 1, of_one), ("scale-many", SOURCES, of_many)].map(|(name, count, plugins)| {
        let (mut senders, folder) = Senders::new(count, plugins, plugin);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["sampled", &format!("{name}-{plugin}")]).arg(folder.path());
        let host = SampledHost::start(command, folder);
        senders.post(&host.server, load::run);
        (host, senders, Budget::default())
    });
    for _ in 0..ROUNDS {
        for (host, senders, budget) in &mut sides {
            budget.add(&host.sample(REQUESTS, |server| {
                senders.post(server, |address, requests| load::run_at(address, requests, RATE));
            }));
        }
    }
    let [(_, _, one), (_, _, many)] = &sides;
    println!("    {:<34} {:>12}  {:>12}", format!("at {RATE} /s"), "one of each", "many");
    for ((stage, of_one), (_, of_many)) in one.stages().zip(many.stages()) {
        println!("      {stage:<32} {:>9.1} µs  {:>9.1} µs", of_one * one.cpu_us(), of_many * many.cpu_us());
    }
    println!("      {:<32} {:>9.1} µs  {:>9.1} µs", "sum", one.cpu_us(), many.cpu_us());
    println!("      {:<32} {:>9}     {:>9}", "samples", one.samples(), many.samples());
}

/// Runs a host that samples itself.
#[tokio::main]
pub async fn serve(name: &str, folder: &Path) {
    budget::serve(name.to_owned(), folder).await;
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

/// The senders of the payloads of a host's sources, and the receiver of its deliveries.
struct Senders {
    sources: Vec<String>,
    sink: Server,
    sent: usize,
}

impl Senders {
    /// Returns the senders, and a folder for a host with as many sources, each of whose incidents are sent to a destination of
    /// their own.
    fn new(count: usize, plugins: &Path, plugin: &str) -> (Self, TempDir) {
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
        (Self { sources, sink, sent: 0 }, server::folder(&[], &config))
    }

    /// Posts to all sources in turn as fast as they answer.
    fn cost(&mut self, host: &Server) -> Cost {
        let cpu_before = host.cpu_s();
        let report = self.post(host, load::run);
        Cost { rate: report.rate(), cpu_us: (host.cpu_s() - cpu_before) * 1e6 / REQUESTS as f64 }
    }

    /// Sends a load to all sources in turn, and waits for all deliveries.
    fn post(&mut self, host: &Server, send: impl FnOnce(SocketAddr, &Arc<Vec<Vec<u8>>>) -> LoadReport) -> LoadReport {
        let numbers = (self.sent..self.sent + REQUESTS).map(|number| 1_000_000 + number);
        self.sent += REQUESTS;
        let report = send(host.address, &requests_to(&self.sources, SMALL, SMALL_ID, numbers));
        assert_eq!(report.failed, 0, "some requests failed");
        sink::wait_for(&self.sink, self.sent);
        report
    }
}
