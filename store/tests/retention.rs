//! Retention removes incidents in writes that are short for those of payloads.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test that fails should say so and end")]

use hookmill_incident::{
    Clock, Event, Journey, Mapped, Observation, PluginVersion, Reading, STEADY_FOR, State, Verdict,
};
use hookmill_store::{Dedup, LeaseName, Leases, Policy, Store, StoredKind};
use std::path::Path;
use std::time::{Duration, Instant};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const INCIDENTS: i64 = 40;

fn open(folder: &Path, clock: &Clock) -> Store {
    let dedup = Dedup { retention: DAY, window: DAY };
    let policy = Policy { dedup, reopen_within: DAY };
    Store::open(folder, 64, policy, Box::new(|_, _| {}), clock.clone()).unwrap()
}

/// Records an incident that is resolved.
async fn record(store: &Store, clock: &Clock, reference: i64) {
    let observation =
        Observation { source_ref: format!("ref-{reference}"), state: Some(State::Resolved), ..Observation::default() };
    let plugin = PluginVersion { name: "test".into(), version: "1.0".into(), sha256: "0".repeat(64) };
    let reading = Reading { observations: vec![observation], skipped: Vec::new(), problems: Vec::new() };
    let body = reference.to_string();
    let event = Event::dry_run(store.new_id(), clock.now_ms(), "lab".into(), Vec::new(), body.into_bytes().into());
    let verdict = Verdict::Read { plugin, reading };
    let mapped =
        Mapped { event, verdict, playbook: None, auto_triage: false, tried: Vec::new(), journey: Journey::default() };
    store.record(mapped).await.unwrap();
}

#[tokio::test]
async fn a_write_removes_few_incidents_because_their_words_go_too() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::steady_since(Instant::now().checked_sub(STEADY_FOR).unwrap());
    let store = open(folder.path(), &clock);
    for reference in 0..=INCIDENTS {
        record(&store, &clock, reference).await;
    }
    // Rows of this millisecond are not old yet.
    let recorded_at = clock.now_ms();
    while clock.now_ms() == recorded_at {}
    let before = store.aged_key(Duration::ZERO).unwrap();
    // The newest one stays.
    let lease = store.acquire(LeaseName::Purge).await;
    let (mut left, mut from) = (INCIDENTS, None);
    while left > 0 {
        let pruned = store.prune(lease.grant(), StoredKind::Incidents, before, from).await.unwrap().answer;
        let removed = pruned.removed.0[&StoredKind::Incidents].rows;
        assert!((1..=5).contains(&removed), "{removed} incidents in one write");
        (left, from) = (left - removed, pruned.next);
    }
    assert_eq!(left, 0);
}
