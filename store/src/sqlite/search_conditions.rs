//! The conditions of a search of incidents: how each is checked, and the lists of the incidents that pass.

use super::columns::Conditions;
use super::incidents;
use super::key_lists::{IndexRange, KeyList, Scan, Time, combinations};
use super::word_parts::WordPart;
use crate::columns::nanoseconds;
use crate::rows::{Class, IncidentFilter};
use crate::search_values::{Kind, stored, stored_technique};
use crate::search_words::{SearchWord, SearchWords};
use anyhow::Result;
use hookmill_incident::id::row_key_at;
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};
use std::ops::RangeInclusive;

/// The number up to which the incidents of a condition are collected. Of a larger number, a page is soon full.
const COLLECTED_MAX: usize = 50_000;
/// The different values with one beginning whose lists are merged.
const MERGED_MAX: usize = 100;
/// A condition is common that this number of the newest incidents pass.
const COMMON: usize = 10;
/// The newest incidents that are looked at: a condition that fewer of them pass is passed by few of all incidents.
const NEWEST: usize = 200;

/// One condition.
#[derive(Debug)]
pub(super) struct Condition {
    pub lists: Lists,
    pub check: Check,
}

/// The lists of all incidents that pass a condition, by their keys.
#[derive(Debug)]
pub(super) enum Lists {
    /// Lists that are in the order of the keys, so that they can be read in parts.
    Sorted(Vec<KeyList>),
    /// Lists that can only be read from their beginning to their end.
    Unsorted(Vec<KeyList>),
    /// There are no such lists.
    Missing,
}

/// The way to find out whether an incident passes.
#[derive(Debug)]
pub(super) enum Check {
    /// An expression over the row of the incident, with its parameters.
    Sql(String, Vec<Value>),
    /// The texts must have these words.
    Words(SearchWords),
    /// An observable must have one of these beginnings.
    Prefixes(Vec<String>),
}

impl Condition {
    fn sorted(lists: Vec<KeyList>, check: Check) -> Self {
        Self { lists: Lists::Sorted(lists), check }
    }

    /// Returns the keys of all incidents in a range that pass, sorted; none of more than [`COLLECTED_MAX`].
    pub fn keys(&self, connection: &Connection, range: &RangeInclusive<i64>) -> Result<Option<Vec<i64>>> {
        let (lists, range) = match &self.lists {
            Lists::Sorted(lists) => (lists, range),
            // All that such lists have before the range would be read too.
            Lists::Unsorted(lists) if !self.is_common(connection)? => (lists, &(i64::MIN..=i64::MAX)),
            Lists::Unsorted(_) | Lists::Missing => return Ok(None),
        };
        let mut keys = Vec::new();
        for list in lists {
            keys.extend(list.keys(connection, range, COLLECTED_MAX + 1 - keys.len())?);
            if keys.len() > COLLECTED_MAX {
                return Ok(None);
            }
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(Some(keys))
    }

    /// Returns whether many of the newest incidents pass.
    fn is_common(&self, connection: &Connection) -> Result<bool> {
        let scan = Scan { keys: i64::MIN..=i64::MAX, keys_descend: true, times_descend: true };
        let mut found = 0;
        for key in all().first_keys(connection, &scan, NEWEST)? {
            found += usize::from(self.check.is_passed_by_texts(connection, key)?);
        }
        Ok(found >= COMMON)
    }
}

/// Returns the list of all incidents.
pub(super) fn all() -> KeyList {
    let (table, condition) = ("incidents NOT INDEXED", "deleted = 0");
    KeyList::Index(IndexRange { table, condition, values: Vec::new(), key: "key", time: Time::Absent })
}

impl Check {
    /// Returns whether the check reads the texts of an incident.
    pub fn needs_texts(&self) -> bool {
        matches!(self, Self::Words(_) | Self::Prefixes(_))
    }

    /// Returns whether the texts of an incident pass, if the check needs them.
    pub fn is_passed_by_texts(&self, connection: &Connection, key: i64) -> Result<bool> {
        match self {
            Self::Sql(..) => Ok(true),
            Self::Words(words) => incidents::passes_texts(
                connection,
                key,
                |source_ref, record| words.may_be_in(source_ref, record),
                |texts| words.are_in(texts),
            ),
            Self::Prefixes(prefixes) => incidents::passes_texts(
                connection,
                key,
                |_, _| true,
                |texts| texts.values().any(|value| prefixes.iter().any(|prefix| value.starts_with(prefix))),
            ),
        }
    }
}

/// Returns the conditions of a filter except its times of creation, which are a range of keys.
pub(super) fn conditions(connection: &Connection, filter: &IncidentFilter) -> Result<Vec<Condition>> {
    let mut conditions = Vec::new();
    let all_stored = |values: &[String]| values.iter().map(|value| stored(value).into_owned()).collect::<Vec<_>>();
    for (kind, values) in
        [(Kind::Tag, &filter.tag), (Kind::Observable, &filter.observable), (Kind::Assignee, &filter.assignee)]
    {
        if !values.is_empty() {
            conditions.push(of_values(kind, all_stored(values)));
        }
    }
    if !filter.technique.is_empty() {
        conditions.push(of_techniques(connection, &filter.technique)?);
    }
    if !filter.source_ref.is_empty() {
        conditions.push(of_source_refs(connection, filter)?);
    }
    if let Some(words) = &filter.q {
        let parts = WordPart::all(connection)?;
        conditions.extend(words.separated().map(|words| of_words(&parts, words)));
    }
    if !filter.observable_prefix.is_empty() {
        conditions.push(of_prefixes(connection, &filter.observable_prefix)?);
    }
    if !(filter.status.is_empty() && filter.severity.is_empty() && filter.source.is_empty()) {
        conditions.push(of_classes(connection, filter)?);
    }
    if let Some(time) = filter.updated_after {
        conditions.push(of_update(connection, time)?);
    }
    // Lists that are read as a whole come last: few are left to check then.
    conditions.sort_by_key(|condition| !matches!(condition.lists, Lists::Sorted(_)));
    Ok(conditions)
}

fn of_values(kind: Kind, mut values: Vec<String>) -> Condition {
    values.sort();
    values.dedup();
    let sql = format!(
        "EXISTS (SELECT 1 FROM postings WHERE kind = {} AND value IN ({}) AND incident = incidents.key)",
        kind as i64,
        Conditions::marks(values.len())
    );
    let list = |value: &String| {
        KeyList::Index(IndexRange {
            table: "postings",
            condition: "kind = ? AND value = ?",
            values: vec![Value::Integer(kind as i64), Value::Text(value.clone())],
            key: "incident",
            time: Time::Absent,
        })
    };
    let lists = values.iter().map(list).collect();
    Condition::sorted(lists, Check::Sql(sql, values.into_iter().map(Value::Text).collect()))
}

/// A technique has its sub-techniques, `T1059.001`, too.
fn of_techniques(connection: &Connection, ids: &[String]) -> Result<Condition> {
    let mut values = Vec::new();
    for id in ids {
        let id = stored_technique(id);
        values.extend(values_between(connection, Kind::Technique, &format!("{id}."), &format!("{id}/"), usize::MAX)?);
        values.push(id);
    }
    Ok(of_values(Kind::Technique, values))
}

fn of_prefixes(connection: &Connection, prefixes: &[String]) -> Result<Condition> {
    let end = |prefix: &String| format!("{prefix}{}", char::MAX);
    let mut values = Vec::new();
    for prefix in prefixes {
        let room = MERGED_MAX + 1 - values.len().min(MERGED_MAX);
        values.extend(values_between(connection, Kind::Observable, prefix, &end(prefix), room)?);
    }
    if values.len() <= MERGED_MAX {
        return Ok(of_values(Kind::Observable, values));
    }
    let list = |prefix: &String| {
        KeyList::Index(IndexRange {
            table: "postings",
            condition: "kind = ? AND value >= ? AND value < ?",
            values: vec![
                Value::Integer(Kind::Observable as i64),
                Value::Text(prefix.clone()),
                Value::Text(end(prefix)),
            ],
            key: "incident",
            time: Time::Absent,
        })
    };
    let lists = Lists::Unsorted(prefixes.iter().map(list).collect());
    Ok(Condition { lists, check: Check::Prefixes(prefixes.to_vec()) })
}

/// Returns the different values in a range, at most `limit`, each found by a step in the index.
fn values_between(connection: &Connection, kind: Kind, from: &str, end: &str, limit: usize) -> Result<Vec<String>> {
    let first = "SELECT min(value) FROM postings WHERE kind = ? AND value >= ? AND value < ?";
    let next = "SELECT min(value) FROM postings WHERE kind = ? AND value > ? AND value < ?";
    let mut values: Vec<String> = Vec::new();
    while values.len() < limit {
        let (sql, at) = values.last().map_or((first, from), |last| (next, last.as_str()));
        let found = connection.prepare_cached(sql)?.query_row(params![kind as i64, at, end], |row| row.get(0))?;
        match found {
            Some(value) => values.push(value),
            None => break,
        }
    }
    Ok(values)
}

/// All words of the query are whole words, or one is the beginning of words.
fn of_words(parts: &[WordPart], words: SearchWords) -> Condition {
    let list = |part: &WordPart| {
        let beginning = part.beginning();
        // Words have no character of the query language.
        let one = |word: &SearchWord| format!("\"{beginning}{}\"{}", word.text, if word.is_prefix { "*" } else { "" });
        let text = words.words().iter().map(one).collect::<Vec<_>>().join(" AND ");
        let (table, condition, values) = ("words", "words MATCH ?", vec![Value::Text(text)]);
        (part.first_key, IndexRange { table, condition, values, key: "rowid", time: Time::Absent })
    };
    let lists = vec![KeyList::Parts(parts.iter().map(list).collect())];
    // All of a part that have a word with a beginning are found before the first is known.
    let has_prefix = words.words().iter().any(|word| word.is_prefix);
    let lists = if has_prefix { Lists::Unsorted(lists) } else { Lists::Sorted(lists) };
    Condition { lists, check: Check::Words(words) }
}

fn of_source_refs(connection: &Connection, filter: &IncidentFilter) -> Result<Condition> {
    let wanted = filter.source.iter().cloned().collect();
    let sources = combinations(connection, "incidents INDEXED BY incidents_ref", "1", &[("source", wanted)])?.concat();
    let list = |(source, source_ref): (&String, &String)| {
        KeyList::Index(IndexRange {
            table: "incidents INDEXED BY incidents_ref",
            condition: "source = ? AND source_ref = ? AND deleted = 0",
            values: vec![Value::Text(source.clone()), Value::Text(source_ref.clone())],
            key: "key",
            time: Time::Absent,
        })
    };
    let pairs = sources.iter().flat_map(|source| filter.source_ref.iter().map(move |text| (source, text)));
    let lists = pairs.map(list).collect();
    let sql = format!("source_ref IN ({})", Conditions::marks(filter.source_ref.len()));
    let values = filter.source_ref.iter().cloned().map(Value::Text).collect();
    Ok(Condition::sorted(lists, Check::Sql(sql, values)))
}

fn of_classes(connection: &Connection, filter: &IncidentFilter) -> Result<Condition> {
    let lists = class_lists(connection, filter, None)?.into_iter().map(|(_, list)| list).collect();
    let (mut sql, mut values) = (Vec::new(), Vec::new());
    let mut one_of = |column: &str, words: Vec<String>| {
        if !words.is_empty() {
            sql.push(format!("{column} IN ({})", Conditions::marks(words.len())));
            values.extend(words.into_iter().map(Value::Text));
        }
    };
    one_of("status", filter.status.iter().map(ToString::to_string).collect());
    one_of("severity", filter.severity.iter().map(ToString::to_string).collect());
    one_of("source", filter.source.clone());
    Ok(Condition::sorted(lists, Check::Sql(sql.join(" AND "), values)))
}

/// Returns the lists of the classes that pass: by their keys or, with `updated_after`, by the time of their update, which
/// must be later. The incidents whose time of update is not that in their key are in lists of their own.
pub(super) fn class_lists(
    connection: &Connection,
    filter: &IncidentFilter,
    updated_after: Option<i64>,
) -> Result<Vec<(Class, KeyList)>> {
    let (index, condition) = ("incidents INDEXED BY incidents_class", "deleted = 0");
    let columns = [
        ("status", filter.status.iter().map(ToString::to_string).collect()),
        ("severity", filter.severity.iter().map(ToString::to_string).collect()),
        ("source", filter.source.iter().cloned().collect()),
    ];
    let mut lists = Vec::new();
    for words in combinations(connection, index, condition, &columns)? {
        if let Ok([status, severity, source]) = <[String; 3]>::try_from(words) {
            let class = Class { status, severity, source };
            let by_key = |is_moved, time| class_list(&class, is_moved, time);
            let both = match updated_after {
                None => [by_key(false, Time::Absent), by_key(true, Time::Absent)],
                Some(after) => [by_key(false, Time::OfKey(after)), moved_class_list(&class, after)],
            };
            lists.extend(both.map(|list| (class.clone(), KeyList::Index(list))));
        }
    }
    Ok(lists)
}

fn words(class: &Class) -> impl Iterator<Item = Value> {
    [&class.status, &class.severity, &class.source].map(|word| Value::Text(word.clone())).into_iter()
}

/// Returns the list of the incidents of a class whose time of update is that in their key, or of all others.
fn class_list(class: &Class, is_moved: bool, time: Time) -> IndexRange {
    IndexRange {
        table: "incidents INDEXED BY incidents_class",
        condition: "deleted = 0 AND status = ? AND severity = ? AND source = ? \
                    AND (updated_at <> (key >> 15) * 1000000) = ?",
        values: words(class).chain([Value::Integer(is_moved.into())]).collect(),
        key: "key",
        time,
    }
}

/// Returns the list of the incidents of a class that were updated after a time, and whose time of update is not that in
/// their key.
fn moved_class_list(class: &Class, updated_after: i64) -> IndexRange {
    IndexRange {
        table: "incidents INDEXED BY incidents_updated",
        condition: "deleted = 0 AND updated_at <> (key >> 15) * 1000000 \
                    AND status = ? AND severity = ? AND source = ? AND updated_at > ?",
        values: words(class).chain([Value::Integer(updated_after)]).collect(),
        key: "key",
        time: Time::Column("updated_at"),
    }
}

/// Returns the list of all incidents whose time of update is not that in their key, by this time.
pub(super) fn moved() -> KeyList {
    KeyList::Index(IndexRange {
        table: "incidents INDEXED BY incidents_moved",
        condition: "deleted = 0 AND updated_at <> (key >> 15) * 1000000",
        values: Vec::new(),
        key: "key",
        time: Time::Column("updated_at"),
    })
}

/// Returns the keys of the incidents that were updated after a time other than that in their key, sorted; none of more than
/// [`COLLECTED_MAX`].
fn moved_after(connection: &Connection, after_ns: i64) -> Result<Option<Vec<i64>>> {
    let sql = "SELECT key FROM incidents INDEXED BY incidents_moved \
               WHERE deleted = 0 AND updated_at <> (key >> 15) * 1000000 AND updated_at > ? LIMIT ?";
    let mut query = connection.prepare_cached(sql)?;
    let moved = query.query_map(params![after_ns, COLLECTED_MAX as i64 + 1], |row| row.get(0))?;
    let mut moved = moved.collect::<Result<Vec<i64>, _>>()?;
    moved.sort_unstable();
    Ok((moved.len() <= COLLECTED_MAX).then_some(moved))
}

/// An incident was updated after a time if the time in its key is later, or it was changed later.
fn of_update(connection: &Connection, after: Timestamp) -> Result<Condition> {
    let (first, after) = (row_key_at(after.as_millisecond()), nanoseconds(after));
    let check = Check::Sql("updated_at > ?".to_owned(), vec![Value::Integer(after)]);
    let Some(mut moved) = moved_after(connection, after)? else {
        return Ok(Condition { lists: Lists::Missing, check });
    };
    moved.retain(|key| *key < first);
    let created = IndexRange {
        table: "incidents NOT INDEXED",
        condition: "deleted = 0 AND key >= ? AND updated_at > ?",
        values: vec![Value::Integer(first), Value::Integer(after)],
        key: "key",
        time: Time::Absent,
    };
    Ok(Condition::sorted(vec![KeyList::Index(created), KeyList::Keys(moved)], check))
}

/// Returns the condition that an incident was created in a range of keys, which is checked in any case.
pub(super) fn of_creation(connection: &Connection, keys: &RangeInclusive<i64>) -> Result<Option<Condition>> {
    let check = Check::Sql("deleted = 0".to_owned(), Vec::new());
    let are_few = between(connection, *keys.start(), *keys.end())? <= COLLECTED_MAX;
    Ok(are_few.then(|| Condition::sorted(vec![all()], check)))
}

/// Returns about how many incidents there are in a range of keys, from their numbers.
pub(super) fn between(connection: &Connection, first: i64, last: i64) -> Result<usize> {
    let number = |order: &str| -> Result<Option<i64>> {
        let sql = format!("SELECT number FROM incidents WHERE key >= ? AND key <= ? ORDER BY key {order} LIMIT 1");
        Ok(connection.prepare_cached(&sql)?.query_row([first, last], |row| row.get(0)).optional()?)
    };
    // Numbers of different years are far from each other.
    let count = number("DESC")?.zip(number("ASC")?).map_or(0, |(newest, oldest)| (newest - oldest).unsigned_abs() + 1);
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Returns the range of the keys that incidents created between two times have.
pub(super) fn keys_of_times(connection: &Connection, filter: &IncidentFilter) -> Result<RangeInclusive<i64>> {
    let first = filter.created_after.map_or(0, |time| row_key_at(time.as_millisecond()));
    let Some(before) = filter.created_before else { return Ok(first..=i64::MAX) };
    // The index has the keys that are more than a second later than the time of their row.
    let last = row_key_at(before.as_millisecond().saturating_add(1_001));
    let sql = "SELECT key FROM incidents INDEXED BY incidents_ahead WHERE (key >> 15) - created_at / 1000000 > 1000 \
               AND key > ? AND created_at < ? ORDER BY key DESC LIMIT 1";
    let ahead = connection.prepare_cached(sql)?.query_row(params![last, nanoseconds(before)], |row| row.get(0));
    Ok(first..=ahead.optional()?.unwrap_or(last))
}
