//! Measures the cost of isolation: one mapper and one payload, from store creation to drop, compared with the same code
//! run natively.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark may stop at an unexpected result")]

#[path = "../../plugins/crowdstrike/mapper.rs"]
#[allow(dead_code, unsafe_code, unused_imports, reason = "the mapper as its plugin has it")]
mod crowdstrike;
mod reused;

use hookmill_incident::{Event, RepeatKey};
use hookmill_sandbox::{Allocation, Plugin, PluginLimits, Sandbox, to_component};
use hookmill_sdk::Mapper;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PAYLOADS: &[(&str, &str)] = &[
    ("200-byte payload", include_str!("../../plugins/crowdstrike/payloads/small.json")),
    ("6 KB payload", include_str!("../../plugins/crowdstrike/payloads/large.json")),
];
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(200);

/// `cargo bench --bench mapping -- WORD` runs only the benchmarks with the word in their name, for a profiler.
fn main() {
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let pooled = runtime.block_on(plugin(Allocation::Pooled));
    let on_demand = runtime.block_on(plugin(Allocation::OnDemand));
    for (title, payload) in PAYLOADS {
        println!("\n{title} ({} bytes), median of {ROUNDS} rounds", payload.len());
        let (event, native_event) = (event(payload), hookmill_sdk::Event::new(*payload));
        let mut native = || drop(black_box(crowdstrike::CrowdStrike::map(black_box(&native_event)).unwrap()));
        let severities = BTreeMap::new();
        let isolated = |plugin: &Plugin| {
            let call = runtime.block_on(plugin.map(black_box(&event), &[], &severities));
            drop(black_box(call.result.unwrap().unwrap()));
        };
        let mut instance = reused::Instance::new(&to_component(&plugin_bytes()).unwrap());
        let mut cases: [(&str, &mut dyn FnMut()); 4] = [
            ("native, no isolation", &mut native),
            ("fresh instance, pooled", &mut || isolated(&pooled)),
            ("fresh instance, memory mapped on demand", &mut || isolated(&on_demand)),
            ("instance reused", &mut || drop(black_box(instance.map(black_box(payload))))),
        ];
        let mut baseline = None;
        for (name, run) in cases.iter_mut().filter(|(name, _)| name.contains(&only)) {
            let time = time(run);
            let native = *baseline.get_or_insert(time);
            println!("  {name:<42} {time:>8.2} µs  {:>+7.2} µs  {:>5.1} × the first", time - native, time / native);
        }
    }
}

fn plugin_bytes() -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/crowdstrike.wasm");
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; run `make mappers`", file.display()))
}

async fn plugin(allocation: Allocation) -> Plugin {
    let bytes = plugin_bytes();
    let sandbox = Arc::new(Sandbox::with_allocation(allocation, 4, 0).unwrap());
    Plugin::load("crowdstrike", bytes, sandbox, PluginLimits::default(), None).await.unwrap()
}

fn event(payload: &str) -> Event {
    Event {
        id: uuid::Uuid::nil(),
        source: "crowdstrike".into(),
        received_at: 1_704_067_200_000,
        content_type: Some("application/json".into()),
        headers: vec![("content-type".into(), "application/json".into()), ("host".into(), "localhost".into())],
        context: Vec::new(),
        digest: [0; 32],
        body: payload.to_owned().into(),
        repeat_key: RepeatKey::Body,
        traceparent: None,
    }
}

/// The median time of one run, in microseconds.
fn time(run: &mut dyn FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (started, mut runs) = (Instant::now(), 0);
            while started.elapsed() < ROUND {
                (0..100).for_each(|_| run());
                runs += 100;
            }
            started.elapsed().as_secs_f64() * 1e6 / f64::from(runs)
        })
        .collect();
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}
