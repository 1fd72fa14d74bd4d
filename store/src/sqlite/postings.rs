//! The tables `postings` and `words`: the values and the words by which incidents are found.

use crate::search_words::Texts;
use anyhow::Result;
use hookmill_incident::Incident;
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The bytes of a value that the table has as they are, which is also the longest prefix that can be searched for.
pub(super) const VALUE_BYTES: usize = 128;

/// The kind of a value, as the table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Tag = 0,
    Observable = 1,
    Technique = 2,
    Assignee = 3,
}

/// The values of an incident, sorted as they are in the table.
type Values<'a> = BTreeSet<(Kind, Cow<'a, str>)>;

/// Returns a value as the table has it: a long one is its beginning and a digest of the whole.
pub(super) fn stored(value: &str) -> Cow<'_, str> {
    if value.len() <= VALUE_BYTES {
        return value.into();
    }
    let end = value.floor_char_boundary(VALUE_BYTES);
    format!("{}{}", &value[..end], hex::encode(Sha256::digest(value))).into()
}

/// Returns the id of a technique as the table has it.
pub(super) fn stored_technique(id: &str) -> String {
    stored(&id.to_ascii_uppercase()).into_owned()
}

fn values(incident: &Incident) -> Values<'_> {
    let tags = incident.tags.iter().map(|tag| (Kind::Tag, stored(tag)));
    let observables = incident.observables.iter().map(|observable| (Kind::Observable, stored(&observable.value)));
    let techniques =
        incident.techniques.iter().map(|technique| (Kind::Technique, stored_technique(&technique.id).into()));
    let assignee = incident.assignee.iter().map(|assignee| (Kind::Assignee, stored(assignee)));
    tags.chain(observables).chain(techniques).chain(assignee).collect()
}

/// Adds an incident to the tables.
pub(super) fn add(connection: &Connection, key: i64, incident: &Incident) -> Result<()> {
    add_values(connection, key, values(incident).iter())?;
    add_words(connection, key, &Texts::from(incident).words())
}

/// Replaces an incident in the tables.
pub(super) fn update(connection: &Connection, key: i64, before: &Incident, after: &Incident) -> Result<()> {
    if (&before.tags, &before.techniques, &before.assignee) != (&after.tags, &after.techniques, &after.assignee)
        || before.observables != after.observables
    {
        let (was, is) = (values(before), values(after));
        remove_values(connection, key, was.difference(&is))?;
        add_values(connection, key, is.difference(&was))?;
    }
    // The source-ref never changes.
    if (&before.title, &before.description) != (&after.title, &after.description)
        || before.observables != after.observables
    {
        let (was, is) = (Texts::from(before).words(), Texts::from(after).words());
        if was != is {
            remove_words(connection, key, &was)?;
            add_words(connection, key, &is)?;
        }
    }
    Ok(())
}

/// Removes an incident from the tables.
pub(super) fn remove(connection: &Connection, key: i64, incident: &Incident) -> Result<()> {
    remove_values(connection, key, values(incident).iter())?;
    remove_words(connection, key, &Texts::from(incident).words())
}

fn add_values<'a>(
    connection: &Connection,
    key: i64,
    values: impl Iterator<Item = &'a (Kind, Cow<'a, str>)>,
) -> Result<()> {
    let mut insert = connection.prepare_cached("INSERT INTO postings (kind, value, incident) VALUES (?, ?, ?)")?;
    for (kind, value) in values {
        insert.execute(params![*kind as i64, value, key])?;
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

fn add_words(connection: &Connection, key: i64, words: &BTreeSet<String>) -> Result<()> {
    let sql = "INSERT INTO words (rowid, text) VALUES (?, ?)";
    connection.prepare_cached(sql)?.execute(params![key, joined(words)])?;
    Ok(())
}

fn remove_words(connection: &Connection, key: i64, words: &BTreeSet<String>) -> Result<()> {
    // The table has no texts: a row is removed by its words.
    let sql = "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)";
    connection.prepare_cached(sql)?.execute(params![key, joined(words)])?;
    Ok(())
}

fn joined(words: &BTreeSet<String>) -> String {
    words.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
