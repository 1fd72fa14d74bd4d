//! Measures how the host behaves with many events stored, with many sources, plugins and destinations, while the
//! quarantine heals, and at rest.
//!
//! `HOOKMILL_BENCH_EVENTS` is the number of events that are stored, written as the host writes them.
//! `HOOKMILL_BENCH_FOLDER` names a folder where their database stays, so that a second run need not write it again.
//! `-- stored`, `-- many`, `-- healing` or `-- rest` runs one part alone.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark may stop at an unexpected result")]

mod at_rest;
mod budget;
mod healing;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod load;
mod many_sources;
mod precompiled;
mod sampler;
#[allow(dead_code, reason = "other benchmarks use the rest")]
mod server;
mod sink;
mod stored_events;
#[allow(dead_code, reason = "the benchmark of searches uses the rest")]
mod stored_incidents;

use std::path::Path;

/// The days over which stored events arrived: all of them are still remembered to recognise their repeats.
const DAYS: i64 = 6;
/// The sources of stored events, common ones first.
const SOURCES: [&str; 12] =
    ["crowdstrike", "mail", "siem", "cloud", "dlp", "idp", "proxy", "waf", "nids", "vpn", "honeypot", "badge"];
const SMALL: &str = include_str!("../../plugins/crowdstrike/payloads/small.json");
/// The id of the detection, which a number makes another one.
const SMALL_ID: &str = "ldt:7f0c2b:42";

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sink"] => sink::serve(),
        ["sampled", name, folder] => many_sources::serve(name, Path::new(folder)),
        ["stored"] => stored_events::run(),
        ["many"] => many_sources::run(),
        ["healing"] => healing::run(),
        ["rest"] => at_rest::run(),
        _ => {
            stored_events::run();
            many_sources::run();
            healing::run();
            at_rest::run();
        }
    }
}

/// The rate and the processor time of a load.
#[derive(Clone, Copy)]
struct Cost {
    /// Payloads per second.
    rate: f64,
    /// Of the host, in microseconds of one core for each payload.
    cpu_us: f64,
}

/// Measures the first way and another way in turn, after a round of each that does not count. Returns the round in the middle
/// by the share of the rates: both rates of a round are of the same moment of the machine.
fn in_turn(rounds: usize, mut first: impl FnMut() -> Cost, mut other: impl FnMut() -> Cost) -> [Cost; 2] {
    let mut measured: Vec<[Cost; 2]> = (0..=rounds).map(|_| [first(), other()]).skip(1).collect();
    measured.sort_by(|one, two| share(one).total_cmp(&share(two)));
    measured[rounds / 2]
}

/// Returns the second rate as a share of the first.
fn share([first, other]: &[Cost; 2]) -> f64 {
    other.rate / first.rate
}
