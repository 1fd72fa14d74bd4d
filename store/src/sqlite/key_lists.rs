//! Lists of row keys in indexes, which are read in parts and merged in the order of the keys or of a time before them.

use crate::rows::Place;
use anyhow::Result;
use hookmill_incident::id::{row_key_at, row_key_ms};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::ops::RangeInclusive;

/// The rows of the first part of a list. Each further part is twice as large, up to the last number.
const PART: usize = 8;
const PART_MAX: usize = 1_024;
/// The nanoseconds of a millisecond, in which keys have their time.
const NANOSECONDS: i64 = 1_000_000;

/// The keys of an index that belong to a value, or keys that were collected before.
#[derive(Clone, Debug)]
pub(super) enum KeyList {
    Index(IndexRange),
    /// Lists that follow one another in the order of the keys, without a time before them. Each has those from a key on, up to
    /// that of the next list.
    Parts(Vec<(i64, IndexRange)>),
    /// Sorted.
    Keys(Vec<i64>),
    /// Sorted, each at the time in the key.
    TimedKeys(Vec<i64>),
}

/// The part of an index in which some columns have certain values, so that the others are sorted.
#[derive(Clone, Debug)]
pub(super) struct IndexRange {
    /// The table, with the index if SQLite might choose another.
    pub table: &'static str,
    /// The condition, with one parameter for each value.
    pub condition: &'static str,
    pub values: Vec<Value>,
    /// The column with the key.
    pub key: &'static str,
    pub time: Time,
}

/// The time before the key in the order of a list.
#[derive(Clone, Copy, Debug)]
pub(super) enum Time {
    /// The list is in the order of the keys.
    Absent,
    /// A column of the index before the key.
    Column(&'static str),
    /// The time in the key, in nanoseconds. It must be later than this one.
    OfKey(i64),
}

/// The way in which lists are read.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    /// The range of the keys.
    pub keys: RangeInclusive<i64>,
    /// Whether the largest key comes first.
    pub keys_descend: bool,
    /// Whether the latest time comes first.
    pub times_descend: bool,
}

impl Scan {
    /// Returns the place before all others.
    pub fn start(&self) -> Place {
        let first = |descends| if descends { i64::MAX } else { i64::MIN };
        (first(self.times_descend), first(self.keys_descend))
    }

    /// Returns the first and the last key after a key.
    fn keys_after(&self, key: i64) -> (i64, i64) {
        let (first, last) = (*self.keys.start(), *self.keys.end());
        match self.keys_descend {
            true => (first, last.min(key.saturating_sub(1))),
            false => (first.max(key.saturating_add(1)), last),
        }
    }

    /// Returns the first and the last key after a place in a list whose times are those in the keys.
    fn keys_after_time(&self, (time, key): Place) -> (i64, i64) {
        let (first, last) = (*self.keys.start(), *self.keys.end());
        let ms = time.div_euclid(NANOSECONDS);
        // The keys with this time.
        let (from, until) = (row_key_at(ms + i64::from(time.rem_euclid(NANOSECONDS) > 0)), row_key_at(ms + 1));
        match (self.times_descend, self.keys_descend) {
            (true, true) => (first, last.min(key.clamp(from, until) - 1)),
            (false, false) => (first.max(key.saturating_add(1).clamp(from, until)), last),
            // A part has all keys of its last time, so that none of them is left, or all at the start.
            (true, false) => (first, last.min(if key < from { until - 1 } else { from - 1 })),
            (false, true) => (first.max(if key >= until { from } else { until }), last),
        }
    }
}

impl KeyList {
    /// Returns keys in a range, at most `limit`, in any order.
    pub fn keys(&self, connection: &Connection, range: &RangeInclusive<i64>, limit: usize) -> Result<Vec<i64>> {
        match self {
            Self::Keys(keys) | Self::TimedKeys(keys) => {
                Ok(keys.iter().copied().filter(|key| range.contains(key)).take(limit).collect())
            }
            Self::Index(list) => list.keys(connection, range, limit),
            Self::Parts(parts) => {
                let mut keys = Vec::new();
                for (_, list) in parts_between(parts, *range.start(), *range.end()) {
                    if keys.len() == limit {
                        break;
                    }
                    keys.extend(list.keys(connection, range, limit - keys.len())?);
                }
                Ok(keys)
            }
        }
    }

    /// Returns the first keys, at most `limit`.
    pub fn first_keys(&self, connection: &Connection, scan: &Scan, limit: usize) -> Result<Vec<i64>> {
        let places = self.part(connection, scan, scan.start(), limit)?;
        Ok(places.into_iter().map(|(_, key)| key).collect())
    }

    /// Returns at most `limit` places after a place.
    fn part(&self, connection: &Connection, scan: &Scan, after: Place, limit: usize) -> Result<VecDeque<Place>> {
        match self {
            Self::Keys(keys) => Ok(part_of(keys, scan.keys_after(after.1), scan.keys_descend, limit, |_| 0)),
            Self::TimedKeys(keys) => Ok(part_of(keys, scan.keys_after_time(after), scan.times_descend, limit, time_in)),
            Self::Index(list) => list.part(connection, scan, after, limit),
            Self::Parts(parts) => {
                let (first, last) = scan.keys_after(after.1);
                let mut parts = parts_between(parts, first, last).iter();
                let mut places = VecDeque::new();
                while places.len() < limit
                    && let Some((_, list)) = if scan.keys_descend { parts.next_back() } else { parts.next() }
                {
                    places.extend(list.part(connection, scan, after, limit - places.len())?);
                }
                Ok(places)
            }
        }
    }
}

/// Returns the parts that may have keys in a range.
fn parts_between(parts: &[(i64, IndexRange)], first: i64, last: i64) -> &[(i64, IndexRange)] {
    let parts = &parts[..parts.partition_point(|(from, _)| *from <= last)];
    &parts[parts.partition_point(|(from, _)| *from <= first).saturating_sub(1)..]
}

/// Returns the time in a key, in nanoseconds.
fn time_in(key: i64) -> i64 {
    row_key_ms(key) * NANOSECONDS
}

/// Returns the first places of sorted keys in a range, at most `limit`.
fn part_of(
    keys: &[i64],
    (first, last): (i64, i64),
    descends: bool,
    limit: usize,
    time: fn(i64) -> i64,
) -> VecDeque<Place> {
    let place = |key: &i64| (time(*key), *key);
    let keys = &keys[..keys.partition_point(|key| *key <= last)];
    let keys = &keys[keys.partition_point(|key| *key < first)..];
    match descends {
        true => keys.iter().rev().take(limit).map(place).collect(),
        false => keys.iter().take(limit).map(place).collect(),
    }
}

impl IndexRange {
    /// Returns keys in a range, at most `limit`, in any order.
    fn keys(&self, connection: &Connection, range: &RangeInclusive<i64>, limit: usize) -> Result<Vec<i64>> {
        let Self { table, condition, values, key, .. } = self;
        let sql = format!("SELECT {key} FROM {table} WHERE {condition} AND {key} >= ? AND {key} <= ? LIMIT ?");
        let bounds = [*range.start(), *range.end(), limit as i64].map(Value::Integer);
        let mut query = connection.prepare_cached(&sql)?;
        let keys = query.query_map(params_from_iter(values.iter().cloned().chain(bounds)), |row| row.get(0))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    fn part(&self, connection: &Connection, scan: &Scan, after: Place, limit: usize) -> Result<VecDeque<Place>> {
        let key = self.key;
        let key_order = if scan.keys_descend { "DESC" } else { "ASC" };
        match self.time {
            Time::Absent => {
                // One bound on each side: SQLite seeks to the first of two and reads up to the second.
                let (first, last) = scan.keys_after(after.1);
                let more = format!("{key} >= ? AND {key} <= ? ORDER BY {key} {key_order}");
                self.places(connection, "0", &more, &[first, last, limit as i64])
            }
            Time::Column(time) => {
                let compared = |descends| if descends { "<" } else { ">" };
                let (time_after, key_after) = (compared(scan.times_descend), compared(scan.keys_descend));
                let time_order = if scan.times_descend { "DESC" } else { "ASC" };
                let more = format!(
                    "{time} {time_after}= ? AND ({time} {time_after} ? OR {key} {key_after} ?) \
                     AND {key} >= ? AND {key} <= ? ORDER BY {time} {time_order}, {key} {key_order}"
                );
                let bounds = [after.0, after.0, after.1, *scan.keys.start(), *scan.keys.end(), limit as i64];
                self.places(connection, time, &more, &bounds)
            }
            Time::OfKey(earliest) => self.part_by_time_in_key(connection, scan, (earliest, after), limit),
        }
    }

    /// Returns places after a place in the order of the time in their keys, at most `limit`, or more to have all keys of the
    /// last time.
    fn part_by_time_in_key(
        &self,
        connection: &Connection,
        scan: &Scan,
        (earliest, after): (i64, Place),
        limit: usize,
    ) -> Result<VecDeque<Place>> {
        let (first, last) = scan.keys_after_time(after);
        let first = first.max(row_key_at(earliest.div_euclid(NANOSECONDS).saturating_add(1)));
        let order = if scan.times_descend { "DESC" } else { "ASC" };
        let time = format!("({} >> 15) * {NANOSECONDS}", self.key);
        let more = format!("{0} >= ? AND {0} <= ? ORDER BY {0} {order}", self.key);
        let mut places = self.places(connection, &time, &more, &[first, last, limit as i64])?;
        if scan.times_descend == scan.keys_descend {
            return Ok(places);
        }
        // Keys of one time are in the other direction, so that all of the last time are needed to put them in order.
        if let Some(read) = places.back().map(|place| place.1).filter(|_| places.len() == limit) {
            let of_time = row_key_at(row_key_ms(read))..row_key_at(row_key_ms(read) + 1);
            let (first, last) = match scan.times_descend {
                true => (first.max(of_time.start), read - 1),
                false => (read + 1, last.min(of_time.end - 1)),
            };
            places.extend(self.places(connection, &time, &more, &[first, last, i64::MAX])?);
        }
        let places_of_part = places.make_contiguous();
        match scan.times_descend {
            true => places_of_part.sort_unstable_by_key(|(time, key)| (Reverse(*time), *key)),
            false => places_of_part.sort_unstable_by_key(|(time, key)| (*time, Reverse(*key))),
        }
        Ok(places)
    }

    /// Returns the time and the key of the rows that also pass a further condition with some parameters, of which the last
    /// is the number of rows.
    fn places(&self, connection: &Connection, time: &str, more: &str, parameters: &[i64]) -> Result<VecDeque<Place>> {
        let Self { table, condition, values, key, .. } = self;
        let sql = format!("SELECT {time}, {key} FROM {table} WHERE {condition} AND {more} LIMIT ?");
        let mut query = connection.prepare_cached(&sql)?;
        let values = values.iter().cloned().chain(parameters.iter().copied().map(Value::Integer));
        let places = query.query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(places.collect::<Result<_, _>>()?)
    }
}

/// Returns the combinations of texts that the first columns of an index have, each found by steps in the index. Of a column
/// with wanted texts there are only these.
pub(super) fn combinations(
    connection: &Connection,
    index: &str,
    condition: &str,
    columns: &[(&str, BTreeSet<String>)],
) -> Result<Vec<Vec<String>>> {
    let mut condition = condition.to_owned();
    let mut combinations = vec![Vec::new()];
    for (column, wanted) in columns {
        let sql = format!("SELECT min({column}) FROM {index} WHERE {condition} AND {column} > ?");
        let mut next = connection.prepare_cached(&sql)?;
        let mut longer = Vec::new();
        for combination in combinations {
            let mut add = |text: &String| longer.push([&combination[..], std::slice::from_ref(text)].concat());
            wanted.iter().for_each(&mut add);
            let mut last = wanted.is_empty().then(String::new);
            while let Some(before) = &last {
                last = next.query_row(params_from_iter(combination.iter().chain([before])), |row| row.get(0))?;
                last.iter().for_each(&mut add);
            }
        }
        combinations = longer;
        condition = format!("{condition} AND {column} = ?");
    }
    Ok(combinations)
}

/// A list that is read place by place.
#[derive(Debug)]
pub(super) struct OpenList {
    list: KeyList,
    read: VecDeque<Place>,
    after: Place,
    limit: usize,
    is_at_end: bool,
}

impl OpenList {
    /// Opens a list after a place.
    pub fn new(list: KeyList, after: Place) -> Self {
        Self { list, read: VecDeque::new(), after, limit: PART, is_at_end: false }
    }

    /// Returns the next place.
    pub fn next(&mut self, connection: &Connection, scan: &Scan) -> Result<Option<Place>> {
        if self.read.is_empty() && !self.is_at_end {
            self.read = self.list.part(connection, scan, self.after, self.limit)?;
            self.is_at_end = self.read.len() < self.limit;
            self.after = self.read.back().copied().unwrap_or(self.after);
            self.limit = (self.limit * 2).min(PART_MAX);
        }
        Ok(self.read.pop_front())
    }
}
