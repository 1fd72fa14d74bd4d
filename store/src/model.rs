//! The model test: random operations on the store and on the same decisions over maps in memory must give the same
//! answers and the same rows.
//!
//! `HOOKMILL_MODEL_STEPS` sets the number of steps of each seed, `HOOKMILL_MODEL_SEED` a single seed to run.

mod copies;
mod dump;
mod memory;
mod operation;
mod quarantine;
mod queue;
mod random;
mod reads;
mod retention;
mod search;

use crate::clock::WriteClock;
use crate::ledger::{Counts, Ledger, Tx, is_repeat};
use crate::options::HostIdentity;
use crate::postgres::{self, Address as DatabaseAddress, test_database};
use crate::rows::{DeliveryStatus, Listed, Outbound, Page, QueuePosition, QueueRead};
use crate::sqlite::dump;
use crate::topics::Changed;
use crate::{Dedup, DeliveryFilter, IncidentKey, LeaseName, Leases, Policy, Store};
use copies::as_read;
use dump::TABLES;
use hookmill_incident::id::row_key;
use hookmill_incident::{AuditEntry, EventStatus};
use memory::Memory;
use operation::ModelOperation;
use rand::RngExt;
use random::{DESTINATIONS, Random};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

const STEPS: usize = 400;
const SEEDS: [u64; 4] = [1, 2, 3, 4];
/// Rows are compared after this many steps.
const COMPARED_EVERY: usize = 10;
const START_MS: i64 = 1_767_225_000_000;

#[tokio::test]
async fn the_store_does_what_the_decisions_do_in_memory() {
    run_all(|| None).await;
}

#[tokio::test]
async fn the_store_in_postgresql_does_what_the_decisions_do_in_memory() {
    run_all(|| Some(test_database::address())).await;
}

/// Runs the seeds, each on a new database: a shared one or, without an address, one in a folder.
async fn run_all(address: impl Fn() -> Option<DatabaseAddress>) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let steps = number("HOOKMILL_MODEL_STEPS").map_or(STEPS, |steps| steps as usize);
    let seeds = number("HOOKMILL_MODEL_SEED").map_or(SEEDS.to_vec(), |seed| vec![seed]);
    for seed in seeds {
        Model::new(seed, address()).await.run(steps).await;
    }
}

struct Model {
    seed: u64,
    step: usize,
    policy: Policy,
    random: Random,
    folder: TempDir,
    /// The database, unless it is in the folder.
    address: Option<DatabaseAddress>,
    /// Always there, except while it is opened again.
    store: Option<Arc<Store>>,
    memory: Memory,
    /// The clock of the memory.
    clock: WriteClock,
    outbound: Arc<Outbound>,
}

impl Model {
    async fn new(seed: u64, address: Option<DatabaseAddress>) -> Self {
        let dedup = Dedup { retention: Duration::from_secs(60), window: Duration::from_secs(5) };
        let policy = Policy { dedup, reopen_within: Duration::from_secs(20) };
        let folder = tempfile::tempdir().expect("a folder");
        let store = Some(Arc::new(open(address.clone(), folder.path(), &policy, START_MS).await));
        let clock = WriteClock::fixed(START_MS, 0);
        let (memory, outbound) = (Memory::default(), Arc::default());
        Self { seed, step: 0, policy, random: Random::new(seed), folder, address, store, memory, clock, outbound }
    }

    async fn run(mut self, steps: usize) {
        let first = self.random.outbound();
        self.run_together(vec![first]).await;
        for step in 0..steps {
            self.step = step;
            // With a pause of 0, several steps happen in the same millisecond.
            let pause = [0, 1, 40, 400, 4_000][self.random.rng.random_range(0..5)];
            self.set_time(self.clock.now_ms() + pause);
            if self.random.rng.random_range(0..100) == 0 {
                self.restart().await;
                let again = self.random.outbound();
                self.run_together(vec![again]).await;
            }
            // Often several, which the store can take into one transaction.
            let count = if self.random.rng.random_bool(0.4) { self.random.rng.random_range(2..8) } else { 1 };
            let mut operations = Vec::new();
            for _ in 0..count {
                let (store, clock) = (self.store().clone(), &self.clock);
                let mut new_id = || {
                    let (id, expected) = (store.new_id(), clock.new_id());
                    assert_eq!(id, expected, "the ids differ");
                    id
                };
                operations.push(self.random.operation(&self.memory, clock, &mut new_id));
            }
            self.run_together(operations).await;
            if step % COMPARED_EVERY == 0 || step + 1 == steps {
                self.compare_rows().await;
                self.compare_reads().await;
            }
        }
        if self.address.is_none() {
            reads::compare_databases(&mut self).await;
        }
    }

    fn set_time(&self, now: i64) {
        self.store().clock.set(now);
        self.clock.set(now);
    }

    /// Closes the store and opens it again.
    async fn restart(&mut self) {
        self.close();
        self.open().await;
    }

    fn close(&mut self) {
        self.store().close();
        // The lock is released before the folder is opened again.
        drop(self.store.take());
    }

    /// Opens the store, which forgot the destinations and rules.
    async fn open(&mut self) {
        let now = self.clock.now_ms();
        let store = open(self.address.clone(), self.folder.path(), &self.policy, now).await;
        // A shared database also remembers ids that were given and are in no row.
        let last_key = match self.address {
            Some(_) => store.clock.last_row_key().max(self.memory.last_key()),
            None => self.memory.last_key(),
        };
        self.clock = WriteClock::fixed(now, last_key);
        self.store = Some(Arc::new(store));
        self.outbound = Arc::default();
    }

    /// Runs operations in the store at the same time, and in memory one after the other.
    async fn run_together(&mut self, operations: Vec<ModelOperation>) {
        let operations: Vec<Arc<ModelOperation>> = operations.into_iter().map(Arc::new).collect();
        let topics = self.topics();
        let mut changed = Changed::default();
        // A task that waits for a lease of its own may be overtaken by a later one.
        let lease = Arc::new(self.store().acquire(LeaseName::Purge).await);
        let mut running = JoinSet::new();
        for (index, operation) in operations.iter().cloned().enumerate() {
            let (store, lease) = (self.store().clone(), lease.clone());
            running.spawn(async move { (index, operation.run_in_store(&store, lease.grant()).await) });
        }
        let mut answers = running.join_all().await;
        answers.sort_by_key(|(index, _)| *index);
        for (operation, (_, answer)) in operations.iter().zip(answers) {
            let mut ledger = Ledger {
                rows: &mut self.memory,
                clock: &self.clock,
                policy: &self.policy,
                outbound: self.outbound.clone(),
                changed,
                events: Vec::new(),
                counts: Counts::default(),
            };
            let expected = operation.run_in_memory(&mut ledger);
            ledger.write_counts().expect("counts");
            (self.outbound, changed) = (ledger.outbound, ledger.changed);
            let place = self.place();
            let answer = answer.unwrap_or_else(|error| panic!("{place}: {error}\nof {operation:?}"));
            let expected = expected.unwrap_or_else(|error| panic!("{place}: in memory: {error:#}\nof {operation:?}"));
            assert!(answer == expected, "{place}: {operation:#?}\nin the store: {answer}\nin memory:    {expected}");
        }
        let (outbound, expected) = (self.store().outbound(), &self.outbound);
        assert_eq!(outbound.destinations, expected.destinations, "{}", self.place());
        let has_changed = |topic: &watch::Receiver<()>| topic.has_changed().expect("an open store");
        let published: BTreeSet<_> =
            topics.into_iter().filter(|(_, topic)| has_changed(topic)).map(|(name, _)| name).collect();
        let expected = topics_of(&changed);
        // Commits are published a second time when they are seen in a shared database.
        let is_as_expected = published == expected || self.address.is_some() && published.is_superset(&expected);
        assert!(is_as_expected, "{}: {published:?}, not {expected:?}, are the topics of {operations:#?}", self.place());
        if let Some(newest) = changed.newest_audit {
            assert_eq!(*self.store().watch_audit().borrow(), newest, "{}", self.place());
        }
    }

    /// Returns the topics without a value.
    fn topics(&self) -> BTreeMap<String, watch::Receiver<()>> {
        let store = self.store();
        let mut topics: BTreeMap<_, _> =
            [("queued".into(), store.watch_queued()), ("triage".into(), store.watch_triage())].into();
        for name in DESTINATIONS {
            topics.insert(format!("deliveries to {name}"), store.watch_deliveries(name));
            topics.insert(format!("retries to {name}"), store.watch_retries(name));
        }
        topics
    }

    fn store(&self) -> &Arc<Store> {
        self.store.as_ref().expect("an open store")
    }

    fn place(&self) -> String {
        format!("seed {}, step {}", self.seed, self.step)
    }

    async fn compare_rows(&self) {
        let stored = match &self.address {
            Some(address) => postgres::dump(address, &TABLES).await,
            None => dump(self.folder.path(), &TABLES),
        };
        let stored = stored.expect("a readable database");
        let expected = self.memory.dump();
        for table in TABLES {
            let (stored, expected) = (&stored[table], &expected[table]);
            let only = |these: &[Vec<String>], others: &[Vec<String>]| {
                let missing: Vec<_> = these.iter().filter(|row| !others.contains(row)).take(3).cloned().collect();
                format!("{missing:#?}")
            };
            assert!(
                stored == expected,
                "{}: the rows of `{table}` differ\nonly in the store: {}\nonly in memory: {}",
                self.place(),
                only(stored, expected),
                only(expected, stored)
            );
        }
    }

    /// Compares some of the reads with the rows in memory.
    async fn compare_reads(&mut self) {
        let (store, memory, place) = (self.store(), &self.memory, self.place());
        for status in [EventStatus::Queued, EventStatus::Quarantined] {
            let expected: Vec<_> = memory.events.values().filter(|row| row.state.status == status).collect();
            let rows = store.events_with_status(status, 0, 10_000).await.expect("events");
            let ids: Vec<_> = rows.iter().map(|row| (row.event.id, row.event.repeat_key.clone())).collect();
            let expected: Vec<_> = expected.iter().map(|row| (row.event.id, as_read(&row.event.repeat_key))).collect();
            assert_eq!(ids, expected, "{place}: events that are {status}");
            assert_eq!(store.count_events(status).await.expect("a count"), expected.len() as i64, "{place}");
        }
        let waiting = memory.triage.values().filter(|row| row.failed_on.is_none());
        let mut playbooks: Vec<_> = waiting.clone().map(|row| row.playbook.clone()).collect();
        assert_eq!(store.count_triage().await.expect("a count"), playbooks.len() as i64, "{place}");
        playbooks.sort();
        playbooks.dedup();
        assert_eq!(store.waiting_playbooks().await.expect("names"), playbooks, "{place}");
        for playbook in playbooks {
            let keys = memory.triage.keys().copied();
            let expected: Vec<_> =
                keys.filter_map(|key| memory.job(key)).filter(|job| job.playbook == playbook).collect();
            let jobs = store.triage_jobs(playbook.clone(), 0, 10_000).await.expect("jobs");
            assert_eq!(format!("{jobs:?}"), format!("{expected:?}"), "{place}: jobs of {playbook}");
        }
        let now = self.clock.now_ms();
        for name in self.outbound.destinations.keys() {
            let rows = memory.deliveries.iter().filter(|(_, row)| *row.destination == **name);
            let pending = rows.filter(|(_, row)| row.status == DeliveryStatus::Pending);
            let mut expected: Vec<_> = pending
                .clone()
                .filter_map(|(key, row)| Some((row.next_at?, *key, row.id)))
                .filter(|row| row.0 <= now)
                .collect();
            expected.sort();
            let expected: Vec<_> = expected.into_iter().map(|(.., id)| id).collect();
            let after = QueuePosition::default();
            let without = HashSet::new();
            let read = QueueRead { destination: name.to_string(), now, after, limit: 10_000, without };
            let due = store.due_deliveries([read].into()).await.expect("deliveries").remove(0);
            // A dead letter that is retried may have outlived the payload.
            let has_payload = |delivery: &Uuid| {
                let event = memory.deliveries[&row_key(*delivery)].event;
                event.is_none_or(|event| memory.events[&event].body_removed_at.is_none())
            };
            let unreadable = due.deliveries.iter().find(|row| row.message.is_err() && has_payload(&row.id));
            assert!(unreadable.is_none(), "{place}: {unreadable:?}");
            let ids: Vec<_> = due.deliveries.iter().map(|row| row.id).collect();
            assert_eq!(ids, expected, "{place}: due deliveries for {name}");
            let has_blocked = pending.clone().any(|(_, row)| row.next_at.is_none());
            assert_eq!(due.has_waiting, has_blocked, "{place}: blocked deliveries for {name}");
        }
        let page = store.deliveries(DeliveryFilter::default(), None, 10_000).await.expect("deliveries");
        let ids: Vec<_> = page.rows.iter().map(|row| row.id).collect();
        let expected: Vec<_> = memory.deliveries.values().rev().map(|row| row.id).collect();
        assert_eq!(ids, expected, "{place}: all deliveries");
        self.compare_audit().await;
        self.compare_repeats().await;
        let (store, place) = (self.store().clone(), self.place());
        quarantine::compare(&self.memory, &store, &place).await;
        search::compare(&mut self.random, &self.memory, &store, &place).await;
    }

    /// Compares whether the newest events would be repeats if they came again now.
    async fn compare_repeats(&mut self) {
        let newest: Vec<_> = self.memory.events.values().rev().take(10).map(|row| row.event.clone()).collect();
        for mut event in newest {
            event.received_at = self.clock.now_ms();
            let expected = is_repeat(&event, self.policy.dedup, |key| self.memory.find_repeat(key)).expect("an answer");
            let answer = self.store().is_repeat(event.clone()).await.expect("an answer");
            assert_eq!(answer, expected, "{}: whether it is a repeat: {event:?}", self.place());
        }
    }

    /// Compares the audit trail of one incident.
    async fn compare_audit(&mut self) {
        let incidents: Vec<i64> = self.memory.incidents.keys().copied().collect();
        if incidents.is_empty() {
            return;
        }
        let (row, _) = &self.memory.incidents[&incidents[self.random.rng.random_range(0..incidents.len())]];
        let entries = self.memory.audit.values().filter(|entry| entry.incident == row_key(row.id));
        let expected: Vec<_> =
            entries.map(|entry| (entry.operation, entry.at, entry.request_id.clone(), entry.object.clone())).collect();
        // Another id with the same row key.
        let another = IncidentKey::Id(Uuid::from_u128(row.id.as_u128() ^ 1));
        assert!(self.store().audit(another, None, 7).await.expect("no trail").is_none());
        let which = IncidentKey::Id(row.id);
        let read = |page: Page<Listed<AuditEntry>>| {
            let entries = page.rows.into_iter().map(|entry| entry.expect("a readable entry"));
            entries.map(|entry| (entry.operation, entry.start_date, entry.request_id, json!(entry.object)))
        };
        for is_newest_first in [false, true] {
            let (mut trail, mut at) = (Vec::new(), None);
            loop {
                let page = match is_newest_first {
                    false => self.store().audit(which, at, 7).await,
                    true => self.store().audit_backwards(which, at, 7).await,
                };
                let page = page.expect("a trail").expect("an incident");
                at = page.next;
                trail.extend(read(page));
                if at.is_none() {
                    break;
                }
            }
            if is_newest_first {
                trail.reverse();
            }
            assert_eq!(trail, expected, "{}: the audit trail of {}", self.place(), row.number);
        }
        let request = expected[self.random.rng.random_range(0..expected.len())].2.clone();
        let is_wanted = |(index, (_, _, of, _)): &(usize, &(_, _, String, _))| {
            *of == request || expected.get(index + 1).is_some_and(|(_, _, of, _)| *of == request)
        };
        let caused: Vec<_> = expected.iter().enumerate().filter(is_wanted).map(|(_, entry)| entry.clone()).collect();
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = self.store().audit_of_request(which, request.clone(), before, 2).await;
            let page = page.expect("a trail").expect("an incident");
            before = page.next;
            found.extend(read(page));
            if before.is_none() {
                break;
            }
        }
        found.reverse();
        assert_eq!(found, caused, "{}: the changes of {} by a request", self.place(), row.number);
    }
}

/// Returns the names of the topics without a value that writes changed.
fn topics_of(changed: &Changed) -> BTreeSet<String> {
    let deliveries = changed.deliveries.iter().map(|name| format!("deliveries to {name}"));
    let retries = changed.retries.iter().map(|name| format!("retries to {name}"));
    let others = [("queued", changed.queued), ("triage", changed.triage)];
    let others = others.into_iter().filter(|(_, has_changed)| *has_changed).map(|(name, _)| name.to_owned());
    deliveries.chain(retries).chain(others).collect()
}

async fn open(address: Option<DatabaseAddress>, folder: &Path, policy: &Policy, now: i64) -> Store {
    let (policy, on_commit) = (policy.clone(), Box::new(|_, _| {}));
    let store = match address {
        Some(address) => {
            let host = HostIdentity { id: "model".into(), name: "model".into(), version: "1".into() };
            let clock = |_, last_key| WriteClock::fixed(now, last_key);
            Store::connect_with(address, host, folder, 64, policy, on_commit, clock).await
        }
        None => Store::open_with(folder, 64, policy, on_commit, |last_key| WriteClock::fixed(now, last_key)),
    };
    store.expect("a store")
}
