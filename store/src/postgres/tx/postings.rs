//! The tables `postings` and `words`: the values and the words by which incidents are found.

use crate::postgres::columns::stored_text;
use crate::postgres::session::Session;
use crate::search_values::{Kind, values};
use crate::search_words::Texts;
use anyhow::Result;
use hookmill_incident::Incident;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Adds an incident to the tables.
pub(super) fn add(session: &Session, key: i64, incident: &Incident) -> Result<()> {
    add_values(session, key, values(incident).iter())?;
    put_words(session, key, &Texts::from(incident).words())
}

/// Replaces an incident in the tables.
pub(super) fn update(session: &Session, key: i64, before: &Incident, after: &Incident) -> Result<()> {
    if (&before.tags, &before.techniques, &before.assignee) != (&after.tags, &after.techniques, &after.assignee)
        || before.observables != after.observables
    {
        let (was, is) = (values(before), values(after));
        remove_values(session, key, was.difference(&is))?;
        add_values(session, key, is.difference(&was))?;
    }
    // The source-ref never changes.
    if (&before.title, &before.description) != (&after.title, &after.description)
        || before.observables != after.observables
    {
        let (was, is) = (Texts::from(before).words(), Texts::from(after).words());
        if was != is {
            put_words(session, key, &is)?;
        }
    }
    Ok(())
}

/// Removes an incident from the tables.
pub(super) fn remove(session: &Session, key: i64, incident: &Incident) -> Result<()> {
    remove_values(session, key, values(incident).iter())?;
    session.execute("DELETE FROM words WHERE incident = $1", &[&key])?;
    Ok(())
}

fn add_values<'a>(session: &Session, key: i64, values: impl Iterator<Item = &'a (Kind, Cow<'a, str>)>) -> Result<()> {
    let sql = "INSERT INTO postings (kind, value, incident) SELECT kind, value, $3 \
               FROM UNNEST($1::bigint[], $2::text[]) AS added (kind, value)";
    for_values(session, sql, key, values)
}

fn remove_values<'a>(
    session: &Session,
    key: i64,
    values: impl Iterator<Item = &'a (Kind, Cow<'a, str>)>,
) -> Result<()> {
    let sql = "DELETE FROM postings WHERE (kind, value) IN (SELECT * FROM UNNEST($1::bigint[], $2::text[])) \
               AND incident = $3";
    for_values(session, sql, key, values)
}

fn for_values<'a>(
    session: &Session,
    sql: &str,
    key: i64,
    values: impl Iterator<Item = &'a (Kind, Cow<'a, str>)>,
) -> Result<()> {
    let (kinds, values): (Vec<i64>, Vec<_>) = values.map(|(kind, value)| (*kind as i64, stored_text(value))).unzip();
    if !kinds.is_empty() {
        session.execute(sql, &[&kinds, &values, &key])?;
    }
    Ok(())
}

fn put_words(session: &Session, key: i64, words: &BTreeSet<String>) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let sql = "INSERT INTO words (incident, words) VALUES ($1, array_to_tsvector($2::text[])) \
               ON CONFLICT (incident) DO UPDATE SET words = excluded.words";
    session.execute(sql, &[&key, &words])?;
    Ok(())
}
