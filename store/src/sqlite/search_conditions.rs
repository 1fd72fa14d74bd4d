//! The conditions of a search of incidents: how each is checked, and the lists of the incidents that pass.

use super::columns::{Conditions, nanoseconds};
use super::incidents;
use super::key_lists::{IndexRange, KeyList, Scan};
use super::postings::{self, Kind};
use super::walk::Class;
use crate::rows::IncidentFilter;
use crate::search_words::SearchWords;
use anyhow::Result;
use hookmill_incident::Incident;
use hookmill_incident::id::row_key_at;
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::ops::RangeInclusive;

/// The number up to which incidents of a condition are counted or collected. Of a larger number, a page is soon full.
pub(super) const COUNTED_MAX: usize = 20_000;
/// The different values with one beginning whose lists are merged.
const MERGED_MAX: usize = 100;
/// The incidents changed after a time that are collected.
const CHANGED_MAX: usize = 50_000;
/// Words are common that this number of the newest incidents have.
const COMMON: usize = 10;
/// The newest incidents that are looked at: a word that fewer of them have is in few of all incidents.
const NEWEST: usize = 200;

/// One condition.
#[derive(Debug)]
pub(super) struct Condition {
    /// Lists of all incidents that pass, by their keys; none if there is no such list.
    pub lists: Option<Vec<(Class, KeyList)>>,
    pub check: Check,
    /// The number of incidents that pass, if it is known; at most [`COUNTED_MAX`].
    pub count: Option<usize>,
    /// Whether the condition is one on the words of classes.
    pub is_of_classes: bool,
}

/// The way to find out whether an incident passes.
#[derive(Debug)]
pub(super) enum Check {
    /// An expression over the row of the incident, with its parameters.
    Sql(String, Vec<Value>),
    /// The keys of all that pass, sorted.
    Keys(Vec<i64>),
    /// The record must have these words.
    Words(SearchWords),
    /// The record must have an observable with one of these beginnings.
    Prefixes(Vec<String>),
}

impl Condition {
    fn new(lists: Vec<KeyList>, check: Check) -> Self {
        let lists = lists.into_iter().map(|list| (Class::default(), list)).collect();
        Self { lists: Some(lists), check, count: None, is_of_classes: false }
    }

    fn without_lists(check: Check) -> Self {
        Self { lists: None, check, count: Some(COUNTED_MAX), is_of_classes: false }
    }

    /// Returns the condition that an incident was created in a range of keys, which is checked in any case.
    pub fn of_creation(connection: &Connection, keys: &RangeInclusive<i64>) -> Result<Self> {
        let check = Check::Sql("deleted = 0".to_owned(), Vec::new());
        Ok(Self { count: Some(between(connection, *keys.start(), *keys.end())?), ..Self::new(vec![all()], check) })
    }
}

/// Returns the list of all incidents.
pub(super) fn all() -> KeyList {
    let (table, condition) = ("incidents NOT INDEXED", "deleted = 0");
    KeyList::Index(IndexRange { table, condition, values: Vec::new(), key: "key", time: None })
}

impl Check {
    /// Returns whether the check needs the record.
    pub fn needs_record(&self) -> bool {
        matches!(self, Self::Words(_) | Self::Prefixes(_))
    }

    /// Returns whether the record passes, if the check needs it.
    pub fn is_passed_by(&self, incident: &Incident) -> bool {
        match self {
            Self::Sql(..) | Self::Keys(_) => true,
            Self::Words(words) => words.are_in(incident),
            Self::Prefixes(prefixes) => {
                let mut values = incident.observables.iter().map(|observable| &observable.value);
                values.any(|value| prefixes.iter().any(|prefix| value.starts_with(prefix)))
            }
        }
    }
}

/// Returns the conditions of a filter except its times of creation, which are a range of keys.
pub(super) fn conditions(connection: &Connection, filter: &IncidentFilter) -> Result<Vec<Condition>> {
    let mut conditions = Vec::new();
    let stored =
        |values: &[String]| values.iter().map(|value| postings::stored(value).into_owned()).collect::<Vec<_>>();
    for (kind, values) in
        [(Kind::Tag, &filter.tag), (Kind::Observable, &filter.observable), (Kind::Assignee, &filter.assignee)]
    {
        if !values.is_empty() {
            conditions.push(of_values(kind, stored(values)));
        }
    }
    if !filter.technique.is_empty() {
        conditions.push(of_techniques(connection, &filter.technique)?);
    }
    if !filter.observable_prefix.is_empty() {
        conditions.push(of_prefixes(connection, &filter.observable_prefix)?);
    }
    if let Some(words) = &filter.q {
        conditions.push(of_words(connection, words)?);
    }
    if !filter.source_ref.is_empty() {
        conditions.push(of_source_refs(connection, filter)?);
    }
    if !(filter.status.is_empty() && filter.severity.is_empty() && filter.source.is_empty()) {
        conditions.push(of_classes(connection, filter)?);
    }
    if let Some(time) = filter.updated_after {
        conditions.push(of_update(connection, time)?);
    }
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
            time: None,
        })
    };
    let lists = values.iter().map(list).collect();
    Condition::new(lists, Check::Sql(sql, values.into_iter().map(Value::Text).collect()))
}

/// A technique has its sub-techniques, `T1059.001`, too.
fn of_techniques(connection: &Connection, ids: &[String]) -> Result<Condition> {
    let mut values = Vec::new();
    for id in ids {
        let id = postings::stored_technique(id);
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
    let sql = "SELECT incident FROM postings WHERE kind = ? AND value >= ? AND value < ? LIMIT ?";
    let mut query = connection.prepare_cached(sql)?;
    let mut keys: Vec<i64> = Vec::new();
    for prefix in prefixes {
        let room = (COUNTED_MAX + 1 - keys.len().min(COUNTED_MAX)) as i64;
        let rows = query.query_map(params![Kind::Observable as i64, prefix, end(prefix), room], |row| row.get(0))?;
        for key in rows {
            keys.push(key?);
        }
    }
    if keys.len() > COUNTED_MAX {
        return Ok(Condition::without_lists(Check::Prefixes(prefixes.to_vec())));
    }
    Ok(of_keys(keys))
}

fn of_keys(mut keys: Vec<i64>) -> Condition {
    keys.sort_unstable();
    keys.dedup();
    Condition::new(vec![KeyList::Keys(keys.clone())], Check::Keys(keys))
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

fn of_words(connection: &Connection, words: &SearchWords) -> Result<Condition> {
    // Words have no character of the query language.
    let text = words.words().iter().map(|word| format!("\"{}\"{}", word.text, if word.is_prefix { "*" } else { "" }));
    let query = text.collect::<Vec<_>>().join(" AND ");
    if words.words().iter().all(|word| !word.is_prefix) {
        let (table, condition, values) = ("words", "words MATCH ?", vec![Value::Text(query)]);
        let list = IndexRange { table, condition, values, key: "rowid", time: None };
        return Ok(Condition::new(vec![KeyList::Index(list)], Check::Words(words.clone())));
    }
    // All that have a word with a beginning are collected before the first is known: not of a common one.
    if !are_common(connection, words)? {
        let sql = "SELECT rowid FROM words WHERE words MATCH ? LIMIT ?";
        let mut find = connection.prepare_cached(sql)?;
        let keys = find.query_map(params![query, COUNTED_MAX as i64 + 1], |row| row.get(0))?;
        let keys = keys.collect::<Result<Vec<i64>, _>>()?;
        if keys.len() <= COUNTED_MAX {
            return Ok(of_keys(keys));
        }
    }
    Ok(Condition::without_lists(Check::Words(words.clone())))
}

/// Returns whether many of the newest incidents have all words.
fn are_common(connection: &Connection, words: &SearchWords) -> Result<bool> {
    let newest = all();
    let scan = Scan { keys: i64::MIN..=i64::MAX, keys_descend: true, times_descend: true };
    let mut found = 0;
    for key in newest.first_keys(connection, &scan, NEWEST)? {
        let row = incidents::of_key(connection, key)?;
        found += usize::from(row.is_some_and(|row| words.are_in(&row.incident)));
    }
    Ok(found >= COMMON)
}

fn of_source_refs(connection: &Connection, filter: &IncidentFilter) -> Result<Condition> {
    let mut sources = filter.source.clone();
    if sources.is_empty() {
        let sql = "SELECT min(source) FROM incidents WHERE source > ?";
        let mut query = connection.prepare_cached(sql)?;
        let mut last = String::new();
        while let Some(next) = query.query_row([&last], |row| row.get::<_, Option<String>>(0))? {
            last.clone_from(&next);
            sources.push(next);
        }
    }
    let list = |(source, source_ref): (&String, &String)| {
        KeyList::Index(IndexRange {
            table: "incidents INDEXED BY incidents_ref",
            condition: "source = ? AND source_ref = ? AND deleted = 0",
            values: vec![Value::Text(source.clone()), Value::Text(source_ref.clone())],
            key: "key",
            time: None,
        })
    };
    let pairs = sources.iter().flat_map(|source| filter.source_ref.iter().map(move |text| (source, text)));
    let lists = pairs.map(list).collect();
    let sql = format!("source_ref IN ({})", Conditions::marks(filter.source_ref.len()));
    let values = filter.source_ref.iter().cloned().map(Value::Text).collect();
    Ok(Condition::new(lists, Check::Sql(sql, values)))
}

fn of_classes(connection: &Connection, filter: &IncidentFilter) -> Result<Condition> {
    let lists = class_lists(connection, filter, None)?;
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
    Ok(Condition { lists: Some(lists), check: Check::Sql(sql.join(" AND "), values), count: None, is_of_classes: true })
}

/// Returns the lists of the classes that pass: by their keys or, with `updated_after`, by the time of their update, which
/// must be later.
pub(super) fn class_lists(
    connection: &Connection,
    filter: &IncidentFilter,
    updated_after: Option<i64>,
) -> Result<Vec<(Class, KeyList)>> {
    let passes = |class: &Class| {
        let is_one = |words: &mut dyn Iterator<Item = &str>, word: &str| {
            let mut words = words.peekable();
            words.peek().is_none() || words.any(|one| one == word)
        };
        is_one(&mut filter.status.iter().map(|word| word.as_str()), &class.status)
            && is_one(&mut filter.severity.iter().map(|word| word.as_str()), &class.severity)
            && is_one(&mut filter.source.iter().map(String::as_str), &class.source)
    };
    let list = |class: &Class| {
        let words = [&class.status, &class.severity, &class.source].map(|word| Value::Text(word.clone()));
        match updated_after {
            None => IndexRange {
                table: "incidents INDEXED BY incidents_class",
                condition: "deleted = 0 AND status = ? AND severity = ? AND source = ?",
                values: words.into(),
                key: "key",
                time: None,
            },
            Some(time) => IndexRange {
                table: "incidents INDEXED BY incidents_updated",
                condition: "deleted = 0 AND status = ? AND severity = ? AND source = ? AND updated_at > ?",
                values: words.into_iter().chain([Value::Integer(time)]).collect(),
                key: "key",
                time: Some("updated_at"),
            },
        }
    };
    let classes = classes(connection)?.into_iter().filter(passes);
    Ok(classes.map(|class| (class.clone(), KeyList::Index(list(&class)))).collect())
}

/// Returns all classes of incidents, each found by steps in the index.
fn classes(connection: &Connection) -> Result<Vec<Class>> {
    let next = |column: &str, condition: &str, values: &[&String]| -> Result<Option<String>> {
        let sql = format!(
            "SELECT min({column}) FROM incidents INDEXED BY incidents_class WHERE deleted = 0 {condition} AND {column} > ?"
        );
        Ok(connection.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))?)
    };
    let mut classes = Vec::new();
    let mut status = String::new();
    while let Some(found) = next("status", "", &[&status])? {
        status = found;
        let mut severity = String::new();
        while let Some(found) = next("severity", "AND status = ?", &[&status, &severity])? {
            severity = found;
            let mut source = String::new();
            while let Some(found) = next("source", "AND status = ? AND severity = ?", &[&status, &severity, &source])? {
                source = found;
                classes.push(Class { status: status.clone(), severity: severity.clone(), source: source.clone() });
            }
        }
    }
    Ok(classes)
}

/// An incident was updated after a time if it was created after it, or changed.
fn of_update(connection: &Connection, after: Timestamp) -> Result<Condition> {
    let (first, after) = (row_key_at(after.as_millisecond()), nanoseconds(after));
    let sql = "SELECT key FROM incidents INDEXED BY incidents_changed \
               WHERE deleted = 0 AND updated_at > created_at AND updated_at > ? LIMIT ?";
    let mut query = connection.prepare_cached(sql)?;
    let changed = query.query_map(params![after, CHANGED_MAX as i64 + 1], |row| row.get(0))?;
    let mut changed = changed.collect::<Result<Vec<i64>, _>>()?;
    let check = Check::Sql("updated_at > ?".to_owned(), vec![Value::Integer(after)]);
    if changed.len() > CHANGED_MAX {
        return Ok(Condition::without_lists(check));
    }
    changed.retain(|key| *key < first);
    changed.sort_unstable();
    let created = IndexRange {
        table: "incidents NOT INDEXED",
        condition: "deleted = 0 AND key >= ? AND updated_at > ?",
        values: vec![Value::Integer(first), Value::Integer(after)],
        key: "key",
        time: None,
    };
    let count = changed.len() + between(connection, first, i64::MAX)?;
    let lists = vec![KeyList::Index(created), KeyList::Keys(changed)];
    Ok(Condition { count: Some(count.min(COUNTED_MAX)), ..Condition::new(lists, check) })
}

/// Returns about how many incidents there are in a range of keys, at most [`COUNTED_MAX`], from their numbers.
fn between(connection: &Connection, first: i64, last: i64) -> Result<usize> {
    let number = |order: &str| -> Result<Option<i64>> {
        let sql = format!("SELECT number FROM incidents WHERE key >= ? AND key <= ? ORDER BY key {order} LIMIT 1");
        Ok(connection.prepare_cached(&sql)?.query_row([first, last], |row| row.get(0)).optional()?)
    };
    // Numbers of different years are far from each other.
    let count = number("DESC")?.zip(number("ASC")?).map_or(0, |(newest, oldest)| (newest - oldest).unsigned_abs() + 1);
    Ok(usize::try_from(count).unwrap_or(COUNTED_MAX).min(COUNTED_MAX))
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
