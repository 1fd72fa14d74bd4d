//! The budget: where the processor time of an event goes, stage by stage.
//!
//! A server with the code of the program samples its own stacks under load. Each sample is given to one stage, and the share
//! of a stage is that part of the processor time of an event in the same run. The stacks are kept in `target/tmp/budget-*.stacks`,
//! which tools for flame graphs read: a line for each sample, which begins with its stage.

use crate::load;
use crate::sampler::{self, Stack};
use crate::server::Server;
use hookmill_host::config::Config;
use hookmill_host::recent_log;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Lines, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The stages in the order of an event.
const STAGES: [&str; 14] = [
    "head and body",
    "verify",
    "candidates",
    "places",
    "instance",
    "call",
    "checks",
    "record",
    "statements",
    "index of searches",
    "WAL",
    "answer",
    "threads and queues",
    OTHER,
];
/// Parts of names of functions that make a stage of everything they call; the first line with a part in a stack decides. SQLite and the
/// connection do not know for what they are called.
const CALLERS: [(&str, &[&str]); 4] = [
    ("index of searches", &["add_missing"]),
    ("WAL", &["sqlite3BtreeCommitPhase", "sqlite3Checkpoint", "sqlite3VdbeHalt"]),
    ("statements", &["sqlite3", "rusqlite"]),
    ("answer", &["poll_write_vectored", "poll_flush", "receive::answer", "axum::json", "axum_core::response"]),
];
/// Parts of names for all other stacks: the innermost function that has one decides, by its longest one.
const FUNCTIONS: [(&str, &[&str]); 9] = [
    ("head and body", &["hyper::", "axum", "tower::", "hookmill_listen::", "hookmill_host::"]),
    ("verify", &["hookmill_host::verify", "hookmill_signatures::", "sha2::", "hmac::"]),
    ("candidates", &["hookmill_host::map", "hookmill_host::metrics", "hookmill_host::pipeline"]),
    ("places", &["Instances::permits", "Ticker::run"]),
    ("instance", &["instantiate_async", "wasmtime::runtime::store::Store", "hookmill_sandbox::engine"]),
    ("call", &["wasmtime::runtime::component::func", "hookmill_sandbox::"]),
    ("checks", &["hookmill_sandbox::reading", "hookmill_incident::observation", "hookmill_incident::timestamp"]),
    ("record", &["hookmill_store::", "hookmill_incident::"]),
    (
        "threads and queues",
        &[
            "tokio::runtime::context",
            "tokio::runtime::io::driver",
            "tokio::runtime::scheduler",
            "tokio::runtime::task",
            "tokio::sync::mpsc",
            "tokio::sync::oneshot",
            "hookmill_sandbox::ticker::State",
            "write_queue::",
        ],
    ),
];
/// The row of samples that belong to no stage.
const OTHER: &str = "in no stage";

/// Requests before the first sample.
const WARM_UP: usize = 5_000;

/// Serves as `hookmill serve` does. Samples from one line of standard input to the next, and prints the samples of each stage.
pub async fn serve(folder: &Path) {
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(EnvFilter::new("info"));
    tracing_subscriber::registry().with(log).with(recent_log::layer()).init();
    let config = Config::load(&folder.join("hookmill.yaml")).unwrap();
    let running = hookmill_host::serve::start(config, None, None, Vec::new(), hookmill_incident::Clock::default());
    let _running = running.await.unwrap();
    tokio::task::spawn_blocking(sample).await.unwrap();
}

fn sample() {
    let mut lines = std::io::stdin().lines();
    for round in 1.. {
        if lines.next().is_none() {
            return;
        }
        sampler::start();
        lines.next();
        let stacks = sampler::stop();
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("budget-{round}.stacks"));
        let mut file = BufWriter::new(File::create(file).unwrap());
        let mut counts = [0; STAGES.len()];
        for stack in &stacks {
            let stage = stage(stack);
            counts[stage] += 1;
            let outermost_first: Vec<&str> = stack.iter().rev().map(String::as_str).collect();
            writeln!(file, "{};{} 1", STAGES[stage], outermost_first.join(";")).unwrap();
        }
        file.flush().unwrap();
        println!("{}", counts.map(|count: usize| count.to_string()).join(" "));
    }
}

/// Returns the index of the stage to which a sample belongs.
fn stage(stack: &Stack) -> usize {
    let calls = |parts: &[&str]| stack.iter().any(|function| parts.iter().any(|part| function.contains(part)));
    let of_caller = CALLERS.iter().find(|(_, parts)| calls(parts)).map(|(stage, _)| *stage);
    let of_function = |function: &String| {
        let parts = FUNCTIONS.iter().flat_map(|(stage, parts)| parts.iter().map(move |part| (*stage, part)));
        parts.filter(|(_, part)| function.contains(**part)).max_by_key(|(_, part)| part.len()).map(|(stage, _)| stage)
    };
    let stage = of_caller.or_else(|| stack.iter().find_map(of_function)).unwrap_or(OTHER);
    STAGES.iter().position(|name| *name == stage).unwrap()
}

/// A host that samples itself.
pub struct SampledHost {
    server: Server,
    begin_and_end: ChildStdin,
    results: Lines<BufReader<ChildStdout>>,
}

impl SampledHost {
    pub fn start(mut command: Command, folder: tempfile::TempDir) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = Server::host(command, folder);
        let begin_and_end = server.child.stdin.take().unwrap();
        let results = BufReader::new(server.child.stdout.take().unwrap()).lines();
        Self { server, begin_and_end, results }
    }

    /// Prints where the processor time of requests goes.
    pub fn print(&mut self, requests: &Arc<Vec<Vec<u8>>>) {
        let (warm_up, count) = (Arc::new(requests[..WARM_UP].to_vec()), requests.len() - WARM_UP);
        let requests = Arc::new(requests[WARM_UP..].to_vec());
        load::run(self.server.address, &warm_up);
        writeln!(self.begin_and_end).unwrap();
        let cpu_before = self.server.cpu_s();
        let report = load::run(self.server.address, &requests);
        let cpu_us = (self.server.cpu_s() - cpu_before) * 1e6 / count as f64;
        writeln!(self.begin_and_end).unwrap();
        assert_eq!(report.failed, 0, "some requests failed");
        let counts = self.results.next().unwrap().unwrap();
        let counts: Vec<f64> = counts.split(' ').map(|count| count.parse().unwrap()).collect();
        let samples: f64 = counts.iter().sum();
        for (stage, count) in STAGES.iter().zip(&counts) {
            println!("  {stage:<34} {:>6.1} µs  {:>5.1} %", count / samples * cpu_us, count / samples * 100.0);
        }
        println!("  {:<34} {cpu_us:>6.1} µs  {samples:>5} samples", "sum: the processor time of an event");
    }
}
