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

/// The stages in the order of an event, each with parts of names of functions. The innermost function of a stack that has
/// such a part decides, by its longest one.
const STAGES: [(&str, &[&str]); 14] = [
    ("head and body", &["hyper::", "axum", "tower::", "hookmill_listen::", "hookmill_host::"]),
    ("verify", &["hookmill_host::verify", "hookmill_signatures::"]),
    ("candidates", &["hookmill_host::map", "hookmill_host::metrics", "hookmill_host::pipeline"]),
    ("places", &["Instances::permits", "Ticker::run"]),
    ("instance", &["instantiate_async", "wasmtime::runtime::store::Store", "hookmill_sandbox::engine"]),
    ("call", &["wasmtime::runtime::component::func", "hookmill_sandbox::"]),
    ("checks", &["hookmill_sandbox::reading", "hookmill_incident::observation", "hookmill_incident::timestamp"]),
    ("record", &["hookmill_store::ledger", "hookmill_incident::"]),
    ("statements", &["hookmill_store::sqlite"]),
    ("index of searches", &["hookmill_store::sqlite::postings", "hookmill_store::sqlite::unindexed"]),
    ("WAL", &["write_queue::CommitGroups>::", "walWriteOneFrame", "sqlite3WalCheckpoint", "unixSync"]),
    ("answer", &["::poll_flush", "Http1Transaction>::encode", "hookmill_host::receive::answer", "axum::json"]),
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
    (OTHER, &[]),
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
            writeln!(file, "{};{} 1", STAGES[stage].0, outermost_first.join(";")).unwrap();
        }
        file.flush().unwrap();
        println!("{}", counts.map(|count: usize| count.to_string()).join(" "));
    }
}

/// Returns the index of the stage to which a sample belongs.
fn stage(stack: &Stack) -> usize {
    let of_function = |function: &String| {
        let parts =
            STAGES.iter().enumerate().flat_map(|(index, (_, parts))| parts.iter().map(move |part| (index, part)));
        parts.filter(|(_, part)| function.contains(**part)).max_by_key(|(_, part)| part.len()).map(|(index, _)| index)
    };
    stack.iter().find_map(of_function).unwrap_or(STAGES.len() - 1)
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
        for ((stage, _), count) in STAGES.iter().zip(&counts) {
            println!("  {stage:<34} {:>6.1} µs  {:>5.1} %", count / samples * cpu_us, count / samples * 100.0);
        }
        println!("  {:<34} {cpu_us:>6.1} µs  {samples:>5} samples", "sum: the processor time of an event");
    }
}
