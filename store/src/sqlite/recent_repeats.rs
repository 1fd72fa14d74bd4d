//! The table `recent_repeats`: repeat keys that were added lately.
//!
//! Digests are random, so that almost every key has a page of `repeats` to itself, which a commit would write. New keys are
//! appended to `recent_repeats` instead, and are in memory too, where they are found. From some number on, keys are
//! moved to `repeats` a few at a time, in the order of keys and round after round: those that lie side by side there
//! have become many since the last round, and share pages.

use super::{database, repeats};
use crate::ledger::{KnownEvent, RepeatKeyRow};
use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use tracing::error;

/// The keys in memory from which on some are moved: about 6 MiB. The table has up to four times as many rows.
const KEYS_MAX: usize = if cfg!(test) { 40 } else { 32 * 1024 };
/// The most keys that are moved in one transaction.
pub(super) const KEYS_MOVED: usize = if cfg!(test) { 24 } else { 1024 };

/// A repeat key, in the order of `repeats`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    at: i64,
    source: Cow<'a, str>,
    digest: [u8; 32],
}

impl<'a> Key<'a> {
    fn of(row: &RepeatKeyRow<'a>) -> Self {
        Self { at: row.at, source: row.source.into(), digest: *row.digest }
    }

    fn row(&self) -> RepeatKeyRow<'_> {
        RepeatKeyRow { at: self.at, source: &self.source, digest: &self.digest }
    }

    fn into_owned(self) -> Key<'static> {
        Key { source: self.source.into_owned().into(), ..self }
    }
}

/// A key in memory.
#[derive(Clone, Copy, Debug)]
struct Recent {
    event: KnownEvent,
    /// The position of its newest row.
    position: i64,
}

/// The keys that a host has in the table and has not moved to `repeats`.
#[derive(Debug, Default)]
pub(super) struct RecentRepeats {
    keys: BTreeMap<Key<'static>, Recent>,
    /// The number of keys from which on some are moved.
    due_at: usize,
    /// The largest time in `repeats`: later keys are not looked for there.
    newest_at: i64,
    /// The largest position of a row. Positions never come again, so that another process can read what is new.
    last_position: i64,
    /// The key up to which this round has moved keys.
    moved_to: Option<Key<'static>>,
    /// The largest position when this round began, which moves the rows up to there only: later keys may follow each other
    /// without an end.
    round_to: i64,
    /// The number of keys that this round has not moved, or more if some were removed or replaced.
    round_left: usize,
    /// The position up to which rows are of no use: their keys are in `repeats`, or have later rows.
    obsolete_to: i64,
    /// The position up to which rows were removed.
    removed_to: i64,
}

impl RecentRepeats {
    /// Moves the keys of the host before to `repeats`, and begins with an empty table.
    pub fn begin(connection: &mut Connection) -> Result<Self> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        move_all(&transaction)?;
        let newest_at = repeats::newest(&transaction)?;
        transaction.commit()?;
        // Keys of events grow faster than positions.
        let last = database::last_key(connection)?;
        let (last_position, round_to, obsolete_to, removed_to) = (last, last, last, last);
        Ok(Self { due_at: KEYS_MAX, newest_at, last_position, round_to, obsolete_to, removed_to, ..Self::default() })
    }

    /// Reads the rows that a host added since the last call, in another process, inside a transaction. The host may have moved some
    /// of their keys.
    pub fn read(&mut self, connection: &Connection) -> Result<()> {
        if self.keys.len() > 6 * KEYS_MAX {
            *self = Self::default();
        }
        self.newest_at = repeats::newest(connection)?;
        let sql = "SELECT position, at, source, digest, event, received_at FROM recent_repeats WHERE position > ? \
                   ORDER BY position";
        let mut query = connection.prepare_cached(sql)?;
        let mut rows = query.query([self.last_position])?;
        while let Some(row) = rows.next()? {
            let position = row.get(0)?;
            let key = Key { at: row.get(1)?, source: row.get::<_, String>(2)?.into(), digest: row.get(3)? };
            let event = KnownEvent { key: row.get(4)?, received_at: row.get(5)? };
            self.keys.insert(key, Recent { event, position });
            self.last_position = position;
        }
        Ok(())
    }

    /// Moves keys while there are many, at most `limit` in each transaction of their own: payloads are stored also while `repeats`
    /// cannot be written. Returns whether there were many.
    pub fn move_some(&mut self, connection: &mut Connection, limit: usize) -> bool {
        let are_many = self.keys.len() >= self.due_at;
        while self.keys.len() >= self.due_at {
            if self.round_left == 0 {
                (self.obsolete_to, self.round_to) = (self.round_to, self.last_position);
                (self.moved_to, self.round_left) = (None, self.keys.len());
            }
            let after = self.moved_to.take().map_or(Bound::Unbounded, Bound::Excluded);
            let is_of_round = |_: &Key, recent: &mut Recent| recent.position <= self.round_to;
            // Looking for more would look at all later keys.
            let due = limit.min(self.round_left);
            let batch: Vec<_> = self.keys.extract_if((after, Bound::Unbounded), is_of_round).take(due).collect();
            let removed_to = self.obsolete_to.min(self.removed_to + 2 * limit as i64);
            if let Err(error) = move_rows(connection, &batch, removed_to) {
                let count = self.keys.len() + batch.len();
                error!("{count} repeat keys wait to be moved to their table, which is tried again later: {error:#}");
                // The round begins anew, with those that are left of it.
                self.keys.extend(batch);
                self.due_at = count + KEYS_MOVED;
                return true;
            }
            (self.due_at, self.removed_to) = (KEYS_MAX, removed_to);
            self.newest_at = batch.last().map_or(self.newest_at, |(key, _)| self.newest_at.max(key.at));
            self.round_left = if batch.len() < due { 0 } else { self.round_left - due };
            self.moved_to = batch.into_iter().last().map(|(key, _)| key);
        }
        are_many
    }

    /// Applies what a transaction changed, after its commit.
    pub fn apply(&mut self, changed: ChangedRepeats) {
        if let Some(before) = changed.removed_before {
            self.keys.retain(|key, _| key.at >= before);
        }
        self.last_position += changed.rows;
        self.keys.extend(changed.added);
    }
}

fn move_rows(connection: &mut Connection, batch: &[(Key, Recent)], removed_to: i64) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (key, recent) in batch {
        repeats::put(&transaction, &key.row(), recent.event)?;
    }
    transaction.prepare_cached("DELETE FROM recent_repeats WHERE position <= ?")?.execute([removed_to])?;
    Ok(transaction.commit()?)
}

/// The changes of a transaction, to be applied after its commit.
#[derive(Debug, Default)]
pub(super) struct ChangedRepeats {
    added: BTreeMap<Key<'static>, Recent>,
    /// The number of rows that were added.
    rows: i64,
    removed_before: Option<i64>,
}

/// The repeat keys in a transaction. A dry run adds none.
pub(super) struct RepeatsTx<'a> {
    connection: &'a Connection,
    recent: &'a RecentRepeats,
    changed: ChangedRepeats,
}

impl<'a> RepeatsTx<'a> {
    pub fn new(connection: &'a Connection, recent: &'a RecentRepeats) -> Self {
        Self { connection, recent, changed: ChangedRepeats::default() }
    }

    /// Returns what is to be applied after the commit.
    pub fn finish(self) -> ChangedRepeats {
        self.changed
    }

    pub fn find(&self, row: &RepeatKeyRow) -> Result<Option<KnownEvent>> {
        let (key, is_removed) = (Key::of(row), self.changed.removed_before.is_some_and(|before| row.at < before));
        match get(&self.changed.added, &key).or_else(|| get(&self.recent.keys, &key).filter(|_| !is_removed)) {
            None if row.at > self.recent.newest_at => Ok(None),
            None => repeats::find(self.connection, row),
            found => Ok(found),
        }
    }

    /// Adds a key unless it exists. Returns the event of an existing key.
    pub fn add(&mut self, key: &RepeatKeyRow, event: KnownEvent) -> Result<Option<KnownEvent>> {
        let known = self.find(key)?;
        if known.is_none() {
            self.put(key, event)?;
        }
        Ok(known)
    }

    /// Adds or replaces a key.
    pub fn put(&mut self, key: &RepeatKeyRow, event: KnownEvent) -> Result<()> {
        self.changed.rows += 1;
        let sql =
            "INSERT INTO recent_repeats (position, at, source, digest, event, received_at) VALUES (?, ?, ?, ?, ?, ?)";
        let position = self.recent.last_position + self.changed.rows;
        let row = params![position, key.at, key.source, key.digest, event.key, event.received_at];
        self.connection.prepare_cached(sql)?.execute(row)?;
        self.changed.added.insert(Key::of(key).into_owned(), Recent { event, position });
        Ok(())
    }

    /// Removes at most `limit` keys before a time from `repeats`, and all from `recent_repeats` when there are no more. Obsolete rows
    /// of removed keys may be moved again by a host that starts; they are too old to recognise anything. Returns the number of the former.
    pub fn remove(&mut self, before: i64, limit: usize) -> Result<usize> {
        let removed = repeats::remove(self.connection, before, limit)?;
        if removed < limit {
            self.connection.prepare_cached("DELETE FROM recent_repeats WHERE at < ?")?.execute([before])?;
            self.changed.added.retain(|key, _| key.at >= before);
            self.changed.removed_before = self.changed.removed_before.max(Some(before));
        }
        Ok(removed)
    }
}

/// The keys live as long as the map, which may be longer than those that are looked for.
fn get<'a>(keys: &BTreeMap<Key<'a>, Recent>, key: &Key<'a>) -> Option<KnownEvent> {
    keys.get(key).map(|recent| recent.event)
}

/// Returns the event of a repeat key that a reader looks for. Reads all rows.
pub(super) fn find(connection: &Connection, key: &RepeatKeyRow) -> Result<Option<KnownEvent>> {
    let sql = "SELECT event, received_at FROM recent_repeats WHERE at = ? AND source = ? AND digest = ? \
               ORDER BY position DESC LIMIT 1";
    let found = connection.prepare_cached(sql)?.query_row(params![key.at, key.source, key.digest], |row| {
        Ok(KnownEvent { key: row.get(0)?, received_at: row.get(1)? })
    });
    match found.optional()? {
        None => repeats::find(connection, key),
        found => Ok(found),
    }
}

/// Moves all keys to `repeats`.
pub(super) fn move_all(connection: &Connection) -> Result<()> {
    Ok(connection.execute_batch(
        "INSERT OR REPLACE INTO repeats (at, source, digest, event, received_at) \
         SELECT at, source, digest, event, received_at FROM recent_repeats ORDER BY position; \
         DELETE FROM recent_repeats",
    )?)
}

#[cfg(test)]
mod tests {
    use super::{KEYS_MAX, KEYS_MOVED};
    use crate::{Dedup, Policy, Store};
    use hookmill_incident::{Clock, Event, Journey, Mapped, RepeatKey, Verdict};
    use rusqlite::Connection;
    use std::ops::Range;
    use std::path::Path;
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn open(folder: &Path) -> Store {
        let policy = Policy { dedup: Dedup { retention: DAY, window: DAY }, reopen_within: DAY };
        Store::open(folder, 64, policy, Box::new(|_, _| {}), Clock::default()).unwrap()
    }

    /// Records events one after the other, of which one in `signed` has no signed time. Returns which of them are repeats.
    async fn record_signed(store: &Store, bodies: Range<usize>, signed: usize) -> Vec<bool> {
        let mut repeats = Vec::new();
        for body in bodies {
            let now = store.clock.now_ms();
            let text = body.to_string().into_bytes().into();
            let mut event = Event::dry_run(store.new_id(), now, "lab".into(), Vec::new(), text);
            if !body.is_multiple_of(signed) {
                event.repeat_key = RepeatKey::SignedAt(now / 86_400_000 * 86_400_000 + body as i64);
            }
            let mapped = Mapped {
                event,
                verdict: Verdict::NotMapped("a test".into()),
                playbook: None,
                auto_triage: false,
                tried: Vec::new(),
                journey: Journey::default(),
            };
            assert_eq!(store.is_repeat(mapped.event.clone()).await.unwrap(), {
                let recorded = store.record(mapped).await.unwrap();
                repeats.push(recorded.duplicate);
                recorded.duplicate
            });
        }
        repeats
    }

    async fn record(store: &Store, bodies: Range<usize>) -> Vec<bool> {
        record_signed(store, bodies, 1).await
    }

    /// Returns the numbers of rows in `repeats` and `recent_repeats`.
    fn rows(folder: &Path) -> [usize; 2] {
        let database = Connection::open(folder.join("hookmill.db")).unwrap();
        ["repeats", "recent_repeats"]
            .map(|table| database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap())
    }

    #[tokio::test]
    async fn keys_are_found_before_and_after_they_are_moved_and_in_the_next_host() {
        const EVENTS: usize = 20 * KEYS_MAX;
        let folder = tempfile::tempdir().unwrap();
        for part in 0..4 {
            let store = open(folder.path());
            let (first, end) = (part * EVENTS / 4, (part + 1) * EVENTS / 4);
            assert_eq!(record(&store, 0..first).await, vec![true; first]);
            assert_eq!(record(&store, first..end).await, vec![false; end - first]);
            let [moved, recent] = rows(folder.path());
            assert!(moved + KEYS_MAX >= end, "{moved} of {end} keys were moved");
            assert!(recent <= 4 * KEYS_MAX, "{recent} rows were not removed");
        }
    }

    #[tokio::test]
    async fn events_are_stored_while_keys_cannot_be_moved() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let first = KEYS_MAX + KEYS_MOVED;
        record(&store, 0..first).await;
        let other = Connection::open(folder.path().join("hookmill.db")).unwrap();
        let refuse = "CREATE TRIGGER refused BEFORE INSERT ON repeats BEGIN SELECT raise(ABORT, 'refused'); END";
        other.execute_batch(refuse).unwrap();
        assert_eq!(record(&store, first..3 * first).await, vec![false; 2 * first]);
        assert_eq!(record(&store, 0..3 * first).await, vec![true; 3 * first]);
        other.execute_batch("DROP TRIGGER refused").unwrap();
        record(&store, 3 * first..6 * first).await;
        let [moved, _] = rows(folder.path());
        assert!(moved + KEYS_MAX >= 6 * first, "{moved} keys were moved");
    }

    #[tokio::test]
    async fn keys_with_ascending_times_leave_the_table_too() {
        for signed in [10, usize::MAX] {
            let folder = tempfile::tempdir().unwrap();
            let store = open(folder.path());
            for part in 0..40 {
                let bodies = 1 + part * KEYS_MAX..1 + (part + 1) * KEYS_MAX;
                assert_eq!(record_signed(&store, bodies, signed).await, vec![false; KEYS_MAX]);
                let [_, recent] = rows(folder.path());
                assert!(recent <= 4 * KEYS_MAX, "{recent} rows after part {part}, one in {signed} not signed");
            }
            let all = 1..1 + 40 * KEYS_MAX;
            assert!(record_signed(&store, all, signed).await.into_iter().all(|is_repeat| is_repeat));
        }
    }
}
