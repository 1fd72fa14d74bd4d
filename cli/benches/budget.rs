//! The budget: where the processor time of an event goes, stage by stage.
//!
//! A server with the code of the program samples its own stacks under load. Each sample is given to one stage, and the share
//! of a stage is that part of the processor time of an event in the same run. The stacks are kept in `target/tmp/NAME-*.stacks`,
//! which tools for flame graphs read: a line for each sample, which begins with its stage.

use crate::sampler::{self, Stack};
use crate::server::Server;
use hookmill_host::config::Config;
use hookmill_host::recent_log;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Lines, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The stages in the order of an event.
const STAGES: [&str; 15] = [
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
    "deliver",
    "threads and queues",
    OTHER,
];
/// Parts of names of functions that make a stage of everything they call; the first line with a part in a stack decides. SQLite and the
/// connection do not know for what they are called.
const CALLERS: [(&str, &[&str]); 5] = [
    ("index of searches", &["add_missing"]),
    ("WAL", &["sqlite3BtreeCommitPhase", "sqlite3Checkpoint", "sqlite3VdbeHalt"]),
    (
        "deliver",
        &[
            "hookmill_host::deliver",
            "record_attempts",
            "DueDeliveries",
            "reqwest::",
            "hyper_util::client",
            "hyper::client",
        ],
    ),
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

/// Serves as `hookmill serve` does. Samples from one line of standard input to the next, and prints the samples of each stage.
/// The files of stacks have names that begin with `name`.
pub async fn serve(name: String, folder: &Path) {
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(EnvFilter::new("info"));
    tracing_subscriber::registry().with(log).with(recent_log::layer()).init();
    let config = Config::load(&folder.join("hookmill.yaml")).unwrap();
    let running = hookmill_host::serve::start(config, None, None, Vec::new(), hookmill_incident::Clock::default());
    let _running = running.await.unwrap();
    tokio::task::spawn_blocking(move || sample(&name)).await.unwrap();
}

fn sample(name: &str) {
    let mut lines = std::io::stdin().lines();
    for round in 1.. {
        if lines.next().is_none() {
            return;
        }
        sampler::start();
        lines.next();
        let stacks = sampler::stop();
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{round}.stacks"));
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

/// The processor time of events, with the samples of each stage.
#[derive(Default)]
pub struct Budget {
    events: usize,
    cpu_s: f64,
    samples: [usize; STAGES.len()],
}

impl Budget {
    /// Adds other events.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.cpu_s += other.cpu_s;
        self.samples.iter_mut().zip(other.samples).for_each(|(sum, count)| *sum += count);
    }

    /// Returns the processor time of an event in microseconds.
    pub fn cpu_us(&self) -> f64 {
        self.cpu_s * 1e6 / self.events as f64
    }

    /// Returns each stage with its share of the processor time.
    pub fn stages(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let samples = self.samples() as f64;
        STAGES.into_iter().zip(self.samples.map(|count| count as f64 / samples))
    }

    /// Returns the number of samples.
    pub fn samples(&self) -> usize {
        self.samples.iter().sum()
    }
}

/// A host that samples itself.
pub struct SampledHost {
    pub server: Server,
    begin_and_end: ChildStdin,
    results: Lines<BufReader<ChildStdout>>,
}

impl SampledHost {
    /// Starts a program that calls [`serve`].
    pub fn start(mut command: Command, folder: tempfile::TempDir) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = Server::host(command, folder);
        let begin_and_end = server.child.stdin.take().unwrap();
        let results = BufReader::new(server.child.stdout.take().unwrap()).lines();
        Self { server, begin_and_end, results }
    }

    /// Samples while a number of events are sent.
    pub fn sample(&mut self, events: usize, send: impl FnOnce(&Server)) -> Budget {
        writeln!(self.begin_and_end).unwrap();
        let cpu_before = self.server.cpu_s();
        send(&self.server);
        let cpu_s = self.server.cpu_s() - cpu_before;
        writeln!(self.begin_and_end).unwrap();
        let counts = self.results.next().unwrap().unwrap();
        let counts: Vec<usize> = counts.split(' ').map(|count| count.parse().unwrap()).collect();
        Budget { events, cpu_s, samples: counts.try_into().unwrap() }
    }
}
