//! Measures searches: each filter of the lists of incidents and events alone and in pairs, the first page and page 100, and
//! the same in other orders of incidents.
//!
//! `HOOKMILL_BENCH_INCIDENTS` is the number of incidents, written as the host writes them. `HOOKMILL_BENCH_FOLDER` names a
//! folder where the database stays, so that a second run need not write it again. An argument is a part of the names of
//! the searches to measure. Beside the times there is the processor time, which other programs change less.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark may stop at an unexpected result")]

mod stored_incidents;

use hookmill_incident::{Clock, EventStatus, FailureCode, Severity, Status};
use hookmill_store::{
    Dedup, EventFilter, IncidentFilter, IncidentKey, Order, Policy, SearchWords, SortKey, Sorting, Store,
};
use jiff::{SignedDuration, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stored_incidents::{address, analyst, fill, word};
use uuid::Uuid;

const INCIDENTS: usize = 100_000;
const DAYS: i64 = 90;
const PAGE: usize = 50;
/// Measurements of each search.
const TIMES: usize = 20;
const SOURCES: [&str; 12] =
    ["edr", "mail", "siem", "cloud", "dlp", "idp", "proxy", "waf", "nids", "vpn", "honeypot", "badge"];

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    let count = std::env::var("HOOKMILL_BENCH_INCIDENTS").map_or(INCIDENTS, |text| text.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("HOOKMILL_BENCH_FOLDER").map_or(temporary.path().to_owned(), PathBuf::from);
    let is_new = !folder.join("hookmill.db").exists();
    let clock = Clock::default();
    let store = Arc::new(open(&folder, clock.clone()));
    if is_new {
        fill(&store, &clock, count).await;
    }
    let bytes = std::fs::metadata(folder.join("hookmill.db")).unwrap().len();
    println!("{count} incidents, {} MiB, {TIMES} times each search\n", bytes >> 20);
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut measured = Measured { store: store.clone(), only, worst: Duration::ZERO };
    let oldest = measured.created_at(Order::new([Sorting { key: SortKey::CreatedAt, descending: false }])).await;
    let newest = measured.created_at(Order::default()).await;
    let filters = filters(oldest, newest);
    println!("{:<52} {:>7} {:^29} {:^29}", "", "", "first page", "page 100");
    let times = "      p50       p95   p95 CPU";
    println!("{:<52} {:>7} {times} {times}", "search", "≤ 5000");
    for (name, values) in &filters {
        measured.incidents(name, values, &Order::default()).await;
    }
    println!();
    for (name, pairs) in pairs(&filters, both) {
        measured.incidents(&name, &pairs, &Order::default()).await;
    }
    println!();
    for (name, order) in orders() {
        measured.incidents(&format!("sort {name}"), &[IncidentFilter::default()], &order).await;
        for (filter_name, values) in &filters {
            measured.incidents(&format!("sort {name} + {filter_name}"), values, &order).await;
        }
        for (filter_name, pairs) in pairs(&filters, both) {
            measured.incidents(&format!("sort {name} + {filter_name}"), &pairs, &order).await;
        }
    }
    println!();
    let newest_events = store.events(EventFilter::default(), None, TIMES).await.unwrap();
    let events: Vec<Uuid> = newest_events.rows.iter().map(|row| row.as_ref().unwrap().event.id).collect();
    let newest_incidents = store.incidents(IncidentFilter::default(), Order::default(), None, TIMES).await.unwrap();
    let ids: Vec<Uuid> = newest_incidents.rows.iter().map(|row| row.as_ref().unwrap().id).collect();
    let related = async |index: usize, _: Option<()>, limit| {
        let related = store.related_incidents(IncidentKey::Id(ids[index]), limit).await.unwrap().unwrap().unwrap();
        (related.len(), None)
    };
    measured.measure("related", ids.len(), related).await;
    println!();
    let filters = event_filters(oldest, newest, ids, events);
    for (name, values) in &filters {
        measured.events(&format!("events: {name}"), values).await;
    }
    for (name, pairs) in pairs(&filters, both_of_events) {
        measured.events(&format!("events: {name}"), &pairs).await;
    }
    println!("\nthe slowest p95: {:.1} ms (goal: under 50 ms)", measured.worst.as_secs_f64() * 1e3);
    store.close();
}

/// Returns an order by each key alone, and some by several keys.
fn orders() -> Vec<(&'static str, Order)> {
    let by = |key, descending| Sorting { key, descending };
    [
        ("created_at", vec![by(SortKey::CreatedAt, false)]),
        ("-updated_at", vec![by(SortKey::UpdatedAt, true)]),
        ("updated_at", vec![by(SortKey::UpdatedAt, false)]),
        ("-severity", vec![by(SortKey::Severity, true)]),
        ("status", vec![by(SortKey::Status, false)]),
        ("source", vec![by(SortKey::Source, false)]),
        ("-severity,-updated_at", vec![by(SortKey::Severity, true), by(SortKey::UpdatedAt, true)]),
        (
            "status,source,created_at",
            [SortKey::Status, SortKey::Source, SortKey::CreatedAt].map(|key| by(key, false)).into(),
        ),
    ]
    .map(|(name, keys)| (name, Order::new(keys)))
    .into()
}

fn open(folder: &Path, clock: Clock) -> Store {
    let dedup = Dedup { retention: Duration::from_secs(60), window: Duration::from_secs(60) };
    let policy = Policy { dedup, reopen_within: Duration::from_secs(60) };
    Store::open(folder, 1_024, policy, Box::new(|_, _| {}), clock).unwrap()
}

type Named = (&'static str, Vec<IncidentFilter>);

/// Returns the filters, each with values from common to unique.
fn filters(oldest: Timestamp, newest: Timestamp) -> Vec<Named> {
    fn each<T>(values: impl IntoIterator<Item = T>, set: impl Fn(&mut IncidentFilter, T)) -> Vec<IncidentFilter> {
        let filter = |value| {
            let mut filter = IncidentFilter::default();
            set(&mut filter, value);
            filter
        };
        values.into_iter().map(filter).collect()
    }
    let at = |share: f64| {
        oldest + SignedDuration::try_from_secs_f64(newest.duration_since(oldest).as_secs_f64() * share).unwrap()
    };
    let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let numbers = [0, 3, 10, 50, 300, 1_900];
    let words = [0, 5, 40, 300, 1_700].map(word).to_vec();
    let searched = words.iter().cloned().chain([
        format!("{} {}", words[0], words[2]),
        format!("{} {}", words[3], words[4]),
        "ba*".into(),
        "ws-17".into(),
        "ref-777".into(),
        "nowhere".into(),
    ]);
    vec![
        ("status", each(Status::ALL, |filter, word| filter.status.push(*word))),
        ("severity", each(Severity::ALL, |filter, word| filter.severity.push(*word))),
        ("source", each(SOURCES, |filter, name| filter.source.push(name.into()))),
        ("source_ref", each(owned(&["ref-5", "ref-77", "none"]), |filter, value| filter.source_ref.push(value))),
        (
            "tag",
            each(
                numbers.map(|number| format!("tag-{number}")).into_iter().chain(owned(&[
                    "production",
                    "case-50",
                    "none",
                ])),
                |filter, value| filter.tag.push(value),
            ),
        ),
        (
            "observable",
            each(
                [0, 2, 20, 1_000, 100_000].map(address).into_iter().chain(owned(&["ws-1", "ws-40", "none"])),
                |filter, value| filter.observable.push(value),
            ),
        ),
        (
            "observable_prefix",
            each(owned(&["2", "20.1.", "22.", "ws-1", "ws-17", "ws-29", "000", "zz"]), |filter, value| {
                filter.observable_prefix.push(value)
            }),
        ),
        (
            "technique",
            each(owned(&["T1000", "T1000.001", "T1010", "T1150", "T1190.003"]), |filter, value| {
                filter.technique.push(value)
            }),
        ),
        ("assignee", each([0, 1, 10, 40, 199, 200].map(analyst), |filter, value| filter.assignee.push(value))),
        ("q", each(searched, |filter, text| filter.q = Some(SearchWords::parse(&text).unwrap()))),
        ("created_after", each([0.0, 0.5, 0.99, 0.9999].map(at), |filter, time| filter.created_after = Some(time))),
        ("created_before", each([0.0001, 0.01, 0.5, 1.0].map(at), |filter, time| filter.created_before = Some(time))),
        ("updated_after", each([0.0, 0.5, 0.99, 0.9999].map(at), |filter, time| filter.updated_after = Some(time))),
    ]
}

/// Returns a filter with the conditions of two.
fn both(one: &IncidentFilter, other: &IncidentFilter) -> IncidentFilter {
    let united = |one: &[String], other: &[String]| [one, other].concat();
    IncidentFilter {
        status: [&one.status[..], &other.status].concat(),
        severity: [&one.severity[..], &other.severity].concat(),
        source: united(&one.source, &other.source),
        source_ref: united(&one.source_ref, &other.source_ref),
        tag: united(&one.tag, &other.tag),
        assignee: united(&one.assignee, &other.assignee),
        observable: united(&one.observable, &other.observable),
        observable_prefix: united(&one.observable_prefix, &other.observable_prefix),
        technique: united(&one.technique, &other.technique),
        q: one.q.clone().or(other.q.clone()),
        created_after: one.created_after.or(other.created_after),
        created_before: one.created_before.or(other.created_before),
        updated_after: one.updated_after.or(other.updated_after),
    }
}

fn event_filters(
    oldest: Timestamp,
    newest: Timestamp,
    incidents: Vec<Uuid>,
    events: Vec<Uuid>,
) -> Vec<(&'static str, Vec<EventFilter>)> {
    let at = |share: f64| {
        oldest + SignedDuration::try_from_secs_f64(newest.duration_since(oldest).as_secs_f64() * share).unwrap()
    };
    let each = |filters: &mut dyn Iterator<Item = EventFilter>| filters.collect::<Vec<_>>();
    let all = EventFilter::default;
    vec![
        ("source", each(&mut SOURCES.iter().map(|name| EventFilter { source: vec![(*name).into()], ..all() }))),
        ("status", each(&mut EventStatus::ALL.iter().map(|word| EventFilter { status: vec![*word], ..all() }))),
        ("code", each(&mut FailureCode::ALL.iter().map(|word| EventFilter { code: vec![*word], ..all() }))),
        ("id", each(&mut events.into_iter().map(|id| EventFilter { id: vec![id], ..all() }))),
        ("incident", each(&mut incidents.into_iter().map(|id| EventFilter { incident: vec![id], ..all() }))),
        (
            "created_after",
            each(
                &mut [0.0, 0.5, 0.99, 0.9999]
                    .map(|share| EventFilter { created_after: Some(at(share)), ..all() })
                    .into_iter(),
            ),
        ),
    ]
}

fn both_of_events(one: &EventFilter, other: &EventFilter) -> EventFilter {
    EventFilter {
        id: [&one.id[..], &other.id].concat(),
        source: [&one.source[..], &other.source].concat(),
        status: [&one.status[..], &other.status].concat(),
        code: [&one.code[..], &other.code].concat(),
        incident: [&one.incident[..], &other.incident].concat(),
        created_after: one.created_after.or(other.created_after),
    }
}

/// Returns the pairs of filters, each with values of both.
fn pairs<F>(filters: &[(&'static str, Vec<F>)], both: fn(&F, &F) -> F) -> Vec<(String, Vec<F>)> {
    let mut pairs = Vec::new();
    for (index, (name, values)) in filters.iter().enumerate() {
        for (other_name, others) in &filters[index + 1..] {
            let times = 0..TIMES;
            let values = times.map(|time| both(&values[time % values.len()], &others[time / 2 % others.len()]));
            pairs.push((format!("{name} + {other_name}"), values.collect()));
        }
    }
    pairs
}

struct Measured {
    store: Arc<Store>,
    /// A part of the names of the searches to measure.
    only: String,
    worst: Duration,
}

/// The time and the processor time of a search.
type Times = (Duration, Duration);

impl Measured {
    /// Returns when the first incident of an order was created.
    async fn created_at(&self, order: Order) -> Timestamp {
        let page = self.store.incidents(IncidentFilter::default(), order, None, 1).await.unwrap();
        page.rows[0].as_ref().unwrap().incident.created_at
    }

    async fn incidents(&mut self, name: &str, filters: &[IncidentFilter], order: &Order) {
        let store = self.store.clone();
        let search = async |index: usize, after, limit| {
            let page = store.incidents(filters[index].clone(), order.clone(), after, limit).await.unwrap();
            (page.rows.len(), page.next)
        };
        self.measure(name, filters.len(), search).await;
    }

    async fn events(&mut self, name: &str, filters: &[EventFilter]) {
        let store = self.store.clone();
        let search = async |index: usize, before, limit| {
            let page = store.events(filters[index].clone(), before, limit).await.unwrap();
            (page.rows.len(), page.next)
        };
        self.measure(name, filters.len(), search).await;
    }

    /// Measures the first page and page 100 of some searches, in turn.
    async fn measure<P: Clone>(
        &mut self,
        name: &str,
        count: usize,
        search: impl AsyncFn(usize, Option<P>, usize) -> (usize, Option<P>),
    ) {
        if !name.contains(&self.only) {
            return;
        }
        let (mut first, mut later, mut rows) = (Vec::new(), Vec::new(), 0);
        let mut positions = Vec::new();
        for index in 0..count {
            let (found, next) = search(index, None, 99 * PAGE).await;
            rows += found + usize::from(next.is_some()) * PAGE;
            positions.push(next);
        }
        for time in 0..TIMES.max(count) {
            let index = time % count;
            // Without a page 100 there is nothing to measure of it.
            let later = positions[index].clone().map(|position| (Some(position), &mut later));
            for (after, times) in [Some((None, &mut first)), later].into_iter().flatten() {
                let (started, cpu_before) = (Instant::now(), cpu());
                search(index, after, PAGE).await;
                times.push((started.elapsed(), cpu().saturating_sub(cpu_before)));
            }
        }
        self.print(name, rows / count, [first, later]);
    }

    fn print(&mut self, name: &str, rows: usize, pages: [Vec<Times>; 2]) {
        let mut text = format!("{name:<52} {rows:>7}");
        for times in pages {
            let (mut waited, mut cpu): (Vec<_>, Vec<_>) = times.into_iter().unzip();
            self.worst = self.worst.max(percentile(&mut waited, 95).unwrap_or_default());
            let shown = [percentile(&mut waited, 50), percentile(&mut waited, 95), percentile(&mut cpu, 95)];
            for time in shown {
                text += &time.map_or(format!(" {:>9}", "–"), |time| format!(" {:>6.1} ms", time.as_secs_f64() * 1e3));
            }
        }
        println!("{text}");
    }
}

/// Returns the processor time of this process.
fn cpu() -> Duration {
    let of_thread = |thread: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(std::fs::read_dir("/proc/self/task").unwrap().filter_map(of_thread).sum())
}

/// Returns the least time that is not below a share of them, in percent.
fn percentile(times: &mut [Duration], share: usize) -> Option<Duration> {
    times.sort_unstable();
    times.get((times.len() * share).div_ceil(100).saturating_sub(1)).copied()
}
