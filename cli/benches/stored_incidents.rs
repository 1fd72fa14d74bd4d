//! Incidents for the benchmark of searches, with values from very common to unique.

use super::{DAYS, SOURCES};
use futures_util::future::join_all;
use hookmill_incident::{
    Clock, Event, FailureCode, Journey, Mapped, MappingFailure, Observable, Observation, Patch, PluginVersion, Reading,
    RepeatKey, Severity, State, Status, Technique, Verdict,
};
use hookmill_store::{IncidentKey, LeaseName, Leases, Store};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

const BATCH: usize = 250;
/// The payload of each stored event, which the mapper of the first source maps: a host proves its plugins with it.
const PAYLOAD: &[u8] = include_bytes!("../../plugins/crowdstrike/payloads/small.json");

/// Returns a number below `count`, small ones much more often.
fn skewed(random: &mut Xoshiro256PlusPlus, count: usize) -> usize {
    let exponent: f64 = random.random_range(0.0..1.0);
    ((count as f64).powf(exponent) as usize - 1).min(count - 1)
}

pub fn word(number: usize) -> String {
    const SYLLABLES: [&str; 12] = ["ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "zu", "fa", "po"];
    format!("{}{}{}", SYLLABLES[number % 12], SYLLABLES[number / 12 % 12], SYLLABLES[number / 144 % 12])
}

pub fn address(number: usize) -> String {
    format!("{}.{}.{}.{}", 20 + number % 7, number / 7 % 256, number / 1_792 % 256, number / 458_752)
}

pub fn analyst(number: usize) -> String {
    format!("analyst-{number}@soc.example")
}

fn observation(random: &mut Xoshiro256PlusPlus, number: usize) -> Observation {
    let observable = |data_type: &str, value: String| Observable {
        data_type: data_type.into(),
        value,
        message: None,
        tags: Vec::new(),
        ioc: false,
    };
    let mut text = |words: usize| (0..words).map(|_| word(skewed(random, 1_728))).collect::<Vec<_>>().join(" ");
    let (title, description) = (text(4), text(18));
    let mut tags = vec![format!("tag-{}", skewed(random, 2_000))];
    if random.random_bool(0.6) {
        tags.push("production".into());
    }
    if number.is_multiple_of(50) {
        tags.push(format!("case-{number}"));
    }
    let observables = vec![
        observable("ip", address(skewed(random, 500_000))),
        observable("hostname", format!("ws-{}", skewed(random, 30_000))),
        observable(
            "hash",
            format!("{:064x}", (number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        ),
    ];
    let severities = [Severity::Medium, Severity::Low, Severity::High, Severity::Informational, Severity::Critical];
    Observation {
        source_ref: format!("ref-{number}"),
        title: Some(title),
        description: Some(description),
        severity: Some(severities[(skewed(random, 243) as f64).log(3.0).max(0.0) as usize % 5]),
        state: random.random_bool(0.7).then_some(State::Resolved),
        tags,
        observables,
        techniques: vec![Technique {
            id: format!("T{}.{:03}", 1_000 + skewed(random, 200), random.random_range(1..5)),
            tactic: None,
        }],
        ..Observation::default()
    }
}

/// Writes incidents as the host does, over some months, changes one in twenty a day later, and adds as many events that
/// failed.
pub async fn fill(store: &Store, clock: &Clock, count: usize) {
    let started = Instant::now();
    let batches = (count / BATCH).max(1);
    let step = DAYS * 86_400_000 / batches as i64;
    let mut to_change = VecDeque::from(vec![Vec::new(); batches.div_ceil(DAYS as usize)]);
    clock.shift_ms(-DAYS * 86_400_000);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let plugin = PluginVersion { name: "bench".into(), version: "1.0".into(), sha256: "0".repeat(64) };
    for first in (0..count).step_by(BATCH) {
        let source: Arc<str> = SOURCES[skewed(&mut random, SOURCES.len())].into();
        let lease = store.acquire(LeaseName::Source(source.to_string())).await;
        let mut batch = Vec::new();
        let mut add = |repeat_key: String, verdict| {
            let event = Event {
                id: store.new_id(),
                source: source.clone(),
                received_at: clock.now_ms(),
                content_type: None,
                headers: Vec::new(),
                context: Vec::new(),
                digest: [0; 32],
                traceparent: None,
                body: PAYLOAD.into(),
                repeat_key: RepeatKey::DeliveryId(repeat_key),
            };
            let journey = Journey::default();
            batch.push(Mapped { event, verdict, playbook: None, auto_triage: false, tried: Vec::new(), journey });
        };
        for number in first..(first + BATCH).min(count) {
            let observations = vec![observation(&mut random, number)];
            let reading = Reading { observations, skipped: Vec::new(), problems: Vec::new() };
            add(number.to_string(), Verdict::Read { plugin: plugin.clone(), reading });
            if number.is_multiple_of(20) {
                let code = FailureCode::ALL[skewed(&mut random, FailureCode::ALL.len())];
                add(format!("failed-{number}"), Verdict::Failed(MappingFailure { code, message: "it failed".into() }));
            }
        }
        let recorded = store.record_pulled(lease.grant(), source, batch, None).await.unwrap();
        let made = recorded.iter().filter_map(|recorded| recorded.state.incidents.first());
        to_change.push_back(made.step_by(20).map(|incident| incident.id).collect());
        let changed = to_change.pop_front().unwrap_or_default().into_iter().map(|id| {
            let change = Patch {
                status: Some(Status::ALL[skewed(&mut random, Status::ALL.len())]),
                assignee: Some(Some(analyst(skewed(&mut random, 200)))),
                ..Patch::default()
            };
            store.patch(IncidentKey::Id(id), change, "bench".into(), String::new())
        });
        join_all(changed).await.into_iter().for_each(|patched| drop(patched.unwrap().unwrap()));
        clock.shift_ms(step);
        if first % (100 * BATCH) == 0 {
            eprint!("\r{first} of {count} incidents");
        }
    }
    eprintln!(
        "\r{count} incidents in {:.0} s, {:.1} µs each",
        started.elapsed().as_secs_f64(),
        started.elapsed().as_secs_f64() * 1e6 / count as f64
    );
}
