//! Measures the rate of the pipeline, stage by stage, as a share of a bare HTTP server's rate, and the cost of a reload
//! under load.
//!
//! Every figure is printed beside its baseline from the same run: a server that reads the body and answers, with the
//! same framework, the same load and the same two cores.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark may stop at an unexpected result")]

#[allow(dead_code, reason = "the benchmark of scale uses the rest")]
mod budget;
mod engine_alone;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod load;
#[allow(dead_code, reason = "the benchmark `mapping` needs the rest")]
mod mapper;
mod sampler;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod server;

use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use budget::SampledHost;
use futures_util::stream::{StreamExt, iter, pending};
use hookmill_host::aws::Aws;
use hookmill_host::config::Config;
use hookmill_host::host::Host;
use hookmill_host::issuers::Issuers;
use hookmill_host::map::Mappers;
use hookmill_host::traces::Trace;
use hookmill_host::verify::Unverified;
use load::{LoadReport, SECRET, requests};
use mapper::{Mapper, times};
use server::{Server, plugin_file};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SMALL: &str = include_str!("../../plugins/crowdstrike/payloads/small.json");
const LARGE: &str = include_str!("../../plugins/crowdstrike/payloads/large.json");
/// The end of the detection's id, which a count makes another one.
const SMALL_ID: &str = ":42";
const LARGE_ID: &str = ":1288490194301";
const PAYLOADS: [(&str, &str, &str, usize); 2] =
    [("200-byte payload", SMALL, SMALL_ID, REQUESTS), ("6 KB payload", LARGE, LARGE_ID, LARGE_REQUESTS)];
const ROUNDS: usize = 3;
const REQUESTS: usize = 40_000;
const LARGE_REQUESTS: usize = 20_000;
/// Requests before the first sample of the budget.
const WARM_UP: usize = 5_000;
const RELOAD_EVERY: Duration = Duration::from_millis(200);
const RELOADS: u32 = 50;
const PLUGINS: [&str; 5] = ["crowdstrike", "defender-office365", "elastic", "generic", "splunk"];

/// `cargo bench --bench pipeline -- bare`, `-- mapped`, `-- durable` or `-- pulled` runs one stage alone, for a profiler;
/// `-- budget` runs what the goals are about.
/// `-- against PROGRAM` compares with `hookmill` of another build.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", kind, folder] => serve(kind, Path::new(folder)),
        ["bare"] => stage(&bench("bare")),
        ["mapped"] => stage(&bench("mapped")),
        ["durable"] => stage(&Server::hookmill(folder())),
        ["against", program] => against(program),
        ["stream"] => stream(),
        ["pulled"] => pulled(),
        ["budget"] => stages(),
        _ => {
            stages();
            pulled();
            reload();
        }
    }
}

/// As in the program itself, for the baseline too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A server of this benchmark, in a process of its own.
#[tokio::main(flavor = "multi_thread")]
async fn serve(kind: &str, folder: &Path) {
    if kind == "sampled" {
        return budget::serve("budget".to_owned(), folder).await;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let path = "/api/webhooks/crowdstrike";
    let router = match kind {
        "bare" => Router::new().route(path, post(bare)),
        _ => {
            let config = Config::load(&folder.join("hookmill.yaml")).unwrap();
            let running =
                hookmill_host::serve::start(config, None, None, Vec::new(), hookmill_incident::Clock::default())
                    .await
                    .unwrap();
            while !running.is_ready() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let host = running.host().clone();
            std::mem::forget(running);
            let mappers = Mappers::new(host.loaded.clone(), host.metrics.clone());
            let issuers = Issuers::new(host.store.clock().clone());
            let stages = Stages { host, aws: Aws::new().unwrap(), issuers, mappers };
            Router::new().route(path, post(mapped)).with_state(Arc::new(stages))
        }
    };
    eprintln!("listens on http://{address}");
    axum::serve(listener, router).await.unwrap();
}

async fn bare(body: Bytes) -> (StatusCode, String) {
    (StatusCode::ACCEPTED, format!("{{\"status\":\"accepted\",\"bytes\":{}}}", body.len()))
}

/// The stages that the server `mapped` runs, and the host with the sources.
struct Stages {
    host: Arc<Host>,
    aws: Aws,
    issuers: Issuers,
    mappers: Mappers,
}

/// Verify and map, and keep nothing.
async fn mapped(State(stages): State<Arc<Stages>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Stages { host, aws, issuers, mappers } = &*stages;
    let source = host.sources.get("crowdstrike").unwrap();
    let (received_at, begun) = (hookmill_incident::Clock::default().now_ms(), std::time::Instant::now());
    let (id, trace) = (host.store.new_id(), Trace::default());
    let unverified = Unverified { id, received_at, begun, source, headers, token: None, query: None, body, trace };
    let Ok(verified) = hookmill_host::verify::verify(unverified, aws, issuers).await else {
        return StatusCode::UNAUTHORIZED;
    };
    match mappers.map(verified, 1).await.verdict {
        hookmill_incident::Verdict::Read { .. } => StatusCode::ACCEPTED,
        other => panic!("{other:?}"),
    }
}

fn bench(kind: &str) -> Server {
    let folder = folder();
    Server::start(command(kind, &folder), folder)
}

fn command(kind: &str, folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["serve", kind]).arg(folder.path());
    command
}

fn folder() -> tempfile::TempDir {
    server::folder(&PLUGINS, &format!("sources: {{ crowdstrike: {{ secret: \"{SECRET}\" }} }}\n"))
}

/// The best rate of some rounds, each against all servers in turn, so that all see the same machine; and the least
/// processor time that a request took in a server, in microseconds.
fn rates(servers: &[&Server], payload: &str, id: &str, count: usize) -> Vec<(f64, f64)> {
    let mut best = vec![(0.0_f64, f64::MAX); servers.len()];
    for round in 0..ROUNDS {
        let requests = requests(payload, id, round * count, count);
        for (server, (rate, cpu_us)) in servers.iter().zip(&mut best) {
            let cpu_before = server.cpu_s();
            let report = load::run(server.address, &requests);
            assert_eq!(report.failed, 0, "some requests failed");
            *rate = rate.max(report.rate());
            *cpu_us = cpu_us.min((server.cpu_s() - cpu_before) * 1e6 / count as f64);
        }
    }
    best
}

fn stage(server: &Server) {
    let rates = rates(&[server], SMALL, SMALL_ID, REQUESTS);
    println!("{:.0} /s, {:.1} µs of CPU", rates[0].0, rates[0].1);
}

/// Compares the whole path with that of another build, in one run.
fn against(program: &str) {
    let (bare, other, this) = (bench("bare"), Server::build(program, folder()), Server::hookmill(folder()));
    for (title, payload, id, count) in PAYLOADS {
        println!("\n{title}, {} connections, {count} requests a round, best of {ROUNDS}", load::CONNECTIONS);
        let rates = rates(&[&bare, &other, &this], payload, id, count);
        for (name, (rate, cpu_us)) in ["bare handler", "the other build", "this build"].iter().zip(&rates) {
            let of_other = cpu_us / rates[1].1;
            println!("  {name:<34} {rate:>9.0} /s  {cpu_us:>6.1} µs of CPU  {of_other:>5.2} of the other build's CPU");
        }
    }
}

/// Measures the stages and what the goals are about.
fn stages() {
    let (bare, mapped, whole) = (bench("bare"), bench("mapped"), Server::hookmill(folder()));
    let servers = [&bare, &mapped, &whole];
    let names = ["bare handler", "verify, map in a fresh instance", "… and commit durably (fsync)"];
    let folder = folder();
    let mut sampled = SampledHost::start(command("sampled", &folder), folder);
    for (title, payload, id, count) in PAYLOADS {
        println!("\n{title}, {} connections, {count} requests a round, best of {ROUNDS}", load::CONNECTIONS);
        let goals = if id == SMALL_ID { ["", "at most 32 µs", "at most 60 µs, at least 0.30"] } else { [""; 3] };
        let rates = rates(&servers, payload, id, count);
        for ((name, (rate, cpu_us)), goal) in names.iter().zip(&rates).zip(goals) {
            println!(
                "  {name:<34} {rate:>9.0} /s  {cpu_us:>6.1} µs of CPU  {:>5.2} of bare  {goal}",
                rate / rates[0].0
            );
        }
        half_load(&whole, rates[2].0 / 2.0, &requests(payload, id, ROUNDS * count, count));
        println!("\n{title}: where the processor time of an event goes");
        where_time_goes(&mut sampled, &requests(payload, id, 0, ROUNDS * count));
        fresh(payload);
    }
    println!(
        "\npeak memory of the host under this load, five mappers loaded: {:.0} MiB  at most 150",
        whole.memory_mib("VmHWM")
    );
}

/// Prints where the processor time of an event goes.
fn where_time_goes(host: &mut SampledHost, requests: &[Vec<u8>]) {
    let (warm_up, sampled) = requests.split_at(WARM_UP);
    let send = |server: &Server, requests: &[Vec<u8>]| {
        assert_eq!(load::run(server.address, &Arc::new(requests.to_vec())).failed, 0, "some requests failed");
    };
    send(&host.server, warm_up);
    let budget = host.sample(sampled.len(), |server| send(server, sampled));
    let cpu_us = budget.cpu_us();
    for (stage, share) in budget.stages() {
        println!("  {stage:<34} {:>6.1} µs  {:>5.1} %", share * cpu_us, share * 100.0);
    }
    println!("  {:<34} {cpu_us:>6.1} µs  {:>5} samples", "sum: the processor time of an event", budget.samples());
}

/// Prints the latencies at a rate.
fn half_load(server: &Server, rate: f64, requests: &Arc<Vec<Vec<u8>>>) {
    let report = load::run_at(server.address, requests, rate);
    assert_eq!(report.failed, 0, "some requests failed");
    let (p50, p99) = (report.percentile(0.5), report.percentile(0.99));
    println!("  … at half of its rate: p50 {p50:.1?}, p99 {p99:.1?}  at most 5 ms");
}

/// Prints what an instance costs beside the engine alone.
fn fresh(payload: &str) {
    let mapper = Mapper::new(payload);
    let [instance, alone, fresh] =
        times([&mut || mapper.instantiate_alone(), &mut || mapper.map_alone(), &mut || mapper.map()]);
    println!("\n  engine alone, instantiated and dropped {instance:>6.1} µs");
    println!("  engine alone, fresh instance           {alone:>6.1} µs");
    println!("  the host's fresh instance              {fresh:>6.1} µs  {:>+5.1} µs  at most +1", fresh - alone);
}

/// The same load for ten seconds without and with a reload every 200 ms.
fn reload() {
    println!("\nreload every {} ms under load, {RELOADS} times", RELOAD_EVERY.as_millis());
    for reloads in [0, RELOADS] {
        let server = Server::hookmill(folder());
        let stop = Arc::new(AtomicBool::new(false));
        let (address, stopped) = (server.address, stop.clone());
        let sender = std::thread::spawn(move || {
            let mut total = LoadReport::default();
            let mut round = 0;
            while !stopped.load(Ordering::Relaxed) {
                let report = load::run(address, &requests(SMALL, SMALL_ID, round * 20_000, 20_000));
                total.accepted += report.accepted;
                total.failed += report.failed;
                total.latencies.extend(report.latencies);
                round += 1;
            }
            total.latencies.sort_unstable();
            total
        });
        let live = replace_repeatedly(&server, reloads);
        stop.store(true, Ordering::Relaxed);
        let report = sender.join().unwrap();
        println!(
            "  {reloads:>3} replacements: {} accepted, {} failed, p50 {:?}, p99 {:?}, max {:?}{live}",
            report.accepted,
            report.failed,
            report.percentile(0.5),
            report.percentile(0.99),
            report.percentile(1.0),
        );
        assert_eq!(report.failed, 0, "a reload lost requests");
        let stored = stored_events(&server);
        assert_eq!(stored, report.accepted, "the store does not hold what was accepted");
    }
}

/// Puts a new version in place again and again; as many bytes as before, each time another digest.
fn replace_repeatedly(server: &Server, reloads: u32) -> String {
    let bytes = std::fs::read(plugin_file("crowdstrike")).unwrap();
    let folder = server.folder.path().join("plugins");
    let started = Instant::now();
    for round in 0..RELOADS {
        if round < reloads {
            let mut version = bytes.clone();
            version.extend([0, 6, 5, b'b', b'e', b'n', b'c', b'h']);
            let last = version.len() - 1;
            version[last] = round as u8;
            std::fs::write(folder.join(".new"), &version).unwrap();
            std::fs::rename(folder.join(".new"), folder.join("crowdstrike.wasm")).unwrap();
        }
        std::thread::sleep((started + RELOAD_EVERY * (round + 1)).saturating_duration_since(Instant::now()));
    }
    let metrics = server.get("/metrics");
    let loaded =
        metrics.lines().find(|line| line.starts_with("plugin_reloads_total{plugin=\"crowdstrike\",result=\"loaded\"}"));
    format!(", {} versions went live", loaded.and_then(|line| line.split(' ').next_back()).unwrap_or("0"))
}

fn stored_events(server: &Server) -> usize {
    let database = rusqlite::Connection::open(server.folder.path().join("data/hookmill.db")).unwrap();
    let sql = "SELECT count(*) FROM events WHERE status = 'mapped'";
    database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as usize
}

/// An OpenCTI live stream that sends all events immediately and then stays silent.
#[tokio::main(flavor = "current_thread")]
async fn stream() {
    let frame = |index: usize| {
        let body = SMALL.replace(SMALL_ID, &format!("{SMALL_ID}{}", 1_000_000 + index)).replace('\n', " ");
        Ok::<_, std::io::Error>(format!("id: {}-0\nevent: create\ndata: {body}\n\n", 1_700_000_000_000 + index))
    };
    let send = move || async move {
        let frames = iter((0..REQUESTS).map(frame)).chain(pending());
        ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(frames))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    eprintln!("listens on http://{}", listener.local_addr().unwrap());
    axum::serve(listener, Router::new().route("/stream/live", get(send))).await.unwrap();
}

/// Measures pulling over one connection, compared with posting the same payloads over many connections.
fn pulled() {
    println!("\n{REQUESTS} small payloads, mapped in fresh instances and stored durably");
    let host = Server::hookmill(folder());
    let report = load::run(host.address, &requests(SMALL, SMALL_ID, 0, REQUESTS));
    assert_eq!(report.failed, 0, "some requests failed");
    let posted = report.rate();
    println!("  {:<34} {posted:>9.0} /s", "posted over 64 connections");
    drop(host);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("stream");
    let stream = Server::start(command, tempfile::tempdir().unwrap());
    let source = format!(
        "sources: {{ octi: {{ kind: opencti-stream, url: \"http://{}\", stream: live, plugin: crowdstrike, \
         allow_networks: [127.0.0.0/8] }} }}\n",
        stream.address
    );
    let host = Server::hookmill(server::folder(&PLUGINS, &source));
    let read = || {
        let metrics = host.get("/metrics");
        let count = metrics.lines().find_map(|line| line.strip_prefix("webhook_received_total{source=\"octi\"} "));
        count.map_or(0, |count| count.parse::<usize>().unwrap())
    };
    while read() == 0 {}
    let (started, first) = (Instant::now(), read());
    while read() < REQUESTS {
        std::thread::sleep(Duration::from_millis(5));
    }
    let rate = (REQUESTS - first) as f64 / started.elapsed().as_secs_f64();
    println!("  {:<34} {rate:>9.0} /s  {:>5.2} of posted", "read from a stream, one connection", rate / posted);
}
