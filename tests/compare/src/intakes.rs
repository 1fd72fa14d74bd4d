//! The whole path over loopback HTTP: programs that take webhooks, verify, map and keep them.

use crate::load::{self, SECRET};
use crate::mapping::Incident;
use crate::programs::Program;
use crate::{PAYLOADS, expected, payload};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;

const ROUNDS: usize = 3;
/// A signature of the body alone, which one of the programs verifies; the others verify that of the time and the body.
const OF_BODY: &str = "body";
const OF_BOTH: &str = "time and body";

/// A program, and what it does before it answers.
struct Intake {
    name: &'static str,
    /// The signed part of a request.
    signed: &'static str,
    /// The language of the mapping, and its limits.
    mapping: &'static str,
    /// The state that is kept when the answer comes.
    kept: &'static str,
    /// The requests of a round.
    count: usize,
    start: &'static str,
}

const INTAKES: [Intake; 4] = [
    Intake {
        name: "Hookmill",
        signed: OF_BOTH,
        mapping: "Wasm: 64 MiB, 1 s, fresh",
        kept: "event, incident and audit entry; fsync",
        count: 20_000,
        start: "exec $HOOKMILL serve --config $MAPPERS/hookmill.yaml",
    },
    Intake {
        name: "Benthos, synced in batches",
        signed: OF_BOTH,
        mapping: "Bloblang: no limits, fresh",
        kept: "line of a file; fsync",
        count: 20_000,
        start: "OUTPUT=synced_file; export OUTPUT; exec $COMPARE/benthos -c $MAPPERS/benthos.yaml",
    },
    Intake {
        name: "Benthos",
        signed: OF_BOTH,
        mapping: "Bloblang: no limits, fresh",
        kept: "line of a file; no fsync",
        count: 20_000,
        start: "OUTPUT=file; export OUTPUT; exec $COMPARE/benthos -c $MAPPERS/benthos.yaml",
    },
    Intake {
        name: "webhook",
        signed: OF_BODY,
        mapping: "jq: no limits, a process",
        kept: "line of a file; fsync",
        count: 200,
        start: "exec webhook -hooks $MAPPERS/webhook.json -template -urlprefix api/webhooks -ip 127.0.0.1 -port $PORT",
    },
];

/// The best round of one program with one payload.
#[derive(Clone, Copy, Default)]
struct Best {
    rate: f64,
    p50: Duration,
    p99: Duration,
    cpu_us: f64,
}

/// Prints the best rate of each program, with the latencies and the processor time of that round. Rounds of all take turns.
pub fn compare() {
    let start = |intake: &'static Intake| {
        let program = Program::start(intake.start);
        if program.is_none() {
            println!("{} is left out, because it does not start", intake.name);
        }
        Some((intake, program?))
    };
    let mut programs: Vec<_> = INTAKES.iter().filter_map(start).collect();
    for (name, id, title) in PAYLOADS {
        println!("\n{title}, whole path, {} connections, best of {ROUNDS} rounds\n", load::CONNECTIONS);
        println!("  {:<28} {:>9} {:>9} {:>9} {:>11} {:>9}", "", "/s", "p50 ms", "p99 ms", "CPU µs each", "peak MiB");
        let mut best = vec![Best::default(); programs.len()];
        for round in 0..ROUNDS {
            for ((intake, program), best) in programs.iter_mut().zip(&mut best) {
                let now = run(intake, program, name, id, round);
                if now.rate > best.rate {
                    *best = now;
                }
            }
        }
        for ((intake, program), Best { rate, p50, p99, cpu_us }) in programs.iter().zip(best) {
            let [p50, p99] = [p50, p99].map(|latency| latency.as_secs_f64() * 1e3);
            let memory = program.memory_mib();
            println!("  {:<28} {rate:>9.0} {p50:>9.2} {p99:>9.2} {cpu_us:>11.0} {memory:>9.0}", intake.name);
        }
    }
    println!("\n  {:<28} {:<15} {:<30} kept when the answer comes", "", "signed", "mapping");
    for (Intake { name, signed, mapping, kept, .. }, _) in programs {
        println!("  {name:<28} {signed:<15} {mapping:<30} {kept}");
    }
}

fn run(intake: &Intake, program: &mut Program, name: &str, id: &str, round: usize) -> Best {
    let requests = load::requests(&payload(name), id, round * intake.count, intake.count);
    let requests = if intake.signed == OF_BODY { body_signed(&requests) } else { requests };
    let (cpu_before, kept_before) = (program.cpu_s(), program.lines().len());
    let report = load::run(program.address, &requests);
    assert_eq!(report.failed, 0, "{}: some requests failed", intake.name);
    let cpu_us = (program.cpu_s() - cpu_before) * 1e6 / intake.count as f64;
    let lines = program.lines();
    if let Some(last) = lines.last() {
        assert_eq!(lines.len() - kept_before, intake.count, "{}: not every incident was kept", intake.name);
        let (kept, mut wanted): (Incident, _) = (serde_json::from_str(last).unwrap(), expected(name));
        wanted.source_ref.clone_from(&kept.source_ref);
        assert_eq!(kept, wanted, "{}", intake.name);
    }
    Best { rate: report.rate(), p50: report.percentile(0.5), p99: report.percentile(0.99), cpu_us }
}

/// The requests with a signature of the body alone as well.
fn body_signed(requests: &[Vec<u8>]) -> Arc<Vec<Vec<u8>>> {
    let keyed = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let sign = |request: &Vec<u8>| {
        let head = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        let mut mac = keyed.clone();
        mac.update(&request[head + 4..]);
        let signature = hex::encode(mac.finalize().into_bytes());
        [&request[..head], format!("\r\nx-hub-signature-256: sha256={signature}").as_bytes(), &request[head..]].concat()
    };
    Arc::new(requests.iter().map(sign).collect())
}
