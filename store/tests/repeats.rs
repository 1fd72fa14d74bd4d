//! Repeats are recognised also after a clock that was far ahead for a while.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test that fails should say so and end")]

#[path = "database/open.rs"]
mod database;

use database::Database;
use hookmill_incident::id::IdSource;
use hookmill_incident::{Clock, Event, Journey, Mapped, RepeatKey, STEADY_FOR, Verdict};
use hookmill_store::{Dedup, Lease, LeaseName, Leases, Policy, PrunePosition, Recorded, Store, StoredKind};
use std::path::Path;
use std::time::{Duration, Instant};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn open(database: &Database, folder: &Path, clock: &Clock) -> Store {
    let dedup = Dedup { retention: DAY * 7, window: DAY };
    let policy = Policy { dedup, reopen_within: DAY };
    database.open(folder, policy, clock.clone()).await
}

async fn purge(store: &Store) -> Lease {
    store.acquire(LeaseName::Purge).await
}

/// Returns a clock that has kept pace for long enough to remove something.
fn steady() -> Clock {
    Clock::steady_since(Instant::now().checked_sub(STEADY_FOR).unwrap())
}

/// Returns a clock of 30 days ago, for events: hosts that share a database follow its clock.
fn past() -> Clock {
    let clock = Clock::default();
    clock.shift_ms(-((DAY * 30).as_millis() as i64));
    clock
}

async fn record(store: &Store, event: Event) -> Recorded {
    let verdict = Verdict::NotMapped("a test".into());
    let mapped =
        Mapped { event, verdict, playbook: None, auto_triage: false, tried: Vec::new(), journey: Journey::default() };
    store.record(mapped).await.unwrap()
}

fn event(clock: &Clock, body: &'static str) -> Event {
    let id = IdSource::after(0).next(clock.now_ms());
    Event::dry_run(id, clock.now_ms(), "lab".into(), Vec::new(), body.into())
}

/// Returns whether an event with this body is a repeat.
async fn is_repeat(store: &Store, clock: &Clock) -> bool {
    record(store, event(clock, "body")).await.duplicate
}

#[tokio::test]
async fn a_clock_that_went_ahead_forgets_no_repeats() {
    // Hosts that share a database follow its clock.
    let folder = tempfile::tempdir().unwrap();
    let clock = steady();
    let store = open(&Database::Folder, folder.path(), &clock).await;
    assert!(!is_repeat(&store, &clock).await);
    let month_ms = (DAY * 30).as_millis() as i64;
    clock.shift_ms(month_ms);
    store.purge_repeats(purge(&store).await.grant()).await.unwrap();
    clock.shift_ms(-month_ms);
    store.purge_repeats(purge(&store).await.grant()).await.unwrap();
    assert!(is_repeat(&store, &clock).await, "its key was removed");
}

#[tokio::test]
async fn old_keys_are_removed() {
    for database in Database::each() {
        let folder = tempfile::tempdir().unwrap();
        let past = past();
        let store = open(&database, folder.path(), &steady()).await;
        assert!(!is_repeat(&store, &past).await);
        store.close();
        drop(store);
        let store = open(&database, folder.path(), &steady()).await;
        store.purge_repeats(purge(&store).await.grant()).await.unwrap();
        store.close();
        drop(store);
        // As seen by the clock that set the key.
        assert!(!is_repeat(&open(&database, folder.path(), &steady()).await, &past).await);
    }
}

#[tokio::test]
async fn hosts_that_run_for_less_than_an_hour_remove_old_keys() {
    for database in Database::each() {
        let folder = tempfile::tempdir().unwrap();
        let past = past();
        let store = open(&database, folder.path(), &steady()).await;
        assert!(!is_repeat(&store, &past).await);
        store.close();
        drop(store);
        for is_remembered in [true, false] {
            let clock = Clock::steady_since(Instant::now().checked_sub(STEADY_FOR / 2).unwrap());
            let store = open(&database, folder.path(), &clock).await;
            store.purge_repeats(purge(&store).await.grant()).await.unwrap();
            assert_eq!(store.is_repeat(event(&past, "body")).await.unwrap(), is_remembered);
            store.put_mark().await.unwrap();
            store.close();
        }
    }
}

#[tokio::test]
async fn an_event_whose_signature_is_forgotten_goes_before_its_key() {
    for database in Database::each() {
        let folder = tempfile::tempdir().unwrap();
        let past = past();
        let store = open(&database, folder.path(), &steady()).await;
        let signed = |clock: &Clock, signed_at: i64| {
            let mut signed = event(clock, "signed");
            signed.repeat_key = RepeatKey::SignedAt(signed_at);
            signed
        };
        let signed_at = past.now_ms();
        assert!(!record(&store, signed(&past, signed_at)).await.duplicate);
        assert!(record(&store, signed(&past, signed_at)).await.duplicate);
        store.close();
        drop(store);
        let clock = steady();
        let store = open(&database, folder.path(), &clock).await;
        // The newest event always stays.
        record(&store, event(&clock, "new")).await;
        let before = store.aged_key(DAY * 20).unwrap();
        let pruned = store
            .prune(purge(&store).await.grant(), StoredKind::Events, before, Some(PrunePosition::Old(0)))
            .await
            .unwrap()
            .answer;
        assert_eq!(pruned.removed.0[&StoredKind::Events].rows, 1);
        assert!(!record(&store, signed(&clock, signed_at)).await.duplicate, "its key has expired");
    }
}
