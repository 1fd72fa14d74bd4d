//! Repeats are recognised also after a clock that was far ahead for a while.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test that fails should say so and end")]

use hookmill_incident::{Clock, Event, Journey, Mapped, STEADY_FOR, Verdict};
use hookmill_store::{Dedup, Policy, Store};
use std::path::Path;
use std::time::{Duration, Instant};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn open(folder: &Path, clock: &Clock) -> Store {
    let dedup = Dedup { retention: DAY * 7, window: DAY };
    let policy = Policy { dedup, reopen_within: DAY };
    Store::open(folder, 64, policy, Box::new(|_, _| {}), clock.clone()).unwrap()
}

/// Returns whether an event with this body is a repeat.
async fn is_repeat(store: &Store, clock: &Clock) -> bool {
    let event = Event::dry_run(store.new_id(), clock.now_ms(), "lab".into(), Vec::new(), "body".into());
    let verdict = Verdict::NotMapped("a test".into());
    let mapped =
        Mapped { event, verdict, playbook: None, auto_triage: false, tried: Vec::new(), journey: Journey::default() };
    store.record(mapped).await.unwrap().duplicate
}

#[tokio::test]
async fn a_clock_that_went_ahead_forgets_no_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::steady_since(Instant::now().checked_sub(STEADY_FOR).unwrap());
    let store = open(folder.path(), &clock);
    assert!(!is_repeat(&store, &clock).await);
    let month_ms = (DAY * 30).as_millis() as i64;
    clock.shift_ms(month_ms);
    store.purge_repeats().await.unwrap();
    clock.shift_ms(-month_ms);
    store.purge_repeats().await.unwrap();
    assert!(is_repeat(&store, &clock).await, "its key was removed");
}

#[tokio::test]
async fn old_keys_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let past = Clock::default();
    past.shift_ms(-((DAY * 30).as_millis() as i64));
    let store = open(folder.path(), &past);
    assert!(!is_repeat(&store, &past).await);
    store.close();
    drop(store);
    let clock = Clock::steady_since(Instant::now().checked_sub(STEADY_FOR).unwrap());
    let store = open(folder.path(), &clock);
    store.purge_repeats().await.unwrap();
    store.close();
    drop(store);
    // As seen by the clock that set the key.
    assert!(!is_repeat(&open(folder.path(), &past), &past).await);
}
