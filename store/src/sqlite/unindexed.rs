//! New incidents that searches by values and words do not find yet.

use super::postings::{Added, BATCH, add_missing, missing};
use anyhow::Result;
use rusqlite::{Connection, TransactionBehavior};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tracing::error;

/// The number of the incidents, which the writer and the reads share.
#[derive(Debug)]
pub(super) struct Unindexed {
    /// At least as many as there are: those of a transaction that was rolled back stay counted.
    count: AtomicUsize,
    /// After a failure, the count from which they are added again.
    due_at: AtomicUsize,
    /// Whether a search waits for them.
    is_wanted: AtomicBool,
}

impl Unindexed {
    /// Counts the incidents in a database.
    pub fn of(connection: &Connection) -> Result<Self> {
        let count = missing(connection)?.into();
        Ok(Self { count, due_at: 0.into(), is_wanted: false.into() })
    }

    /// Counts new incidents, before they are committed.
    pub fn add(&self, incidents: usize) {
        self.count.fetch_add(incidents, Ordering::Release);
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Makes the writer add the incidents before its next transaction.
    pub fn want(&self) {
        self.is_wanted.store(true, Ordering::Release);
    }

    /// Adds the incidents to the tables of searches if a search waits for them. Returns whether one did.
    pub fn index_if_wanted(&self, connection: &mut Connection) -> bool {
        let is_wanted = self.is_wanted.swap(false, Ordering::AcqRel);
        while is_wanted && !self.is_empty() && self.index(connection, BATCH) {}
        is_wanted
    }

    /// Adds `many` incidents to the tables of searches if there are as many, and more until fewer than a batch are left. Returns
    /// whether there were.
    pub fn index_if_many(&self, connection: &mut Connection, many: usize) -> bool {
        let are_many = self.are_due(many);
        if are_many {
            self.index(connection, many);
        }
        while self.are_due(BATCH) {
            self.index(connection, BATCH);
        }
        are_many
    }

    fn are_due(&self, many: usize) -> bool {
        self.count.load(Ordering::Acquire) >= many.max(self.due_at.load(Ordering::Relaxed))
    }

    /// Adds the oldest incidents in a transaction of their own: payloads are stored also while the tables cannot be written, and
    /// searches find what the tables have. Returns whether that succeeded.
    fn index(&self, connection: &mut Connection, limit: usize) -> bool {
        let count = self.count.load(Ordering::Acquire);
        let due_at = match add(connection, limit) {
            Ok(added) => {
                let left = if added.are_more { count.saturating_sub(added.count).max(1) } else { 0 };
                self.count.store(left, Ordering::Release);
                0
            }
            Err(error) => {
                error!(
                    "{count} new incidents cannot be added to the index of searches yet, which does not find them: {error:#}"
                );
                count + BATCH
            }
        };
        self.due_at.store(due_at, Ordering::Relaxed);
        due_at == 0
    }
}

fn add(connection: &mut Connection, limit: usize) -> Result<Added> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let added = add_missing(&transaction, limit)?;
    transaction.commit()?;
    Ok(added)
}

#[cfg(test)]
mod tests {
    use super::BATCH;
    use crate::ledger::EncodedEvent;
    use crate::rows::{IncidentKey, Order, SortKey, Sorting};
    use crate::search_values::values;
    use crate::search_words::SearchWords;
    use crate::sqlite::postings::{missing, texts};
    use crate::sqlite::word_parts::WordPart;
    use crate::store::Pruner;
    use crate::{Dedup, IncidentFilter, Policy, Store, StoredKind};
    use anyhow::bail;
    use hookmill_incident::id::row_key;
    use hookmill_incident::{
        Clock, Event, Journey, Mapped, Observable, Observation, Patch, PluginVersion, Reading, State, Verdict,
    };
    use rusqlite::Connection;
    use std::collections::BTreeSet;
    use std::ops::Range;
    use std::path::Path;
    use std::time::Duration;
    use tempfile::TempDir;
    use tokio::time::sleep;
    use uuid::Uuid;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn policy() -> Policy {
        Policy { dedup: Dedup { retention: DAY, window: DAY }, reopen_within: DAY }
    }

    fn open(folder: &Path) -> Store {
        Store::open(folder, 64, policy(), Box::new(|_, _| {}), Clock::default()).unwrap()
    }

    /// Returns an event that makes resolved incidents, each found by `all`, by `word-N` and by `198.51.100.N`.
    fn mapped(store: &Store, references: Range<usize>) -> Mapped {
        let body = format!("{references:?}");
        let observable = |reference: usize| Observable {
            data_type: "ip".into(),
            value: format!("198.51.100.{reference}"),
            message: None,
            tags: Vec::new(),
            ioc: false,
        };
        let observation = |reference: usize| Observation {
            source_ref: format!("ref-{reference}"),
            title: Some(format!("all word-{reference}")),
            state: Some(State::Resolved),
            tags: vec!["all".into()],
            observables: vec![observable(reference)],
            ..Observation::default()
        };
        let observations = references.map(observation).collect();
        let reading = Reading { observations, skipped: Vec::new(), problems: Vec::new() };
        let plugin = PluginVersion { name: "test".into(), version: "1.0".into(), sha256: "0".repeat(64) };
        let received_at = store.clock.now_ms();
        Mapped {
            event: Event::dry_run(store.new_id(), received_at, "lab".into(), Vec::new(), body.into_bytes().into()),
            verdict: Verdict::Read { plugin, reading },
            playbook: None,
            auto_triage: false,
            tried: Vec::new(),
            journey: Journey::default(),
        }
    }

    async fn record(store: &Store, references: Range<usize>) -> Vec<Uuid> {
        let recorded = store.record(mapped(store, references)).await.unwrap();
        recorded.state.incidents.iter().map(|incident| incident.id).collect()
    }

    async fn retitle(store: &Store, id: Uuid, title: &str) {
        let patch = Patch { title: Some(title.into()), tags: Some(vec![title.into()]), ..Patch::default() };
        store.patch(IncidentKey::Id(id), patch, "ann".into(), "request".into()).await.unwrap().unwrap();
    }

    async fn delete(store: &Store, id: Uuid) {
        store.delete(IncidentKey::Id(id), "ann".into(), "request".into()).await.unwrap().unwrap();
    }

    /// Removes incidents as another process does, the oldest first, until so many are removed. Returns their number.
    fn prune(folder: &Path, at_least: i64) -> i64 {
        let clock = Clock::default();
        clock.shift_ms(1_000);
        let mut pruner = Pruner::open(folder, policy(), clock).unwrap();
        let (mut removed, mut from) = (0, None);
        while removed < at_least {
            let pruned = pruner.prune(StoredKind::Incidents, Duration::ZERO, from, false).unwrap();
            (removed, from) = (removed + pruned.removed.0[&StoredKind::Incidents].rows, pruned.next);
        }
        removed
    }

    /// Returns the titles of the incidents that a query finds, the oldest first.
    async fn found(store: &Store, query: &str) -> Vec<String> {
        let filter = IncidentFilter { q: SearchWords::parse(query).ok(), ..IncidentFilter::default() };
        let page = store.incidents(filter, Order::default(), None, 100).await.unwrap();
        let titles = page.rows.into_iter().map(|row| row.unwrap().incident.title);
        titles.rev().map(|title| title.replace("all ", "")).collect()
    }

    fn database(folder: &Path) -> Connection {
        Connection::open(folder.join("hookmill.db")).unwrap()
    }

    /// Checks that the tables have exactly the incidents up to the position, and returns how many are missing.
    fn check(folder: &Path) -> usize {
        let database = database(folder);
        // The writer may be adding others.
        database.execute_batch("BEGIN").unwrap();
        let (mut expected_values, mut expected_words) = (BTreeSet::new(), BTreeSet::new());
        let sql = "SELECT source_ref, record, key FROM incidents, indexed WHERE key <= up_to AND deleted = 0";
        let mut query = database.prepare(sql).unwrap();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let (key, texts): (i64, _) = (row.get(2).unwrap(), texts(row).unwrap());
            expected_values.extend(values(&texts).iter().map(|(kind, value)| (*kind as i64, value.to_string(), key)));
            let beginning = WordPart::of(&database, key).unwrap().beginning();
            expected_words.extend(texts.words().into_iter().map(|word| (format!("{beginning}{word}"), key)));
        }
        let mut query = database.prepare("SELECT kind, value, incident FROM postings").unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        assert_eq!(rows.map(Result::unwrap).collect::<BTreeSet<(i64, String, i64)>>(), expected_values);
        database.execute_batch("CREATE VIRTUAL TABLE temp.word USING fts5vocab(main, words, instance)").unwrap();
        let mut query = database.prepare("SELECT term, doc FROM word").unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(rows.map(Result::unwrap).collect::<BTreeSet<(String, i64)>>(), expected_words);
        missing(&database).unwrap()
    }

    /// Returns the files of a store that is still open, as a crash would leave them.
    fn crashed(folder: &Path) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for name in ["hookmill.db", "hookmill.db-wal"] {
            std::fs::copy(folder.join(name), copy.path().join(name)).unwrap();
        }
        copy
    }

    #[tokio::test]
    async fn new_incidents_are_found_whatever_happens_before() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let first = record(&store, 0..4).await;
        retitle(&store, first[0], "changed").await;
        delete(&store, first[1]).await;
        assert_eq!(check(folder.path()), 4);
        // Filters that need no words or values add nothing.
        assert_eq!(store.count_incidents(IncidentFilter::default(), 9).await.unwrap().count, 3);
        assert_eq!(check(folder.path()), 4);
        assert_eq!(found(&store, "changed").await, ["changed"]);
        assert_eq!(found(&store, "all").await, ["word-2", "word-3"]);
        assert_eq!(check(folder.path()), 0);

        // The same happens to some that were added and some that were not.
        let later = record(&store, 4..8).await;
        for (id, title) in [(first[0], "again"), (first[3], "old"), (later[0], "new"), (later[0], "newest")] {
            retitle(&store, id, title).await;
        }
        delete(&store, first[2]).await;
        delete(&store, later[1]).await;
        assert_eq!(check(folder.path()), 4);
        let copy = crashed(folder.path());
        for (store, folder) in [(store, folder), (open(copy.path()), copy)] {
            assert_eq!(found(&store, "all").await, ["word-6", "word-7"]);
            assert_eq!(found(&store, "changed").await.len() + found(&store, "new").await.len(), 0);
            assert_eq!(found(&store, "newest").await, ["newest"]);
            assert_eq!(check(folder.path()), 0);
            let counted = store.counted_observables(IncidentKey::Id(later[0])).await.unwrap().unwrap().unwrap();
            assert_eq!(counted[0].incidents, 1);
        }
    }

    #[tokio::test]
    async fn incidents_of_writes_that_fail_are_not_added() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let (failing, dry) = (mapped(&store, 10..12), mapped(&store, 20..22));
        let (failing_encoded, dry_encoded) = (EncodedEvent::of(&failing), EncodedEvent::of(&dry));
        let (recorded, failed, ()) = tokio::join!(
            record(&store, 0..2),
            store.database.write(move |ledger| -> anyhow::Result<()> {
                ledger.record(&failing, &failing_encoded)?;
                bail!("it fails")
            }),
            async {
                let write = store.database.write(move |ledger| {
                    ledger.dry_run(&dry)?;
                    ledger.record(&dry, &dry_encoded)
                });
                write.await.unwrap();
            },
        );
        assert!(failed.is_err());
        retitle(&store, recorded[1], "changed").await;
        assert_eq!(check(folder.path()), 4);
        assert_eq!(found(&store, "all").await, ["word-0", "word-20", "word-21"]);
        assert_eq!(check(folder.path()), 0);
    }

    #[tokio::test]
    async fn incidents_that_another_process_removes_are_not_added() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        record(&store, 0..3).await;
        assert_eq!(found(&store, "all").await.len(), 3);
        record(&store, 3..6).await;
        let removed = prune(folder.path(), 5);
        check(folder.path());
        record(&store, 6..7).await;
        assert_eq!(found(&store, "word-6").await, ["word-6"]);
        assert_eq!(found(&store, "all").await.len() as i64, 7 - removed);
        assert_eq!(check(folder.path()), 0);
    }

    #[tokio::test]
    async fn many_are_added_without_a_search() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        record(&store, 0..2 * BATCH + 3).await;
        store.wait_for_writer().await;
        assert!(check(folder.path()) < BATCH);
    }

    #[tokio::test]
    async fn words_are_found_in_each_part_and_parts_without_incidents_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let parts = || WordPart::all(&database(folder.path())).unwrap();
        let mut ids = Vec::new();
        // Each search adds ten incidents, which fill a part.
        for first in [0, 10, 20, 30] {
            ids.extend(record(&store, first..first + 10).await);
            assert_eq!(found(&store, &format!("word-{first}")).await.len(), 1);
        }
        assert_eq!(
            parts().iter().map(|part| part.first_key).collect::<Vec<_>>(),
            [0, 10, 20, 30].map(|at| row_key(ids[at]))
        );
        let titles: Vec<_> = (0..40).map(|reference| format!("word-{reference}")).collect();
        assert_eq!(found(&store, "all").await, titles);
        assert_eq!(found(&store, "word*").await, titles);
        assert_eq!(found(&store, "word-1*").await, [&titles[1..2], &titles[10..20]].concat());
        retitle(&store, ids[15], "all changed").await;
        assert_eq!(found(&store, "changed").await, ["changed"]);
        assert_eq!(found(&store, "word-15").await.len(), 0);
        for descending in [false, true] {
            let filter = IncidentFilter { q: SearchWords::parse("all").ok(), ..IncidentFilter::default() };
            assert_eq!(store.count_incidents(filter.clone(), 99).await.unwrap().count, 40);
            let order = Order::new(vec![Sorting { key: SortKey::CreatedAt, descending }]);
            let (mut after, mut listed) = (None, Vec::new());
            loop {
                let page = store.incidents(filter.clone(), order.clone(), after, 7).await.unwrap();
                listed.extend(page.rows.into_iter().map(|row| row.unwrap().id));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            if descending {
                listed.reverse();
            }
            assert_eq!(listed, ids);
        }

        let removed = prune(folder.path(), 25);
        record(&store, 40..41).await;
        assert_eq!(found(&store, "word-40").await, ["word-40"]);
        assert!((1..=15).contains(&(40 - removed)), "{removed}");
        assert_eq!(found(&store, "all").await.len() as i64, 41 - removed);
        // The changed incident is too new to be removed.
        assert_eq!(parts()[0].first_key, row_key(ids[10]));
        assert_eq!(check(folder.path()), 0);
    }

    #[tokio::test]
    async fn segments_of_words_stay_few() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let mut ids = Vec::new();
        for reference in 0..30 {
            ids.extend(record(&store, reference..reference + 1).await);
            // A search adds the incident, as a segment of its own.
            assert_eq!(found(&store, &format!("word-{reference}")).await.len(), 1);
        }
        wait_for_few_segments(&store, folder.path()).await;
        // So does each change.
        for id in ids {
            retitle(&store, id, "changed").await;
        }
        wait_for_few_segments(&store, folder.path()).await;
        assert_eq!(check(folder.path()), 0);
    }

    /// Waits until few segments are left to be merged, which happens after writes.
    async fn wait_for_few_segments(store: &Store, folder: &Path) {
        // FTS5 has the number of the segment in front of that of the page.
        let sql = "SELECT count(DISTINCT id >> 37) FROM words_data WHERE id >> 37 > 0";
        let database = database(folder);
        for _ in 0..100 {
            store.wait_for_writer().await;
            let segments: usize = database.query_row(sql, [], |row| row.get(0)).unwrap();
            if segments < 8 {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("there are many segments");
    }

    #[tokio::test]
    async fn a_search_finds_what_it_can_while_nothing_can_be_added() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        record(&store, 0..1).await;
        assert_eq!(found(&store, "all").await, ["word-0"]);
        record(&store, 1..2).await;

        // Payloads are stored also while the tables are damaged.
        let other = database(folder.path());
        other.execute_batch("ALTER TABLE postings RENAME TO gone").unwrap();
        record(&store, 2..BATCH + 5).await;
        record(&store, BATCH + 5..BATCH + 6).await;
        assert_eq!(found(&store, "all").await, ["word-0"]);
        assert_eq!(missing(&other).unwrap(), BATCH + 5);
        other.execute_batch("ALTER TABLE gone RENAME TO postings").unwrap();
        assert_eq!(found(&store, &format!("word-{}", BATCH + 5)).await.len(), 1);
        assert_eq!(check(folder.path()), 0);

        record(&store, BATCH + 6..BATCH + 7).await;
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let last = format!("word-{}", BATCH + 6);
        assert!(found(&store, &last).await.is_empty());
        assert!(store.trouble().is_some());
        other.execute_batch("COMMIT").unwrap();
        store.probe().await.unwrap();
        assert_eq!(found(&store, &last).await.len(), 1);
        assert_eq!(check(folder.path()), 0);
    }
}
