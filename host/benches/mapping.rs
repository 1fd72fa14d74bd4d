//! What isolation costs: one mapper, one payload, from store creation to drop, beside the same code run natively.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark stops at what it does not expect")]

#[path = "../../plugins/crowdstrike/mapper.rs"]
#[allow(dead_code, unsafe_code, reason = "the mapper as its plugin has it")]
mod crowdstrike;
mod reused;

use hookmill::config::CallLimits;
use hookmill::event::{Event, Identity};
use hookmill::plugin::Plugin;
use hookmill::sandbox::{Allocation, Sandbox};
use hookmill_sdk::Mapper;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(200);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let fresh = runtime.block_on(plugin(Allocation::Pooled));
    let on_demand = runtime.block_on(plugin(Allocation::OnDemand));
    let payloads = [
        ("200-byte payload", include_str!("../../plugins/crowdstrike/payloads/small.json")),
        ("6 KB payload", include_str!("../../plugins/crowdstrike/payloads/large.json")),
    ];
    for (title, payload) in payloads {
        let event = event(payload);
        let native_event = hookmill_sdk::Event::new(payload);
        let native = time(|| drop(black_box(crowdstrike::CrowdStrike::map(black_box(&native_event)).unwrap())));
        println!("\n{title} ({} bytes), median of {ROUNDS} rounds", payload.len());
        println!("  {:<42} {:>8.2} µs", "native, no isolation", micros(native));
        for (name, plugin) in [("fresh instance, pooled", &fresh), ("fresh instance, memory mapped on demand", &on_demand)] {
            let isolated = time(|| {
                let call = runtime.block_on(plugin.to_incidents(black_box(&event), &[]));
                drop(black_box(call.result.unwrap().unwrap()));
            });
            let (over, ratio) = (micros(isolated) - micros(native), micros(isolated) / micros(native));
            println!("  {name:<42} {:>8.2} µs  {over:+.2} µs  {ratio:.1} × native", micros(isolated));
        }
        let mut instance = reused::Instance::new(&plugin_bytes());
        let reused = time(|| drop(black_box(instance.map(black_box(payload)))));
        let (over, ratio) = (micros(reused) - micros(native), micros(reused) / micros(native));
        println!("  {:<42} {:>8.2} µs  {over:+.2} µs  {ratio:.1} × native", "instance reused", micros(reused));
    }
}

fn plugin_bytes() -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/crowdstrike.wasm");
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; run `make mappers`", file.display()))
}

async fn plugin(allocation: Allocation) -> Plugin {
    let bytes = plugin_bytes();
    let sandbox = Arc::new(Sandbox::with_allocation(allocation, 4).unwrap());
    Plugin::load("crowdstrike", bytes, sandbox, CallLimits::default(), None).await.unwrap()
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
        identity: Identity::Body,
    }
}

/// The median time of one run.
fn time(mut run: impl FnMut()) -> Duration {
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let (started, mut runs) = (Instant::now(), 0);
            while started.elapsed() < ROUND {
                (0..100).for_each(|_| run());
                runs += 100;
            }
            started.elapsed() / runs
        })
        .collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
