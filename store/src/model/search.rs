//! Searches over the incidents in memory: a plain filter over all of them, and a sort.

use super::memory::Memory;
use super::random::{REFERENCES, Random, SOURCES, TAGS};
use crate::rows::{BoundedCount, IncidentRow, Order, Position, SortKey, SortValue, Sorting};
use crate::search_words::SearchWords;
use crate::{IncidentFilter, Store};
use hookmill_incident::id::row_key;
use hookmill_incident::{Incident, Severity, Status};
use jiff::{SignedDuration, Timestamp};
use rand::RngExt;
use std::cmp::Ordering;

/// Searches of one comparison.
const SEARCHES: usize = 12;

impl Random {
    pub fn filter_of_incidents(&mut self, memory: &Memory) -> IncidentFilter {
        let times: Vec<Timestamp> = memory.incidents.values().map(|(row, _)| row.incident.created_at).collect();
        let time = |random: &mut Self| {
            let shift = SignedDuration::from_millis(random.rng.random_range(-1..2));
            (!times.is_empty()).then(|| random.one_of(&times) + shift)
        };
        let mut filter = IncidentFilter::default();
        for _ in 0..self.rng.random_range(0..4) {
            match self.rng.random_range(0..12) {
                0 => filter.status.push(self.one_of(Status::ALL)),
                1 => filter.severity.push(self.one_of(Severity::ALL)),
                2 => filter.source.push(self.name(&SOURCES)),
                3 => filter.source_ref.push(self.name(&REFERENCES)),
                // Assignees have the names of tags.
                4 if filter.status.is_empty() => filter.tag.push(self.name(&TAGS)),
                4 => filter.assignee.push(self.name(&TAGS)),
                5 => filter.observable.push(format!("198.51.100.{}", self.rng.random_range(0..5))),
                6 => filter.observable_prefix.push(self.name(&["198.51.", "198.51.100.1", "203.", ""])),
                7 => filter.technique.push(self.name(&["T1059", "T1059.001", "t1003", "TA0002"])),
                8 => filter.created_after = time(self),
                9 => filter.created_before = time(self),
                10 => filter.updated_after = time(self),
                _ => {
                    let words = ["title", "blue*", "gre* red", "198.51.100.2", "198*", "a-1", "A", "nothing", "t*"];
                    filter.q = SearchWords::parse(&self.name(&words)).ok();
                }
            }
        }
        filter
    }

    pub fn order(&mut self) -> Order {
        let mut keys = Vec::new();
        for _ in 0..self.rng.random_range(0..4) {
            keys.push(Sorting { key: self.one_of(SortKey::ALL), descending: self.rng.random_bool(0.5) });
        }
        Order::new(keys)
    }
}

/// Compares the pages of some searches in the store with the same searches in memory.
pub(super) async fn compare(random: &mut Random, memory: &Memory, store: &Store, place: &str) {
    for _ in 0..SEARCHES {
        let (filter, order) = (random.filter_of_incidents(memory), random.order());
        let rows = memory.incidents.values().filter(|(_, is_deleted)| !is_deleted).map(|(row, _)| row);
        let mut expected: Vec<&IncidentRow> = rows.filter(|row| passes(&filter, row)).collect();
        expected.sort_by(|one, other| compare_by(&order, one, other));
        let limit = random.rng.random_range(1..7);
        let counted = store.count_incidents(filter.clone(), limit).await.expect("a count");
        // Without a filter, all of so few are counted.
        let max = if filter == IncidentFilter::default() { usize::MAX } else { limit };
        let count = BoundedCount { count: expected.len().min(max), has_more: expected.len() > max };
        assert_eq!(counted, count, "{place}: {filter:#?}");
        let (mut found, mut after): (Vec<IncidentRow>, Option<Position>) = (Vec::new(), None);
        loop {
            let page = store.incidents(filter.clone(), order.clone(), after.take(), limit).await.expect("a page");
            assert!(page.rows.len() <= limit, "{place}: {filter:?}");
            found.extend(page.rows.into_iter().map(|row| row.expect("a readable incident")));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let numbers = |rows: &[&IncidentRow]| rows.iter().map(|row| row.number.to_string()).collect::<Vec<_>>();
        let found: Vec<&IncidentRow> = found.iter().collect();
        assert_eq!(numbers(&found), numbers(&expected), "{place}: {filter:#?}\nby {order:?}");
        assert_eq!(found, expected, "{place}: {filter:#?}");
    }
}

fn passes(filter: &IncidentFilter, row: &IncidentRow) -> bool {
    let incident = &row.incident;
    let any =
        |wanted: &[String], passes: &dyn Fn(&str) -> bool| wanted.is_empty() || wanted.iter().any(|one| passes(one));
    let is_within = |id: &str, wanted: &str| {
        let (id, wanted) = (id.to_uppercase(), wanted.to_uppercase());
        id == wanted || id.starts_with(&format!("{wanted}."))
    };
    let has_observable =
        |passes: &dyn Fn(&str) -> bool| incident.observables.iter().any(|observable| passes(&observable.value));
    (filter.status.is_empty() || filter.status.contains(&incident.status))
        && (filter.severity.is_empty() || filter.severity.contains(&incident.severity))
        && any(&filter.source, &|one| one == incident.source)
        && any(&filter.source_ref, &|one| one == incident.source_ref)
        && any(&filter.tag, &|one| incident.tags.iter().any(|tag| tag == one))
        && any(&filter.assignee, &|one| incident.assignee.as_deref() == Some(one))
        && any(&filter.observable, &|one| has_observable(&|value| value == one))
        && any(&filter.observable_prefix, &|one| has_observable(&|value| value.starts_with(one)))
        && any(&filter.technique, &|one| incident.techniques.iter().any(|technique| is_within(&technique.id, one)))
        && filter.created_after.is_none_or(|time| incident.created_at > time)
        && filter.created_before.is_none_or(|time| incident.created_at < time)
        && filter.updated_after.is_none_or(|time| incident.updated_at > time)
        && filter.q.as_ref().is_none_or(|words| has_words(incident, words))
}

/// Returns whether the texts have all words, each as a part between separators or as a whole.
fn has_words(incident: &Incident, words: &SearchWords) -> bool {
    let values = incident.observables.iter().map(|observable| observable.value.as_str());
    let texts = [incident.title.as_str(), &incident.source_ref, incident.description.as_deref().unwrap_or_default()];
    let texts: Vec<String> = texts.into_iter().chain(values).map(str::to_lowercase).collect();
    let parts = |text: &'static [char]| texts.iter().flat_map(move |whole| whole.split(text));
    let all: Vec<&str> = parts(&[' ']).chain(parts(&[' ', '.', '-'])).collect();
    words.words().iter().all(|word| {
        all.iter().any(|part| if word.is_prefix { part.starts_with(&word.text) } else { *part == word.text })
    })
}

fn compare_by(order: &Order, one: &IncidentRow, other: &IncidentRow) -> Ordering {
    let value = |row: &IncidentRow, key| match key {
        SortKey::CreatedAt => SortValue::Number(row_key(row.id)),
        SortKey::UpdatedAt => SortValue::Number(row.incident.updated_at.as_nanosecond() as i64),
        SortKey::Severity => SortValue::Number(row.incident.severity as i64),
        SortKey::Status => SortValue::Number(row.incident.status as i64),
        SortKey::Source => SortValue::Text(row.incident.source.clone()),
    };
    let compared = order.keys().iter().map(|sorting| {
        let compared = value(one, sorting.key).cmp(&value(other, sorting.key));
        if sorting.descending { compared.reverse() } else { compared }
    });
    compared.fold(Ordering::Equal, Ordering::then)
}
