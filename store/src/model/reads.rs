//! The reads of both databases, which must have the same answers for the same rows.

use super::random::{Random, SOURCES};
use super::{Model, open};
use crate::leases::{LeaseName, Leases};
use crate::move_mark::MoveMark;
use crate::moved_rows::MOVED_TABLES;
use crate::postgres::{Readers, test_database};
use crate::reads::Reads;
use crate::rows::{
    CountFilter, CountKind, DeliveryFilter, DeliveryStatus, EventFilter, IncidentKey, OperatorAction, QueuePosition,
    QueueRead, SecretRow, SourceRow, Tally, VersionDecision, VersionState,
};
use crate::sqlite::dump;
use crate::{LastError, Store, StorePlace, move_store};
use hookmill_incident::id::row_key;
use hookmill_incident::{EventStatus, FailureCode, PluginVersion};
use hookmill_notify::Trigger;
use jiff::Timestamp;
use rand::RngExt;
use serde_json::Map;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::path::Path;
use uuid::Uuid;

/// Searches, and pages of other lists.
const TRIES: usize = 60;
/// The most rows of any list.
const ALL: usize = 10_000;

/// Moves everything to PostgreSQL and back, and compares all reads of the three databases.
pub(super) async fn compare_databases(model: &mut Model) {
    add_plain_rows(model.store()).await;
    let (address, back) = (test_database::address(), tempfile::tempdir().expect("a folder"));
    let folder = |path: &Path| StorePlace::Folder(path.to_owned());
    model.close();
    let shared = StorePlace::Shared(address.clone().into());
    for (from, to) in [(&folder(model.folder.path()), &shared), (&shared, &folder(back.path()))] {
        move_store(from, to, |_| Ok(()), &mut BTreeMap::new(), &mut |_| ()).await.expect("a move");
    }
    let rows = |path| dump(path, &MOVED_TABLES).expect("a readable database");
    assert!(rows(model.folder.path()) == rows(back.path()), "{}: the rows that came back differ", model.place());
    MoveMark::remove(model.folder.path()).expect("a database that was moved");
    model.open().await;

    let (place, store) = (model.place(), model.store().clone());
    let postgres = Readers::new(&address).expect("the reads of PostgreSQL");
    let both = Both { sqlite: store.database.reads(), postgres: &postgres, place: &place };
    both.compare_incidents(model).await;
    both.compare_events(model).await;
    both.compare_deliveries(model).await;
    both.compare_others(model).await;
    let back = open(None, back.path(), &model.policy, model.clock.now_ms()).await;
    let both = Both { sqlite: back.database.reads(), postgres: &postgres, place: &place };
    both.compare_incidents(model).await;
    both.compare_others(model).await;
}

/// Adds rows that no operation of the model adds.
async fn add_plain_rows(store: &Store) {
    for index in 0..3_u8 {
        let action = OperatorAction {
            id: store.new_id(),
            at: 1,
            token: "a".into(),
            address: None,
            method: "POST".into(),
            path: "/\0/\u{10ffff}".into(),
            status: Some(200 + u16::from(index)),
            note: Some("a note".into()),
        };
        store.record_operator_action(action).await.expect("an action");
        store.begin_session([index; 32]).await.expect("a session");
        let plugin = PluginVersion { name: "edr".into(), version: "1".into(), sha256: index.to_string() };
        let lease = store.acquire(LeaseName::Proof).await;
        let (state, goes_live) = (Some(VersionState::Held), index == 1);
        let decision = VersionDecision { plugin, state, report: None, goes_live, held: None, file: None };
        store.decide_version(lease.grant(), decision).await.expect("a version");
        let secret = SecretRow { id: index.into(), sealed: vec![0, index], created_at: 2, not_after: Some(3) };
        let name = format!("source-{index}");
        let source = SourceRow { name, declaration: Map::new(), created_at: 4, secrets: vec![secret.clone(), secret] };
        let secrets = source.secrets.into_iter().zip(1..).map(|(secret, id)| SecretRow { id, ..secret });
        let source = SourceRow { secrets: secrets.collect(), ..SourceRow { secrets: Vec::new(), ..source } };
        store.put_source(source).await.expect("a source");
    }
    let tally = Tally { received: 7, last_error: Some(LastError::new(5, "code", "message")), ..Tally::default() };
    store.add_tallies(vec![("edr".into(), tally)]).await.expect("a tally");
}

struct Both<'a, S, P> {
    sqlite: &'a S,
    postgres: &'a P,
    place: &'a str,
}

/// Compares the answers of one read, and returns that of SQLite.
macro_rules! same {
    ($both:expr, $read:ident($($value:expr),* $(,)?)) => {{
        let answer = $both.sqlite.$read($($value.clone()),*).await;
        let other = $both.postgres.$read($($value.clone()),*).await;
        $both.check(stringify!($read), &[$(&$value as &dyn Debug),*], &answer, &other);
        answer.expect("an answer")
    }};
}

impl<S: Reads, P: Reads> Both<'_, S, P> {
    fn check<T: Debug>(&self, read: &str, values: &[&dyn Debug], answer: &T, other: &T) {
        let (answer, other) = (format!("{answer:#?}"), format!("{other:#?}"));
        assert!(answer == other, "{}: {read}{values:?}\nSQLite:     {answer}\nPostgreSQL: {other}", self.place);
    }

    async fn compare_incidents(&self, model: &mut Model) {
        let rows: Vec<_> = model.memory.incidents.values().map(|(row, _)| row.clone()).collect();
        for row in &rows {
            let (which, number) = (IncidentKey::Id(row.id), IncidentKey::Number(row.number));
            same!(self, incident(which));
            same!(self, incident(number));
            same!(self, counted_observables(which));
            same!(self, related_incidents(which, 7_usize));
            same!(self, newest_audit(number));
            for limit in [3, ALL] {
                let (mut after, mut before) = (None, None);
                loop {
                    let page = same!(self, audit(which, after, limit)).expect("an incident");
                    let backwards = same!(self, audit_backwards(number, before, limit)).expect("an incident");
                    (after, before) = (page.next, backwards.next);
                    if after.is_none() || before.is_none() {
                        break;
                    }
                }
            }
            let entries = model.memory.audit.values().filter(|entry| entry.incident == row_key(row.id));
            for request in entries.map(|entry| entry.request_id.clone()).take(3) {
                let page = same!(self, audit_of_request(which, request, None::<i64>, 2_usize)).expect("an incident");
                same!(self, audit_of_request(which, request, page.next, 2_usize));
            }
        }
        let unknown = IncidentKey::Id(Uuid::nil());
        same!(self, incident(unknown));
        same!(self, audit(unknown, None::<i64>, 3_usize));
        for _ in 0..TRIES {
            let (filter, order) = (model.random.filter_of_incidents(&model.memory), model.random.order());
            let limit = model.random.rng.random_range(1..9);
            same!(self, count_incidents(filter, limit));
            let mut after = None;
            loop {
                let page = same!(self, incidents(filter, order, after, limit));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        same!(self, open_incidents(model.clock.now_ms()));
        for after in [Uuid::nil(), rows.last().map_or(Uuid::nil(), |row| row.id)] {
            let add = |found: &mut Vec<String>, id: Uuid, entry: &_| {
                found.push(format!("{id} {entry:?}"));
                if found.len() < 100 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            let (answer, other) = (
                self.sqlite.audit_after(after, Vec::new(), add).await,
                self.postgres.audit_after(after, Vec::new(), add).await,
            );
            self.check("audit_after", &[&after], &answer, &other);
        }
    }

    async fn compare_events(&self, model: &mut Model) {
        let ids: Vec<Uuid> = model.memory.events.values().map(|row| row.event.id).collect();
        for id in &ids {
            same!(self, event(*id));
        }
        let some: Vec<Uuid> = ids.iter().rev().step_by(3).copied().chain([Uuid::nil()]).collect();
        same!(self, events_with_ids(some));
        for status in [EventStatus::Queued, EventStatus::Quarantined] {
            same!(self, events_with_status(status, 0_i64, 5_usize));
        }
        for status in EventStatus::ALL {
            same!(self, count_events(*status));
        }
        for _ in 0..TRIES {
            let filter = model.filter_of_events(&ids);
            same!(self, count_found_events(filter, 4_usize));
            let mut before = None;
            loop {
                before = same!(self, events(filter, before, 5_usize)).next;
                if before.is_none() {
                    break;
                }
            }
        }
        let groups = same!(self, quarantine_groups(None::<i64>, ALL)).rows;
        if let Some(group) = groups.first() {
            let keys = row_key(group.oldest.0)..=row_key(group.newest.0);
            same!(self, quarantined(group.cause.group_id(), keys, 2_usize));
            same!(self, quarantine_groups(Some(row_key(group.newest.0)), 1_usize));
        }
        let sources: Vec<String> = SOURCES.iter().map(ToString::to_string).collect();
        same!(self, newest_event_ids(sources, 5_usize));
        for row in model.memory.events.values().rev().take(20) {
            let mut event = row.event.clone();
            event.received_at = model.clock.now_ms();
            same!(self, is_repeat(event, model.policy.dedup));
        }
    }

    async fn compare_deliveries(&self, model: &mut Model) {
        let now = model.clock.now_ms();
        let rows: Vec<_> = model.memory.deliveries.values().cloned().collect();
        for row in &rows {
            same!(self, delivery(row.id));
        }
        let mut names: Vec<String> = rows.iter().map(|row| row.destination.clone()).collect();
        names.sort();
        names.dedup();
        for name in &names {
            let without: HashSet<Uuid> = rows.iter().step_by(5).map(|row| row.id).collect();
            let mut after = Some(QueuePosition::default());
            while let Some(position) = after {
                let without = without.clone();
                let read = QueueRead { destination: name.clone(), now, after: position, limit: 4, without };
                let queues: std::sync::Arc<[QueueRead]> = [read].into();
                after = same!(self, due_deliveries(queues))[0].more_after;
            }
        }
        same!(self, delivery_counts(names));
        same!(self, dead_letters(names, ALL));
        same!(self, dead_letters(names, 1_usize));
        same!(self, pending_destinations());
        for _ in 0..TRIES {
            let filter = model.filter_of_deliveries();
            let mut before = None;
            loop {
                before = same!(self, deliveries(filter, before, 6_usize)).next;
                if before.is_none() {
                    break;
                }
            }
        }
    }

    async fn compare_others(&self, model: &mut Model) {
        for playbook in same!(self, waiting_playbooks()) {
            same!(self, triage_jobs(playbook, 0_i64, 3_usize));
        }
        same!(self, count_triage());
        same!(self, registered_sources());
        same!(self, tallies(SOURCES.map(std::sync::Arc::<str>::from).to_vec()));
        let minute = model.clock.now_ms() / 60_000;
        for (step, kind) in [(1, vec![]), (7, vec![CountKind::Payloads]), (60, CountKind::ALL.to_vec())] {
            let filter = CountFilter { from: minute - 60, to: minute, step, kind, name: Vec::new() };
            same!(self, count_series(filter));
        }
        for trigger in Trigger::ALL {
            same!(self, raised_since(*trigger));
        }
        same!(self, cursors());
        same!(self, plugin_versions("edr".to_owned()));
        same!(self, mark());
        let actions = same!(self, operator_actions(Vec::<Uuid>::new(), None::<i64>, 2_usize));
        let ids: Vec<Uuid> = actions.rows.iter().map(|action| action.id).collect();
        same!(self, operator_actions(ids, actions.next, 2_usize));
        let sessions = same!(self, sessions(9_usize));
        same!(self, session(sessions[0].session.digest));
        same!(self, tokens());
        same!(self, token([0; 32], 0_i64));
        let (kinds, others) = (self.sqlite.storage().await.expect("use"), self.postgres.storage().await.expect("use"));
        self.check("storage", &[], &(kinds.kinds, kinds.samples), &(others.kinds, others.samples));
    }
}

impl Model {
    fn filter_of_events(&mut self, ids: &[Uuid]) -> EventFilter {
        let incidents: Vec<Uuid> = self.memory.incidents.values().map(|(row, _)| row.id).collect();
        let (random, mut filter) = (&mut self.random, EventFilter::default());
        for _ in 0..random.rng.random_range(0..3) {
            match random.rng.random_range(0..6) {
                0 => filter.source.push(random.name(&SOURCES)),
                1 => filter.status.push(random.one_of(EventStatus::ALL)),
                2 => filter.code.push(random.one_of(FailureCode::ALL)),
                3 => filter.incident.push(random.one_of(&incidents)),
                4 => filter.id.push(random.one_of(ids)),
                _ => filter.created_after = Some(time_of(random, ids)),
            }
        }
        filter
    }

    fn filter_of_deliveries(&mut self) -> DeliveryFilter {
        let rows: Vec<_> = self.memory.deliveries.values().cloned().collect();
        let events: Vec<Uuid> = self.memory.events.values().map(|row| row.event.id).collect();
        let incidents: Vec<Uuid> = self.memory.incidents.values().map(|(row, _)| row.id).collect();
        let (random, mut filter) = (&mut self.random, DeliveryFilter::default());
        let row = random.one_of(&rows);
        for _ in 0..random.rng.random_range(0..3) {
            match random.rng.random_range(0..7) {
                0 => filter.destination.push(row.destination.clone()),
                1 => filter.notification.extend(row.step.clone().map(|(name, _)| name)),
                2 => filter.status.push(random.one_of(DeliveryStatus::ALL)),
                3 => filter.incident.push(random.one_of(&incidents)),
                4 => filter.event.push(random.one_of(&events)),
                5 => filter.error.extend(row.error.clone()),
                _ => filter.created_after = Some(time_of(random, &events)),
            }
        }
        filter
    }
}

fn time_of(random: &mut Random, ids: &[Uuid]) -> Timestamp {
    Timestamp::from_millisecond(row_key(random.one_of(ids)) >> 15).expect("a time")
}
