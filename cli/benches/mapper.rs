//! The mapper for CrowdStrike with one payload: in the sandbox, and in the engine alone.

use crate::engine_alone::{self, EngineAlone, Field};
use hookmill_incident::{Event, RepeatKey};
use hookmill_sandbox::{Allocation, Plugin, PluginLimits, Sandbox, to_component};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The rounds of which the median counts.
pub const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(100);
/// The calls of an instance that is reused.
const CALLS: usize = 1000;
const HEADERS: [(&str, &str); 2] = [("content-type", "application/json"), ("host", "localhost")];
const RECEIVED_AT: i64 = 1_704_067_200_000;

pub struct Mapper {
    runtime: Runtime,
    pooled: Plugin,
    on_demand: Plugin,
    alone: EngineAlone,
    event: Event,
    parameter: engine_alone::Event,
}

impl Mapper {
    pub fn new(payload: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let pooled = runtime.block_on(plugin(Allocation::Pooled));
        let on_demand = runtime.block_on(plugin(Allocation::OnDemand));
        let alone = EngineAlone::new(&to_component(&plugin_bytes()).unwrap());
        Self { runtime, pooled, on_demand, alone, event: event(payload), parameter: parameter(payload) }
    }

    /// Makes an instance in the engine alone, and drops it.
    pub fn instantiate_alone(&self) {
        self.runtime.block_on(self.alone.instantiate());
    }

    /// Maps in a fresh instance of the engine alone.
    pub fn map_alone(&self) {
        let map = async { self.alone.instance().await.map(black_box(&self.parameter)).await };
        drop(black_box(self.runtime.block_on(map)));
    }

    /// Maps in an instance of the engine alone that takes many events. It is replaced before its memory runs out, because its
    /// allocator frees nothing.
    pub fn map_reused(&self) -> impl FnMut() {
        let (mut instance, mut calls) = (None, 0_usize);
        move || {
            calls += 1;
            if calls.is_multiple_of(CALLS) {
                instance = None;
            }
            let instance = instance.get_or_insert_with(|| self.runtime.block_on(self.alone.instance()));
            drop(black_box(self.runtime.block_on(instance.map(black_box(&self.parameter)))));
        }
    }

    /// Maps as a host does.
    pub fn map(&self) {
        self.map_with(&self.pooled);
    }

    /// Maps as a host without a pool of instances does.
    pub fn map_on_demand(&self) {
        self.map_with(&self.on_demand);
    }

    fn map_with(&self, plugin: &Plugin) {
        let call = self.runtime.block_on(plugin.map(black_box(&self.event), &[], &BTreeMap::new()));
        drop(black_box(call.result.unwrap().unwrap()));
    }
}

fn plugin_bytes() -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/crowdstrike.wasm");
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; run `make mappers`", file.display()))
}

async fn plugin(allocation: Allocation) -> Plugin {
    let sandbox = Arc::new(Sandbox::with_allocation(allocation, 4, 0).unwrap());
    Plugin::load("crowdstrike", plugin_bytes(), sandbox, PluginLimits::default(), None).await.unwrap()
}

fn event(payload: &str) -> Event {
    Event {
        id: uuid::Uuid::nil(),
        source: "crowdstrike".into(),
        received_at: RECEIVED_AT,
        content_type: Some("application/json".into()),
        headers: HEADERS.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        context: Vec::new(),
        digest: [0; 32],
        body: payload.to_owned().into(),
        repeat_key: RepeatKey::Body,
        traceparent: None,
    }
}

/// The event as the engine takes it.
fn parameter(payload: &str) -> engine_alone::Event {
    engine_alone::Event {
        id: uuid::Uuid::nil().to_string(),
        source: "crowdstrike".into(),
        received_at: RECEIVED_AT.unsigned_abs(),
        content_type: Some("application/json".into()),
        headers: HEADERS.map(|(name, value)| Field { name: name.into(), value: value.into() }).into(),
        context: Vec::new(),
        settings: Vec::new(),
        body: payload.into(),
    }
}

/// The median times of one run, in microseconds. Rounds of all cases take turns, so that all see the same machine.
pub fn times<const CASES: usize>(mut cases: [&mut dyn FnMut(); CASES]) -> [f64; CASES] {
    let mut rounds = [const { Vec::new() }; CASES];
    for _ in 0..ROUNDS {
        for (run, rounds) in cases.iter_mut().zip(&mut rounds) {
            let (started, mut runs) = (Instant::now(), 0);
            while started.elapsed() < ROUND {
                (0..100).for_each(|_| run());
                runs += 100;
            }
            rounds.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(runs));
        }
    }
    rounds.map(|mut rounds| {
        rounds.sort_unstable_by(f64::total_cmp);
        rounds[ROUNDS / 2]
    })
}
