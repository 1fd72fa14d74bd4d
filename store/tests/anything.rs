//! Whatever a mapper, a playbook or an analyst hands to the store can be stored, shown, listed, changed, delivered, mapped
//! again and deleted, and is still there after a restart.
//!
//! `HOOKMILL_ANYTHING_SEED` sets a single seed to run.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test that fails should say so and end")]

#[path = "database/open.rs"]
mod database;

use database::Database;
use hookmill_incident::json_size::text_depth;
use hookmill_incident::{
    Action, AuditEntry, Clock, Event, EventStatus, IncidentRef, Journey, Mapped, MapperRun, Observable, Observation,
    Patch, PluginVersion, RECORD_BYTES_MAX, Reading, RepeatKey, Severity, State, Status, Technique, Verdict, id,
    merge_repeats,
};
use hookmill_notify::{Filter, Rule, Trigger};
use hookmill_store::{
    Attempt, Attempted, Dedup, DestinationRow, DueDeliveries, EventFilter, Health, IncidentFilter, IncidentKey,
    LeaseName, Leases, Listed, Message, Next, Order, PatchRefusal, Policy, QueuePosition, QueueRead, SearchWords,
    Store, TriageResult,
};
use jiff::Timestamp;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const SEEDS: [u64; 2] = [1, 2];
const STEPS: usize = 15;
/// All rows are read after this many steps.
const SHOWN_EVERY: usize = 7;
const REFERENCES: usize = 4;
const DESTINATION: &str = "archive";

#[tokio::test]
async fn whatever_is_accepted_can_be_stored_shown_changed_delivered_replayed_and_deleted() {
    let seed = std::env::var("HOOKMILL_ANYTHING_SEED").ok().map(|text| text.parse().expect("a number"));
    for seed in seed.map_or(SEEDS.to_vec(), |seed| vec![seed]) {
        for database in Database::each() {
            run(seed, &database).await;
        }
    }
}

async fn run(seed: u64, database: &Database) {
    let (mut random, folder) = (Random(Xoshiro256PlusPlus::seed_from_u64(seed)), tempfile::tempdir().unwrap());
    let store = open(database, folder.path()).await;
    set_outbound(&store).await;
    let mut known: HashSet<Uuid> = HashSet::new();
    for step in 0..STEPS {
        let place = format!("seed {seed}, step {step}");
        let event = random.event(store.new_id());
        let mapped = random.mapped(event.clone());
        let would = store.dry_run(copy(&mapped)).await.unwrap_or_else(|error| panic!("{place}: dry run: {error:#}"));
        let recorded = store.record(copy(&mapped)).await.unwrap_or_else(|error| panic!("{place}: {error:#}"));
        assert_eq!(would.state.status, recorded.state.status, "{place}");
        known.extend(recorded.state.incidents.iter().map(|incident| incident.id));
        for IncidentRef { id, number, .. } in &recorded.state.incidents {
            change(&store, &mut random, *id, number, &place).await;
        }
        let stored = store.event(event.id).await.unwrap().unwrap_or_else(|| panic!("{place}: the event is lost"));
        let again = random.mapped(stored.unwrap().event);
        let replayed = store.record_again(again, recorded.state.status, 2).await.unwrap();
        known.extend(replayed.into_iter().flat_map(|recorded| recorded.state.incidents).map(|incident| incident.id));
        deliver(&store, &place).await;
        if step % SHOWN_EVERY == 0 {
            show(&store, &known, &place).await;
        }
        if step % 6 == 5 {
            let id = *known.iter().next().unwrap();
            let deleted = store.delete(IncidentKey::Id(id), "operator".into(), "delete".into()).await.unwrap();
            assert!(matches!(deleted, Ok(()) | Err(PatchRefusal::NotFound)), "{deleted:?}");
        }
    }
    store.close();
    drop(store);
    show(&open(database, folder.path()).await, &known, &format!("seed {seed}, after a restart")).await;
}

/// Does to an incident everything that analysts and playbooks do.
async fn change(store: &Store, random: &mut Random, id: Uuid, number: &str, place: &str) {
    let key = IncidentKey::Number(number.parse().unwrap());
    let Some(row) = store.incident(key).await.unwrap_or_else(|error| panic!("{place}: {number}: {error:#}")) else {
        return;
    };
    let row = row.unwrap_or_else(|unreadable| panic!("{place}: {unreadable:?}"));
    assert_eq!(row.id, id);
    let patched = store.patch(key, random.patch(), random.text(), random.text()).await.unwrap();
    assert!(matches!(patched, Ok(_) | Err(PatchRefusal::NoRoomForNote)), "{place}: {patched:?}");
    store.request_triage(key, "judge".into(), random.text()).await.unwrap();
    let jobs = store.triage_jobs("judge".into(), 0, 100).await.unwrap();
    let lease = store.acquire(LeaseName::Playbook("judge".into())).await;
    for job in jobs.into_iter().filter(|job| job.row.as_ref().is_some_and(|row| row.id == id)) {
        let actions = (0..random.below(6)).map(|_| random.action()).collect();
        let result = TriageResult::Actions(random.plugin(), actions);
        assert!(store.record_triage(lease.grant(), job, result).await.unwrap(), "{place}: {number}");
    }
}

/// Returns due deliveries after a position.
async fn due_after(store: &Store, after: QueuePosition) -> DueDeliveries {
    let (destination, now) = (DESTINATION.to_owned(), store.clock().now_ms());
    let read = QueueRead { destination, now, after, limit: 64, without: HashSet::new() };
    store.due_deliveries([read].into()).await.unwrap().remove(0)
}

/// Delivers everything that is due.
async fn deliver(store: &Store, place: &str) {
    let lease = store.acquire(LeaseName::Destination(DESTINATION.into())).await;
    loop {
        let due = due_after(store, QueuePosition::default()).await;
        if due.deliveries.is_empty() {
            return;
        }
        let attempted = due.deliveries.into_iter().map(|delivery| {
            match delivery.message.unwrap_or_else(|error| panic!("{place}: a delivery cannot be read: {error}")) {
                Message::Change(entry) => assert_entry(&entry, place),
                Message::Event(row) => assert_eq!(row.event.source.as_ref(), "lab", "{place}"),
                Message::Notice(_) => {}
            }
            let attempt = Attempt {
                at: store.clock().now_ms(),
                duration_ms: 1,
                http_status: None,
                code: None,
                error: None,
                answer: Some("\0".into()),
            };
            Attempted { delivery: delivery.id, attempt, next: Next::Delivered, health: Health::Well }
        });
        store.record_attempts(lease.grant(), DESTINATION, attempted.collect()).await.unwrap();
    }
}

fn assert_entry(entry: &AuditEntry, place: &str) {
    let object: Value = serde_json::from_str(entry.object.get()).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(object["id"], json!(entry.object_id), "{place}");
    serde_json::from_str::<Map<String, Value>>(entry.details.get()).unwrap_or_else(|error| panic!("{place}: {error}"));
}

/// Reads every list, and checks that every row is readable.
async fn show(store: &Store, known: &HashSet<Uuid>, place: &str) {
    let (mut incidents, mut before) = (HashSet::new(), None);
    loop {
        let page = store.incidents(IncidentFilter::default(), Order::default(), before, 7).await.unwrap();
        for row in page.rows {
            let row = row.unwrap_or_else(|row| panic!("{place}: {} cannot be read: {}", row.id, row.error));
            let text = serde_json::to_string(&row.incident).unwrap();
            assert!(text.len() <= RECORD_BYTES_MAX, "{place}: {} bytes", text.len());
            assert!(text_depth(&text) <= 70, "{place}: a depth of {}", text_depth(&text));
            incidents.insert(row.id);
        }
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert!(incidents.is_subset(known), "{place}");
    for filter in [
        IncidentFilter { tag: vec!["\0".into()], ..IncidentFilter::default() },
        IncidentFilter { observable: vec![String::new()], ..IncidentFilter::default() },
        IncidentFilter { observable_prefix: vec!["\0".into()], ..IncidentFilter::default() },
        IncidentFilter { q: SearchWords::parse("\0a* é").ok(), ..IncidentFilter::default() },
    ] {
        store.incidents(filter, Order::default(), None, 10).await.unwrap_or_else(|error| panic!("{place}: {error:#}"));
    }
    for id in known {
        let (mut after, mut entries) = (None, 0);
        loop {
            let page = store.audit(IncidentKey::Id(*id), after, 9).await.unwrap().unwrap();
            for entry in page.rows {
                assert_entry(&entry.unwrap_or_else(|row| panic!("{place}: {}: {}", row.id, row.error)), place);
                entries += 1;
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert!(entries > 0, "{place}");
    }
    let events = store.events(EventFilter::default(), None, 1000).await.unwrap();
    for row in events.rows {
        row.unwrap_or_else(|row| panic!("{place}: {} cannot be read: {}", row.id, row.error));
    }
    let place = place.to_owned();
    let add = move |count: &mut usize, _: Uuid, entry: &Listed<AuditEntry>| {
        assert_entry(entry.as_ref().unwrap_or_else(|row| panic!("{place}: {}: {}", row.id, row.error)), &place);
        *count += 1;
        ControlFlow::Continue(())
    };
    assert!(store.audit_after(id::before(0), 0, add).await.unwrap() > 0);
}

async fn open(database: &Database, folder: &Path) -> Store {
    let dedup = Dedup { retention: Duration::from_secs(60), window: Duration::from_secs(60) };
    let policy = Policy { dedup, reopen_within: Duration::from_secs(60) };
    database.open(folder, policy, Clock::default()).await
}

async fn set_outbound(store: &Store) {
    let destination = DestinationRow {
        name: DESTINATION.into(),
        fingerprint: String::new(),
        gets_all_changes: true,
        is_ordered: true,
        longest_wait_ms: 0,
    };
    let rule = |(index, trigger): (usize, Trigger)| Rule {
        name: format!("rule-{index}").into(),
        trigger,
        filter: Arc::new(Filter::parse(&json!({}), trigger).unwrap()),
        to: [DESTINATION.to_owned()].into(),
    };
    let triggers = [Trigger::Any, Trigger::EventReceived, Trigger::ObservableAdded];
    let rules = triggers.into_iter().enumerate().map(rule).collect();
    store.set_outbound(vec![destination], rules, "https://hookmill.example".into()).await.unwrap();
}

fn copy(mapped: &Mapped) -> Mapped {
    Mapped {
        event: mapped.event.clone(),
        verdict: mapped.verdict.clone(),
        playbook: mapped.playbook.clone(),
        auto_triage: mapped.auto_triage,
        tried: mapped.tried.clone(),
        journey: mapped.journey.clone(),
    }
}

/// A source of values at the limits of their types and beyond those of the store.
struct Random(Xoshiro256PlusPlus);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0.random_range(0..count)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.chance(60) { Some(value(self)) } else { None }
    }

    fn list<T>(&mut self, value: impl Fn(&mut Self) -> T) -> Vec<T> {
        let most = if self.chance(97) { [1, 2, 4, 8][self.below(4)] } else { 300 };
        (0..self.below(most)).map(|_| value(self)).collect()
    }

    fn text(&mut self) -> String {
        let unit = ["", "a", "\0", "\"\\", "ä😀\u{2028}", "</script>", "\r\n", "{{x}}", "…"][self.below(9)];
        let common = self.chance(98);
        let count = if common { [0, 1, 2, 7, 40][self.below(5)] } else { [300, 700, 20_000][self.below(3)] };
        format!("{}{}", unit.repeat(count), self.below(50))
    }

    fn time(&mut self) -> Timestamp {
        let second = self.0.random_range(-377_705_023_201..=253_402_207_200_i64);
        let times = [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH, Timestamp::from_second(second).unwrap()];
        times[self.below(4)]
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 5 } else { 8 }) {
            0 => json!(null),
            1 => json!(self.chance(50)),
            2 => json!([u64::MAX as f64, -0.0, 1e308, 5e-324][self.below(4)]),
            3 => json!(i64::MIN + self.below(3) as i64),
            4 => json!(self.text()),
            5 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            6 => (0..self.below(4)).map(|_| (self.text(), self.value(depth - 1))).collect::<Map<_, _>>().into(),
            // As deep as a parser of JSON goes.
            _ => {
                let (deep, is_list) = (self.below(125), self.chance(50));
                let text = self.text();
                (0..deep)
                    .fold(json!(1), |inner, _| if is_list { json!([inner]) } else { json!({(text.clone()): inner}) })
            }
        }
    }

    fn observable(&mut self) -> Observable {
        Observable {
            data_type: self.text(),
            value: self.text(),
            message: self.maybe(Self::text),
            tags: (0..self.below(70)).map(|_| self.text()).collect(),
            ioc: self.chance(50),
        }
    }

    fn plugin(&mut self) -> PluginVersion {
        PluginVersion { name: "mapper".into(), version: "1.0".into(), sha256: "0".into() }
    }

    fn observation(&mut self) -> Observation {
        Observation {
            source_ref: format!("R-{}", self.below(REFERENCES)),
            title: self.maybe(Self::text),
            description: self.maybe(Self::text),
            category: self.maybe(Self::text),
            severity: self.maybe(|random| Severity::ALL[random.below(Severity::ALL.len())]),
            state: self.maybe(|random| [State::Open, State::Resolved][random.below(2)]),
            tlp: None,
            occurred_at: self.maybe(Self::time),
            changed_at: self.maybe(Self::time),
            external_link: self.maybe(Self::text),
            tags: self.list(Self::text),
            observables: self.list(Self::observable),
            techniques: self.list(|random| Technique { id: random.text(), tactic: random.maybe(Self::text) }),
            details: self.list(|random| (random.text(), random.value(3))).into_iter().collect(),
        }
    }

    fn event(&mut self, id: Uuid) -> Event {
        let body = self.text();
        Event {
            id,
            source: "lab".into(),
            received_at: Timestamp::now().as_millisecond(),
            content_type: self.maybe(Self::text),
            headers: vec![(self.text(), self.text())],
            context: vec![(self.text(), self.text())],
            digest: self.0.random(),
            body: body.into(),
            repeat_key: [RepeatKey::Body, RepeatKey::SignedAt(i64::MIN), RepeatKey::SignedAt(i64::MAX)][self.below(3)]
                .clone(),
            traceparent: self.maybe(Self::text),
        }
    }

    fn mapped(&mut self, event: Event) -> Mapped {
        let observations = merge_repeats((0..=self.below(4)).map(|_| self.observation()).collect());
        let reading = Reading { observations, skipped: self.list(Self::text), problems: self.list(Self::text) };
        let verdict = Verdict::Read { plugin: self.plugin(), reading };
        let (playbook, auto_triage) = (self.maybe(|_| "judge".to_owned()), self.chance(50));
        let mut journey = Journey::default();
        let run = MapperRun { version: self.text(), us: 1, memory: 1, code: self.maybe(Self::text) };
        journey.add_run(run, [("warn", self.text().as_str())]);
        Mapped { event, verdict, playbook, auto_triage, tried: vec![self.text()], journey }
    }

    fn patch(&mut self) -> Patch {
        Patch {
            title: self.maybe(Self::text),
            description: self.maybe(|random| random.maybe(Self::text)),
            status: self.maybe(|random| Status::ALL[random.below(Status::ALL.len())]),
            assignee: self.maybe(|random| random.maybe(Self::text)),
            category: self.maybe(|random| random.maybe(Self::text)),
            tags: self.maybe(|random| random.list(Self::text)),
            note: self.maybe(Self::text),
            ..Patch::default()
        }
    }

    fn action(&mut self) -> Action {
        match self.below(7) {
            0 => Action::SetStatus(Status::Triaged),
            1 => Action::SetCategory(self.text()),
            2 => Action::SetAssignee(self.text()),
            3 => Action::AddTag(self.text()),
            4 => Action::AddNote(self.text()),
            5 => Action::AddObservable(self.observable()),
            _ => Action::Notify(self.text()),
        }
    }
}

#[tokio::test]
async fn deliveries_are_read_ahead_by_bytes() {
    for database in Database::each() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&database, folder.path()).await;
        set_outbound(&store).await;
        let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(1));
        for _ in 0..12 {
            let event = Event { body: vec![b'x'; 1 << 20].into(), ..random.event(store.new_id()) };
            let verdict = Verdict::NotMapped("the source has `plugin: none`".into());
            let mapped = Mapped {
                event,
                verdict,
                playbook: None,
                auto_triage: false,
                tried: Vec::new(),
                journey: Journey::default(),
            };
            assert_eq!(store.record(mapped).await.unwrap().state.status, EventStatus::Ignored);
        }
        let (mut after, mut counts) = (QueuePosition::default(), Vec::new());
        loop {
            let due = due_after(&store, after).await;
            counts.push(due.deliveries.len());
            match due.more_after {
                Some(more_after) => after = more_after,
                None => break,
            }
        }
        assert_eq!(counts.iter().sum::<usize>(), 12);
        assert!(counts.iter().all(|count| *count <= 4), "{counts:?}");
    }
}
