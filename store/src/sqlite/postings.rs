//! The tables `postings` and `words`: the values and the words by which incidents are found.
//!
//! New incidents are added many at once: a page of values and a segment of words are written once for all of them. Their words
//! go to the last of the [parts](WordPart). The table `indexed` has the key up to which that is done, so that rows alone say
//! what is missing, after any failure and in every process.

use super::word_parts::WordPart;
use crate::rows::IncidentFilter;
use crate::search_values::{Kind, values};
use crate::search_words::Texts;
use anyhow::Result;
use hookmill_incident::Incident;
use rusqlite::{Connection, Row, params};
use std::borrow::Cow;
use std::collections::BTreeSet;
use tracing::warn;

/// The most incidents that are added at once.
pub(super) const BATCH: usize = 1_000;
/// The number of values after which a batch ends early: they are in memory together.
const VALUES_MAX: usize = 50_000;

/// Returns whether the incidents that pass a filter are looked for in the tables.
pub(super) fn have(filter: &IncidentFilter) -> bool {
    let lists = [&filter.tag, &filter.observable, &filter.observable_prefix, &filter.technique, &filter.assignee];
    filter.q.is_some() || lists.iter().any(|list| !list.is_empty())
}

/// Returns the number of incidents that are to be added.
pub(super) fn missing(connection: &Connection) -> Result<usize> {
    let sql = "SELECT count(*) FROM incidents WHERE key > (SELECT up_to FROM indexed)";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// The incidents that were added at once.
pub(super) struct Added {
    pub count: usize,
    /// Whether more incidents may be missing.
    pub are_more: bool,
}

/// Adds the oldest incidents that are missing.
pub(super) fn add_missing(connection: &Connection, limit: usize) -> Result<Added> {
    let sql = "SELECT source_ref, record, key FROM incidents WHERE key > (SELECT up_to FROM indexed) AND deleted = 0 \
               ORDER BY key LIMIT ?";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([limit as u64])?;
    let (mut added, mut count, mut last) = (Vec::new(), 0, None);
    while added.len() < VALUES_MAX
        && let Some(row) = rows.next()?
    {
        let key: i64 = row.get(2)?;
        let part = match last {
            None => WordPart::of_new(connection, key)?,
            Some((_, part)) => part,
        };
        (count, last) = (count + 1, Some((key, part)));
        let Some(texts) = texts(row) else {
            warn!("incident {key} cannot be read and is not found by its texts");
            continue;
        };
        add_words(connection, part, key, &texts.words())?;
        added.extend(values(&texts).into_iter().map(|(kind, value)| (kind, value.into_owned(), key)));
    }
    let Some((last, part)) = last else { return Ok(Added { count, are_more: false }) };
    // Values that are beside each other in the table are written one after the other.
    added.sort_unstable();
    add_values(connection, added.iter().map(|(kind, value, key)| (*kind, &**value, *key)))?;
    part.count(connection, count)?;
    connection.prepare_cached("UPDATE indexed SET up_to = ?")?.execute([last])?;
    Ok(Added { count, are_more: count == limit || added.len() >= VALUES_MAX })
}

/// Returns the texts of a row that begins with `source_ref` and `record`; none if they cannot be read.
pub(super) fn texts<'a>(row: &'a Row) -> Option<Texts<'a>> {
    let text = |column| row.get_ref(column).ok()?.as_str().ok();
    let mut texts: Texts = serde_json::from_str(text(1)?).ok()?;
    texts.source_ref = text(0)?;
    Some(texts)
}

/// Adds an incident to tables of a version without parts.
pub(super) fn add(connection: &Connection, key: i64, texts: &Texts) -> Result<()> {
    add_values(connection, values(texts).iter().map(|(kind, value)| (*kind, &**value, key)))?;
    add_words(connection, WordPart::FIRST, key, &texts.words())
}

/// Replaces an incident, unless it is still to be added. Returns whether its words changed.
pub(super) fn update(connection: &Connection, key: i64, before: &Incident, after: &Incident) -> Result<bool> {
    let has_same_observables = before.observables == after.observables;
    let has_same_values = has_same_observables
        && (&before.tags, &before.techniques, &before.assignee) == (&after.tags, &after.techniques, &after.assignee);
    // The source-ref never changes.
    let has_same_words =
        has_same_observables && (&before.title, &before.description) == (&after.title, &after.description);
    if has_same_values && has_same_words || !has(connection, key)? {
        return Ok(false);
    }
    let (before, after) = (Texts::from(before), Texts::from(after));
    if !has_same_values {
        let (was, is) = (values(&before), values(&after));
        remove_values(connection, key, was.difference(&is))?;
        add_values(connection, is.difference(&was).map(|(kind, value)| (*kind, &**value, key)))?;
    }
    if !has_same_words {
        let (was, is) = (before.words(), after.words());
        if was != is {
            let part = WordPart::of(connection, key)?;
            remove_words(connection, part, key, &was)?;
            add_words(connection, part, key, &is)?;
        }
    }
    Ok(!has_same_words)
}

/// Removes an incident, unless it was not added yet.
pub(super) fn remove(connection: &Connection, key: i64, texts: &Texts) -> Result<()> {
    if !has(connection, key)? {
        return Ok(());
    }
    remove_values(connection, key, values(texts).iter())?;
    remove_words(connection, WordPart::of(connection, key)?, key, &texts.words())
}

/// Returns whether an incident was added. Keys grow in the order in which incidents are stored.
fn has(connection: &Connection, key: i64) -> Result<bool> {
    let mut query = connection.prepare_cached("SELECT up_to >= ? FROM indexed")?;
    Ok(query.query_row([key], |row| row.get(0))?)
}

fn add_values<'a>(connection: &Connection, values: impl Iterator<Item = (Kind, &'a str, i64)>) -> Result<()> {
    let mut insert = connection.prepare_cached("INSERT INTO postings (kind, value, incident) VALUES (?, ?, ?)")?;
    for (kind, value, key) in values {
        insert.execute(params![kind as i64, value, key])?;
    }
    Ok(())
}

fn remove_values<'a>(
    connection: &Connection,
    key: i64,
    values: impl Iterator<Item = &'a (Kind, Cow<'a, str>)>,
) -> Result<()> {
    let sql = "DELETE FROM postings WHERE kind = ? AND value = ? AND incident = ?";
    let mut delete = connection.prepare_cached(sql)?;
    for (kind, value) in values {
        delete.execute(params![*kind as i64, value, key])?;
    }
    Ok(())
}

fn add_words(connection: &Connection, part: WordPart, key: i64, words: &BTreeSet<Cow<str>>) -> Result<()> {
    let sql = "INSERT INTO words (rowid, text) VALUES (?, ?)";
    connection.prepare_cached(sql)?.execute(params![key, part.text(words)])?;
    Ok(())
}

fn remove_words(connection: &Connection, part: WordPart, key: i64, words: &BTreeSet<Cow<str>>) -> Result<()> {
    // The table has no texts: a row is removed by its words.
    let sql = "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)";
    connection.prepare_cached(sql)?.execute(params![key, part.text(words)])?;
    Ok(())
}
