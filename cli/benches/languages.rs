//! Measures the cost of a mapper's language: compiling the plugin, loading it from the cache, mapping one event in a
//! fresh instance and in a reused one.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark may stop at an unexpected result")]

use hookmill_host::release::compiled_cache::CompiledCache;
use hookmill_incident::Event;
use hookmill_sandbox::{Plugin, PluginLimits, Sandbox};
use hookmill_store::{Dedup, Policy, Store};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Language, plugin and the payload that it maps.
const MAPPERS: [(&str, &str, &str); 4] = [
    ("Rust", "crowdstrike", "seed"),
    ("TypeScript", "okta", "account-lock-lowercased"),
    ("Python", "guardduty", "role-policy-changed"),
    ("Go", "falco", "sensitive-file"),
];
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(200);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let policy = Policy { dedup: Dedup { retention: day, window: day }, reopen_within: day };
    let data = folder.path().join("data");
    let store =
        Arc::new(Store::open(&data, 64, policy, Box::new(|_, _| {}), hookmill_incident::Clock::default()).unwrap());
    let cache = Arc::new(CompiledCache::open(&data, store, None).unwrap());
    println!(
        "{:<12}{:>9}{:>12}{:>12}{:>12}{:>12}{:>8}",
        "", "file", "compile", "from cache", "fresh", "reused", "ratio"
    );
    for (language, name, payload) in MAPPERS {
        let bytes = std::fs::read(project(&format!("target/plugins/{name}.wasm"))).unwrap();
        let body = std::fs::read(project(&format!("plugins/{name}/payloads/{payload}.json"))).unwrap();
        let load = |instances: u32| {
            let sandbox = Arc::new(Sandbox::new(4, 1).unwrap());
            let events_per_instance = NonZeroU32::new(instances).unwrap();
            let limits =
                PluginLimits { events_per_instance, deadline: Duration::from_secs(60), ..PluginLimits::default() };
            let started = Instant::now();
            let plugin = Plugin::load(name, bytes.clone(), sandbox, limits, Some(cache.clone()));
            let plugin = runtime.block_on(plugin).unwrap();
            (plugin, started.elapsed())
        };
        let (_, compile) = load(1);
        let (fresh, from_cache) = load(1);
        let (reused, _) = load(u32::MAX);
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let event = Event::dry_run(Uuid::nil(), 1_767_225_600_000, name.into(), headers, body.into());
        let time = |plugin: &Plugin| {
            median(|| {
                let call = runtime.block_on(plugin.map(&event, &[], &BTreeMap::new()));
                assert_eq!(call.result.unwrap().unwrap().observations.len(), 1);
            })
        };
        let (fresh, reused) = (time(&fresh), time(&reused));
        println!(
            "{language:<12}{:>6} KiB{:>9.0} ms{:>9.1} ms{fresh:>9.1} µs{reused:>9.1} µs{:>8.1}",
            bytes.len() / 1024,
            compile.as_secs_f64() * 1e3,
            from_cache.as_secs_f64() * 1e3,
            fresh / reused
        );
    }
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// The median time of one run, in microseconds.
fn median(mut run: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (started, mut runs) = (Instant::now(), 0);
            while started.elapsed() < ROUND {
                run();
                runs += 1;
            }
            started.elapsed().as_secs_f64() * 1e6 / f64::from(runs)
        })
        .collect();
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}
