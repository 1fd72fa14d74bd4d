//! Random operations. Names, references and texts come from small sets, so that they meet each other often.

use super::memory::Memory;
use super::operation::{ModelOperation, copy, key_of};
use crate::clock::WriteClock;
use crate::rows::DeliveryStatus;
use crate::rows::{
    Attempt, Attempted, Cursor, DeliveryFilter, DestinationRow, Health, Next, PrunePosition, Retention, TriageJob,
    TriageResult,
};
use hookmill_incident::id::{row_key, row_key_ms};
use hookmill_incident::{
    Action, DELIVERY_ID, Event, EventStatus, FailureCode, Journey, Mapped, MapperRun, MappingFailure, Observable,
    Observation, Patch, PluginVersion, Reading, RepeatKey, Severity, State, Status, Technique, TriageCode, TriageError,
    Verdict,
};
use hookmill_notify::{Filter, Rule, Trigger};
use jiff::Timestamp;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

pub(super) const SOURCES: [&str; 2] = ["edr", "mail"];
pub(super) const REFERENCES: [&str; 5] = ["A-1", "A-2", "A-3", "A-4", "A-5"];
pub(super) const DESTINATIONS: [&str; 4] = ["archive", "chat", "mail", "ticket"];
const PLAYBOOKS: [&str; 2] = ["enrich", "phishing"];
pub(super) const TAGS: [&str; 3] = ["blue", "green", "red"];

pub(super) struct Random {
    pub rng: Xoshiro256PlusPlus,
    /// Events to repeat.
    recent: Vec<Mapped>,
    /// Jobs of which some are out of date when they end.
    jobs: Vec<TriageJob>,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self { rng: Xoshiro256PlusPlus::seed_from_u64(seed), recent: Vec::new(), jobs: Vec::new() }
    }

    pub fn one_of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.rng.random_range(0..items.len())].clone()
    }

    pub fn name(&mut self, names: &[&str]) -> String {
        self.one_of(names).to_owned()
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn maybe<T>(&mut self, percent: u32, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.chance(percent) { Some(value(self)) } else { None }
    }

    /// Returns an operation that may be run together with others: it depends on no answer of theirs.
    pub fn operation(
        &mut self,
        memory: &Memory,
        clock: &WriteClock,
        new_id: &mut impl FnMut() -> Uuid,
    ) -> ModelOperation {
        let now = clock.now_ms();
        match self.rng.random_range(0..100) {
            0..32 => ModelOperation::Record(self.event(new_id(), now)),
            32..36 => self.record_again(memory, now),
            36..39 => {
                let batch: Vec<_> = (0..self.rng.random_range(0..3)).map(|_| self.event(new_id(), now)).collect();
                let cursor = self.maybe(80, Self::cursor);
                ModelOperation::RecordPulled(self.name(&SOURCES), batch, cursor)
            }
            39..41 => ModelOperation::Cursor(self.name(&SOURCES), self.cursor()),
            41..44 => ModelOperation::RecordDryRun(self.event(new_id(), now)),
            44..47 => self.prune(memory, now),
            47..49 => self.discard(memory),
            49 => self.one_of_purges(),
            50..57 => self.patch(memory),
            57..59 => ModelOperation::Delete(self.incident(memory), "delete".into()),
            59..62 => {
                let (which, request_id) = (self.incident(memory), format!("request-{}", self.rng.random_range(0..9)));
                ModelOperation::RequestTriage(which, self.name(&PLAYBOOKS), request_id)
            }
            62..70 => self.triage(memory),
            70..71 => ModelOperation::RetryTriage(self.name(&PLAYBOOKS), self.name(&TAGS)),
            71..84 => self.attempts(memory, now),
            84..86 => ModelOperation::RetryDelivery(self.delivery(memory)),
            86..88 => ModelOperation::RetryDead(self.filter(memory)),
            88..89 => {
                let (after, before) = (self.rng.random_range(0..=now), now - self.rng.random_range(0..5_000));
                ModelOperation::PurgeDelivered(if self.chance(50) { 0 } else { after << 15 }, before << 15)
            }
            89..90 => {
                let message = json!({"object": {"name": self.name(&TAGS)}});
                ModelOperation::Notice(self.one_of(&[Trigger::PluginRefused, Trigger::SourceSilent]), message)
            }
            90..92 => ModelOperation::GiveUp(self.name(&DESTINATIONS)),
            92..94 => ModelOperation::Disable(self.name(&DESTINATIONS), self.name(&TAGS)),
            94..95 => ModelOperation::Enable(self.name(&DESTINATIONS)),
            95..96 => ModelOperation::PullForward(self.name(&DESTINATIONS)),
            96..98 => self.outbound(),
            98 => {
                let is_silent = self.chance(60);
                ModelOperation::SetSilent(self.name(&SOURCES), is_silent)
            }
            _ => ModelOperation::StorageLow(self.chance(60)),
        }
    }

    fn one_of_purges(&mut self) -> ModelOperation {
        if self.chance(50) { ModelOperation::PurgeRepeats } else { ModelOperation::PurgeCounts }
    }

    fn prune(&mut self, memory: &Memory, now: i64) -> ModelOperation {
        let kind = self.one_of(&Retention::KINDS);
        let before = (now - self.rng.random_range(0..120_000)) << 15;
        let from = self.maybe(30, |random| {
            let after = random.event_id(memory);
            match random.chance(50) {
                true => PrunePosition::Kept(row_key(after)),
                false => PrunePosition::Old(row_key(after)),
            }
        });
        ModelOperation::Prune(kind, before, from)
    }

    /// Returns a new event or, often, a repeat of a recent one.
    fn event(&mut self, id: Uuid, now: i64) -> Mapped {
        let mut mapped = match self.maybe(25, |_| ()).filter(|()| !self.recent.is_empty()) {
            Some(()) => {
                let index = self.rng.random_range(0..self.recent.len());
                copy(&self.recent[index])
            }
            None => self.new_event(now),
        };
        mapped.event.id = id;
        mapped.event.received_at = now - self.rng.random_range(0..1_500);
        if self.recent.len() < 20 {
            self.recent.push(copy(&mapped));
        } else {
            let index = self.rng.random_range(0..20);
            self.recent[index] = copy(&mapped);
        }
        mapped
    }

    fn new_event(&mut self, now: i64) -> Mapped {
        let body = format!(r#"{{"n":{}}}"#, self.rng.random_range(0..1_000_000));
        let (repeat_key, context) = match self.rng.random_range(0..4) {
            0 => (RepeatKey::SignedAt(now - self.rng.random_range(0..100)), Vec::new()),
            1 => {
                let id = format!("delivery-{}", self.rng.random_range(0..1_000));
                (RepeatKey::DeliveryId(id.clone()), vec![(DELIVERY_ID.to_owned(), id)])
            }
            2 => {
                let id = format!("delivery-{}", self.rng.random_range(0..1_000));
                let signed_at = self.rng.random_bool(0.5).then(|| now - self.rng.random_range(0..100));
                let context = vec![(DELIVERY_ID.to_owned(), id.clone())];
                (RepeatKey::UnsignedDeliveryId { id, signed_at }, context)
            }
            _ => (RepeatKey::Body, Vec::new()),
        };
        let event = Event {
            id: Uuid::nil(),
            source: Arc::from(self.name(&SOURCES)),
            received_at: now,
            content_type: self.maybe(50, |_| "application/json".to_owned()),
            headers: vec![("x-tag".to_owned(), self.name(&TAGS))],
            context,
            digest: Sha256::digest(&body).into(),
            body: body.into_bytes().into(),
            repeat_key,
            traceparent: self.maybe(50, |random| random.name(&TAGS)),
        };
        let playbook = self.maybe(60, |random| random.name(&PLAYBOOKS));
        let (verdict, auto_triage) = (self.verdict(now), self.chance(60));
        let tried = if self.chance(80) { vec!["mapper@abc".to_owned()] } else { Vec::new() };
        let mut journey = Journey { receive_us: self.maybe(50, |_| 7), ..Journey::default() };
        if self.chance(50) {
            let run = MapperRun { version: "1.0".into(), us: 5, memory: 65536, code: None };
            journey.add_run(run, self.maybe(30, |_| ("info", "a line")));
        }
        Mapped { event, verdict, playbook, auto_triage, tried, journey }
    }

    fn verdict(&mut self, now: i64) -> Verdict {
        match self.rng.random_range(0..100) {
            0..6 => Verdict::Failed(MappingFailure {
                code: self.one_of(&[FailureCode::Trapped, FailureCode::Malformed]),
                message: self.name(&["mapper 1.0: record 7: no id", "mapper 2.0: record 12: no id", "no title"]),
            }),
            6..12 => Verdict::Wait("no plugin is loaded".into()),
            12..15 => Verdict::NotMapped("no mapper".into()),
            _ => {
                let mut observations: Vec<Observation> = Vec::new();
                for _ in 0..self.rng.random_range(0..4) {
                    let observation = self.observation(now);
                    if observations.iter().all(|known| known.source_ref != observation.source_ref) {
                        observations.push(observation);
                    }
                }
                let skipped = self.maybe(20, |random| random.name(&TAGS)).into_iter().collect();
                let problems = self.maybe(15, |random| random.name(&TAGS)).into_iter().collect();
                Verdict::Read { plugin: plugin("mapper"), reading: Reading { observations, skipped, problems } }
            }
        }
    }

    fn observation(&mut self, now: i64) -> Observation {
        let time = |random: &mut Self| Timestamp::from_millisecond(now - random.rng.random_range(-500..4_000)).ok();
        let mut details = Map::new();
        details.insert(self.name(&TAGS), json!(self.rng.random_range(0..3)));
        Observation {
            source_ref: self.name(&REFERENCES),
            title: self.maybe(50, |random| format!("title {}", random.name(&TAGS))),
            description: self.maybe(30, |random| random.name(&TAGS)),
            category: None,
            severity: self.maybe(70, |random| random.one_of(Severity::ALL)),
            state: self.maybe(60, |random| random.one_of(&[State::Open, State::Resolved])),
            tlp: None,
            occurred_at: time(self),
            changed_at: self.maybe(50, time).flatten(),
            external_link: None,
            tags: self.maybe(50, |random| random.name(&TAGS)).into_iter().collect(),
            observables: self.maybe(40, Self::observable).into_iter().collect(),
            techniques: self.maybe(30, Self::technique).into_iter().collect(),
            details: details.into(),
        }
    }

    fn observable(&mut self) -> Observable {
        let value = format!("198.51.100.{}", self.rng.random_range(0..4));
        Observable { data_type: "ip".into(), value, message: None, tags: Vec::new(), ioc: self.chance(30) }
    }

    fn technique(&mut self) -> Technique {
        Technique { id: self.name(&["T1059", "T1059.001", "T1059.003", "T1003", "TA0002"]), tactic: None }
    }

    fn record_again(&mut self, memory: &Memory, now: i64) -> ModelOperation {
        let keys: Vec<i64> = memory.events.keys().copied().collect();
        let mut mapped = self.new_event(now);
        let Some(key) = self.maybe(95, |_| ()).filter(|()| !keys.is_empty()).map(|()| self.one_of(&keys)) else {
            return ModelOperation::RecordAgain(mapped, EventStatus::Queued, 1);
        };
        let row = &memory.events[&key];
        mapped.event = row.event.clone();
        let was = if self.chance(80) { row.state.status } else { self.one_of(EventStatus::ALL) };
        ModelOperation::RecordAgain(mapped, was, row.attempts + 1)
    }

    fn cursor(&mut self) -> Cursor {
        Cursor { start: self.name(&["now", "2020"]), position: self.rng.random_range(0..1_000).to_string() }
    }

    fn event_id(&mut self, memory: &Memory) -> Uuid {
        let ids: Vec<Uuid> = memory.events.values().map(|row| row.event.id).collect();
        if ids.is_empty() || self.chance(5) { Uuid::nil() } else { self.one_of(&ids) }
    }

    fn discard(&mut self, memory: &Memory) -> ModelOperation {
        if self.chance(50) {
            return ModelOperation::DiscardQuarantined((0..3).map(|_| self.event_id(memory)).collect());
        }
        let reason = self.maybe(50, |_| "a repeat".to_owned());
        ModelOperation::Discard(self.event_id(memory), reason)
    }

    fn incident(&mut self, memory: &Memory) -> crate::IncidentKey {
        let keys: Vec<i64> = memory.incidents.keys().copied().collect();
        if keys.is_empty() || self.chance(5) {
            return crate::IncidentKey::Id(Uuid::nil());
        }
        let key = self.one_of(&keys);
        key_of(&memory.incidents[&key].0, self.chance(50))
    }

    fn patch(&mut self, memory: &Memory) -> ModelOperation {
        let which = self.incident(memory);
        let patch = Patch {
            title: self.maybe(20, |random| random.name(&TAGS)),
            description: self.maybe(20, |random| random.maybe(50, |random| random.name(&TAGS))),
            severity: self.maybe(30, |random| random.one_of(Severity::ALL)),
            status: self.maybe(50, |random| random.one_of(Status::ALL)),
            assignee: self.maybe(20, |random| random.maybe(50, |random| random.name(&TAGS))),
            tags: self.maybe(20, |random| vec![random.name(&TAGS)]),
            note: self.maybe(20, |random| random.name(&TAGS)),
            hold: self.maybe(20, |random| random.chance(50)),
            revision: self.maybe(20, |random| random.rng.random_range(1..4)),
            ..Patch::default()
        };
        ModelOperation::Patch(which, patch, "patch".into())
    }

    fn triage(&mut self, memory: &Memory) -> ModelOperation {
        let incidents: Vec<i64> = memory.triage.keys().copied().collect();
        if !incidents.is_empty() && (self.jobs.is_empty() || self.chance(70)) {
            let incident = self.one_of(&incidents);
            self.jobs.extend(memory.job(incident));
        }
        if self.jobs.is_empty() {
            return ModelOperation::RetryTriage(self.name(&PLAYBOOKS), self.name(&TAGS));
        }
        let index = self.rng.random_range(0..self.jobs.len());
        let job = self.jobs.swap_remove(index);
        let result = match self.rng.random_range(0..10) {
            0..2 => return ModelOperation::CountTriageAttempt(job),
            2..4 => {
                let error = TriageError { code: TriageCode::Trapped, message: "trapped".into() };
                TriageResult::Failed(plugin(&self.name(&TAGS)), error)
            }
            4 => TriageResult::Skipped("it came too late".into()),
            _ => {
                let actions = (0..self.rng.random_range(0..5)).map(|_| self.action()).collect();
                TriageResult::Actions(plugin("playbook"), actions)
            }
        };
        ModelOperation::RecordTriage(job, result)
    }

    fn action(&mut self) -> Action {
        match self.rng.random_range(0..7) {
            0 => Action::SetSeverity(self.one_of(Severity::ALL)),
            1 => Action::SetStatus(self.one_of(Status::ALL)),
            2 => Action::SetAssignee(self.name(&TAGS)),
            3 => Action::AddTag(self.name(&TAGS)),
            4 => Action::AddNote(self.name(&TAGS)),
            5 => Action::AddObservable(self.observable()),
            _ => Action::Notify(self.name(&["archive", "chat", "nowhere", "ticket"])),
        }
    }

    fn delivery(&mut self, memory: &Memory) -> Uuid {
        let ids: Vec<Uuid> = memory.deliveries.values().map(|row| row.id).collect();
        if ids.is_empty() || self.chance(5) { Uuid::nil() } else { self.one_of(&ids) }
    }

    fn attempts(&mut self, memory: &Memory, now: i64) -> ModelOperation {
        let name = self.name(&DESTINATIONS);
        let rows = memory.deliveries.values().filter(|row| row.destination == name);
        let pending: Vec<Uuid> = rows.filter(|row| row.status == DeliveryStatus::Pending).map(|row| row.id).collect();
        let mut attempts = Vec::new();
        for _ in 0..self.rng.random_range(1..5) {
            let delivery =
                if pending.is_empty() || self.chance(10) { self.delivery(memory) } else { self.one_of(&pending) };
            // Now and then of a clock that was ahead.
            let at = now - self.rng.random_range(-500..2_000);
            let (next, health, http_status, code) = match self.rng.random_range(0..10) {
                0..6 => (Next::Delivered, Health::Well, Some(200), None),
                6..8 => (Next::Retry(now + 5_000), Health::Failing, None, Some("unreachable")),
                8 => (Next::Retry(now + 1_000), Health::Unknown, Some(429), Some("rejected")),
                _ => (Next::Dead, self.one_of(&[Health::Unknown, Health::Failing]), Some(400), Some("rejected")),
            };
            let (error, answer) = (code.map(str::to_owned), http_status.map(|status| format!("answer {status}")));
            let attempt = Attempt { at, duration_ms: 3, http_status, code, error, answer };
            // A delivery of another destination can be among them only if the host mixes them up.
            let is_of_this = memory.deliveries.get(&row_key(delivery)).is_none_or(|row| row.destination == name);
            if is_of_this {
                attempts.push(Attempted { delivery, attempt, next, health });
            }
        }
        ModelOperation::RecordAttempts(name, attempts)
    }

    /// Returns the id or, now and then, another one with the same row key.
    fn perhaps_another(&mut self, id: Uuid) -> Uuid {
        if self.chance(10) { Uuid::from_u128(id.as_u128() ^ 1) } else { id }
    }

    fn filter(&mut self, memory: &Memory) -> DeliveryFilter {
        let incidents: Vec<Uuid> = memory.incidents.values().map(|(row, _)| row.id).collect();
        let mut filter = DeliveryFilter::default();
        match self.rng.random_range(0..6) {
            0 => filter.destination.push(self.name(&DESTINATIONS)),
            1 => filter.notification.push("rule-0".into()),
            2 if !incidents.is_empty() => {
                let id = self.one_of(&incidents);
                filter.incident.push(self.perhaps_another(id));
            }
            3 => {
                let id = self.event_id(memory);
                filter.event.push(self.perhaps_another(id));
            }
            4 => {
                let errors: Vec<String> = memory.deliveries.values().filter_map(|row| row.error.clone()).collect();
                if !errors.is_empty() {
                    filter.error.push(self.one_of(&errors));
                }
            }
            5 => {
                let keys: Vec<i64> = memory.deliveries.keys().copied().collect();
                if !keys.is_empty() {
                    filter.created_after = Timestamp::from_millisecond(row_key_ms(self.one_of(&keys))).ok();
                }
            }
            _ => {}
        }
        filter
    }

    /// Returns other destinations and rules.
    pub fn outbound(&mut self) -> ModelOperation {
        let mut destinations = Vec::new();
        for name in DESTINATIONS {
            if self.chance(85) {
                let fingerprint = self.name(&["one", "one", "two"]);
                let (gets_all_changes, is_ordered) = (self.chance(30), self.chance(70));
                let (name, longest_wait_ms) = (name.into(), 3_000);
                destinations.push(DestinationRow { name, fingerprint, gets_all_changes, is_ordered, longest_wait_ms });
            }
        }
        let triggers = [
            Trigger::Any,
            Trigger::IncidentCreated,
            Trigger::IncidentUpdated,
            Trigger::IncidentResolved,
            Trigger::SeverityRaised,
            Trigger::ObservableAdded,
            Trigger::EventReceived,
            Trigger::EventQuarantined,
            Trigger::DestinationDisabled,
            Trigger::PluginRefused,
            Trigger::SourceSilent,
            Trigger::BackupFailed,
            Trigger::StorageLow,
        ];
        let mut rules = Vec::new();
        for index in 0..self.rng.random_range(0..6) {
            let trigger = self.one_of(&triggers);
            let filter = match trigger {
                Trigger::Any | Trigger::IncidentCreated | Trigger::IncidentUpdated if self.chance(60) => {
                    json!({"_gte": {"_field": "object.severity", "_value": "high"}})
                }
                _ => json!({}),
            };
            let filter = Arc::new(Filter::parse(&filter, trigger).expect("a valid filter"));
            let to = (0..self.rng.random_range(1..3)).map(|_| self.name(&DESTINATIONS)).collect();
            rules.push(Rule { name: Arc::from(format!("rule-{index}")), trigger, filter, to });
        }
        ModelOperation::SetOutbound(destinations, rules)
    }
}

fn plugin(name: &str) -> PluginVersion {
    PluginVersion { name: name.to_owned(), version: "1.0.0".into(), sha256: name.to_owned() }
}
