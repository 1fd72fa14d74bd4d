//! The conditions of a search of incidents, and the places of its order.

use crate::columns::nanoseconds;
use crate::postgres::query::{Conditions, Value, column};
use crate::rows::{Class, IncidentFilter, SortKey, SortValue, Sorting};
use crate::search_values::{Kind, stored, stored_technique};
use crate::search_words::SearchWords;
use anyhow::Result;
use hookmill_incident::id::row_key_at;
use hookmill_incident::{Severity, Status};
use std::collections::BTreeSet;
use std::fmt::Display;
use tokio_postgres::GenericClient;

/// Returns the conditions that an incident passes a filter.
pub(super) async fn conditions(client: &impl GenericClient, filter: &IncidentFilter) -> Result<Conditions> {
    let mut conditions = Conditions::default();
    conditions.add("NOT i.deleted");
    conditions.one_of("i.status", &filter.status);
    conditions.one_of("i.severity", &filter.severity);
    conditions.one_of("i.source", &filter.source);
    conditions.one_of("i.source_ref", &filter.source_ref);
    for (kind, values) in
        [(Kind::Tag, &filter.tag), (Kind::Observable, &filter.observable), (Kind::Assignee, &filter.assignee)]
    {
        let values: Vec<String> = values.iter().map(|value| stored(value).into_owned()).collect();
        has_value(&mut conditions, kind, &values, &[]);
    }
    let techniques: Vec<String> = filter.technique.iter().map(|id| stored_technique(id)).collect();
    // A technique has its sub-techniques, `T1059.001`, too.
    let ranges: Vec<_> = techniques.iter().map(|id| (format!("{id}."), format!("{id}/"))).collect();
    has_value(&mut conditions, Kind::Technique, &techniques, &ranges);
    has_beginning(&mut conditions, &filter.observable_prefix);
    if let Some(words) = &filter.q {
        let sql = "EXISTS (SELECT 1 FROM words w WHERE w.incident = i.key AND w.words @@ CAST(? AS tsquery))";
        conditions.add_with(sql, text_query(words).as_str());
    }
    add_times(client, filter, &mut conditions).await?;
    Ok(conditions)
}

fn has_beginning(conditions: &mut Conditions, prefixes: &[String]) {
    // The last character of all follows every other, and begins an escape in a stored text.
    let end = |prefix: &String| format!("{prefix}{0}{0}", char::MAX);
    let ranges: Vec<_> = prefixes.iter().map(|prefix| (prefix.clone(), end(prefix))).collect();
    has_value(conditions, Kind::Observable, &[], &ranges);
}

/// Adds the condition that an incident has one of these values, or one that is in one of these ranges without their ends;
/// no condition if there are neither.
fn has_value(conditions: &mut Conditions, kind: Kind, values: &[String], ranges: &[(String, String)]) {
    let mut any = Vec::new();
    match values {
        [] => {}
        [value] => any.push(format!("p.value = {}", conditions.parameter(&**value))),
        values => any.push(format!("p.value = ANY({})", conditions.parameter(Value::texts(values)))),
    }
    for (from, end) in ranges {
        let (from, end) = (conditions.parameter(&**from), conditions.parameter(&**end));
        any.push(format!("(p.value >= {from} AND p.value < {end})"));
    }
    if !any.is_empty() {
        let (kind, any) = (kind as i64, any.join(" OR "));
        let sql = format!("EXISTS (SELECT 1 FROM postings p WHERE p.kind = {kind} AND ({any}) AND p.incident = i.key)");
        conditions.add(sql);
    }
}

/// Returns the query of words in the language of `tsquery`. Words have no character of this language, and are quoted.
fn text_query(words: &SearchWords) -> String {
    let words = words.words().iter();
    let quoted = words.map(|word| format!("'{}'{}", word.text, if word.is_prefix { ":*" } else { "" }));
    quoted.collect::<Vec<_>>().join(" & ")
}

async fn add_times(client: &impl GenericClient, filter: &IncidentFilter, conditions: &mut Conditions) -> Result<()> {
    // The key of an incident is not earlier than its time of creation, and finds it.
    if let Some(time) = filter.created_after {
        conditions.add_with("i.created_at > ?", nanoseconds(time));
        conditions.add_with("i.key >= ?", row_key_at(time.as_millisecond()));
    }
    if let Some(time) = filter.created_before {
        conditions.add_with("i.created_at < ?", nanoseconds(time));
        // The index has the keys that are more than a second later than the time of their row.
        let last = row_key_at(time.as_millisecond().saturating_add(1_001));
        let sql = "SELECT key FROM incidents WHERE (key >> 15) - created_at / 1000000 > 1000 \
                   AND key > $1 AND created_at < $2 ORDER BY key DESC LIMIT 1";
        let ahead = column(client, sql, &[last.into(), nanoseconds(time).into()]).await?.pop();
        conditions.add_with("i.key <= ?", ahead.unwrap_or(last));
    }
    if let Some(time) = filter.updated_after {
        conditions.add_with("i.updated_at > ?", nanoseconds(time));
    }
    Ok(())
}

/// Returns the expression by which a list is sorted.
fn expression(key: SortKey) -> String {
    match key {
        SortKey::CreatedAt => "i.key".to_owned(),
        SortKey::UpdatedAt => "i.updated_at".to_owned(),
        SortKey::Source => "i.source".to_owned(),
        SortKey::Severity => rank("i.severity", Severity::ALL),
        SortKey::Status => rank("i.status", Status::ALL),
    }
}

/// Returns the place of a word among those that are known, from 0; -1 for a word of a later version.
fn rank(column: &str, words: &[impl Display]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    format!("coalesce(array_position(ARRAY[{}], {column}), 0) - 1", words.join(", "))
}

/// Returns the ORDER BY clause of sort keys; an empty text without keys.
pub(super) fn order_by(keys: &[Sorting]) -> String {
    if keys.is_empty() {
        return String::new();
    }
    let term =
        |sorting: &Sorting| format!("{} {}", expression(sorting.key), if sorting.descending { "DESC" } else { "ASC" });
    format!("ORDER BY {}", keys.iter().map(term).collect::<Vec<_>>().join(", "))
}

/// Adds the condition that an incident comes after these values of sort keys.
pub(super) fn add_after(conditions: &mut Conditions, keys: &[Sorting], values: &[SortValue]) {
    let mut later = None;
    for (sorting, value) in keys.iter().zip(values).rev() {
        let parameter = match value {
            SortValue::Number(number) => conditions.parameter(*number),
            SortValue::Text(text) => conditions.parameter(&**text),
        };
        let (expression, compared) = (expression(sorting.key), if sorting.descending { "<" } else { ">" });
        later = Some(match later {
            None => format!("{expression} {compared} {parameter}"),
            // The first part bounds the range of an index.
            Some(later) => {
                format!("({expression} {compared}= {parameter} AND ({expression} {compared} {parameter} OR {later}))")
            }
        });
    }
    later.into_iter().for_each(|later| conditions.add(later));
}

/// Adds the condition that an incident is in one of these classes, which are equal in the first keys of an order.
pub(super) fn add_group(conditions: &mut Conditions, keys: &[Sorting], classes: &[Class]) {
    for sorting in keys {
        let (column, word): (_, fn(&Class) -> &String) = match sorting.key {
            SortKey::Severity => ("i.severity", |class| &class.severity),
            SortKey::Status => ("i.status", |class| &class.status),
            SortKey::Source => ("i.source", |class| &class.source),
            SortKey::CreatedAt | SortKey::UpdatedAt => continue,
        };
        let words: BTreeSet<&String> = classes.iter().map(word).collect();
        conditions.one_of(column, &words.into_iter().collect::<Vec<_>>());
    }
}
