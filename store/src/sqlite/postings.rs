//! The tables `postings` and `words`: the values and the words by which incidents are found.

use crate::search_values::{Kind, values};
use crate::search_words::Texts;
use anyhow::Result;
use hookmill_incident::Incident;
use rusqlite::{Connection, params};
use std::borrow::Cow;
use std::collections::BTreeSet;

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
