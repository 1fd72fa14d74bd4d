//! Measures the cost of isolation: one mapper and one payload, from store creation to drop, compared with the same code
//! run natively.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark may stop at an unexpected result")]

#[path = "../../plugins/crowdstrike/mapper.rs"]
#[allow(dead_code, unsafe_code, unused_imports, reason = "the mapper as its plugin has it")]
mod crowdstrike;
mod engine_alone;
mod mapper;

use hookmill_sdk::Mapper as _;
use mapper::{Mapper, ROUNDS, times};
use std::hint::black_box;

const PAYLOADS: &[(&str, &str)] = &[
    ("200-byte payload", include_str!("../../plugins/crowdstrike/payloads/small.json")),
    ("6 KB payload", include_str!("../../plugins/crowdstrike/payloads/large.json")),
];

const CASES: [&str; 6] = [
    "native, no isolation",
    "engine alone: instantiated and dropped",
    "engine alone: fresh instance",
    "engine alone: instance reused",
    "fresh instance, pooled",
    "fresh instance, memory mapped on demand",
];

/// `cargo bench --bench mapping -- WORD` runs only the benchmarks with the word in their name, for a profiler.
fn main() {
    for (title, payload) in PAYLOADS {
        println!("\n{title} ({} bytes), median of {ROUNDS} rounds", payload.len());
        let (mapper, native_event) = (Mapper::new(payload), hookmill_sdk::Event::new(*payload));
        let times = times([
            &mut || drop(black_box(crowdstrike::CrowdStrike::map(black_box(&native_event)).unwrap())),
            &mut || mapper.instantiate_alone(),
            &mut || mapper.map_alone(),
            &mut mapper.map_reused(),
            &mut || mapper.map(),
            &mut || mapper.map_on_demand(),
        ]);
        for (name, time) in CASES.iter().zip(times) {
            let native = times[0];
            println!("  {name:<42} {time:>8.2} µs  {:>+7.2} µs  {:>5.1} × native", time - native, time / native);
        }
    }
}
