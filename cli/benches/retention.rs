//! Measures how much the removal of old events delays payloads.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark may stop at an unexpected result")]

#[allow(dead_code, reason = "other benchmarks use the rest")]
mod load;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod server;

use hookmill_host::config::Config;
use hookmill_host::running::Running;
use hookmill_host::serve;
use hookmill_incident::{Clock, STEADY_FOR};
use load::{LoadReport, requests};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const PAYLOAD: &str = include_str!("../../plugins/crowdstrike/payloads/small.json");
const ID: &str = ":42";
const EVENTS: usize = 100_000;
/// The requests of one load, and the loads before the removal.
const PART: usize = 5_000;
const PARTS_BEFORE: usize = 4;
/// Events are remembered for a second, and removed some seconds later.
const REMEMBERED: &str = "dedup_retention: 1s\ndedup_window: 1s\n";
const OLD_ENOUGH: Duration = Duration::from_secs(5);

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    println!("\n{EVENTS} old events are removed while payloads are posted over {} connections", load::CONNECTIONS);
    let mut sent = 0;
    {
        let host = Host::start(data.path(), "");
        while sent < EVENTS {
            post(&host, &mut sent);
        }
        let before: Vec<LoadReport> = (0..PARTS_BEFORE).map(|_| post(&host, &mut sent)).collect();
        print("before", &merged(before));
    }
    std::thread::sleep(OLD_ENOUGH);
    let (host, started) = (Host::start(data.path(), "retention: { events: 1s }\n"), Instant::now());
    let mut during = Vec::new();
    while host.removed() < EVENTS {
        during.push(post(&host, &mut sent));
    }
    print("while they are removed", &merged(during));
    println!("  {:<34} {:>9.1} s", "until the last one was removed", started.elapsed().as_secs_f64());
}

/// A host in this process: its clock has kept pace for long enough to remove something.
struct Host {
    runtime: Runtime,
    running: Option<Running>,
    address: SocketAddr,
    _folder: TempDir,
}

impl Host {
    fn start(data: &Path, retention: &str) -> Self {
        let folder = server::folder(&["crowdstrike"], "");
        let text = format!(
            "listen: 127.0.0.1:0\ndata_dir: {}\n{REMEMBERED}{retention}sources: {{ crowdstrike: {{ scheme: none }} }}\n",
            data.display()
        );
        let config = Config::parse(&text, folder.path()).unwrap();
        let runtime = Runtime::new().unwrap();
        let clock = Clock::steady_since(Instant::now().checked_sub(STEADY_FOR).unwrap());
        let running = runtime.block_on(serve::start(config, None, None, Vec::new(), clock)).unwrap();
        while !running.is_ready() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { runtime, address: running.address, running: Some(running), _folder: folder }
    }

    fn removed(&self) -> usize {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: x\r\n\r\n").unwrap();
        let mut metrics = String::new();
        stream.read_to_string(&mut metrics).unwrap();
        let value =
            metrics.lines().find_map(|line| line.strip_prefix("retention_removed_rows_total{kind=\"events\"} "));
        value.map_or(0, |value| value.parse().unwrap())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

fn post(host: &Host, sent: &mut usize) -> LoadReport {
    let report = load::run(host.address, &requests(PAYLOAD, ID, *sent, PART));
    assert_eq!(report.failed, 0);
    *sent += PART;
    report
}

fn merged(reports: Vec<LoadReport>) -> LoadReport {
    let mut all = LoadReport::default();
    reports.into_iter().for_each(|report| all.add(report));
    all
}

fn print(name: &str, report: &LoadReport) {
    let ms = |share| report.percentile(share).as_secs_f64() * 1e3;
    let (median, tail, most) = (ms(0.5), ms(0.99), ms(0.999));
    println!("  {name:<34} {:>9.0} /s   median {median:.2} ms   p99 {tail:.2} ms   p99.9 {most:.2} ms", report.rate());
}
