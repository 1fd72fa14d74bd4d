//! The tables `sources`, `source_secrets`, `tallies` and `cursors`.

use crate::columns::json;
use crate::postgres::columns::{stored_option, stored_text};
use crate::postgres::session::Session;
use crate::rows::{Cursor, SourceRow, Tally};
use anyhow::Result;
use std::sync::Arc;

pub(super) fn put(session: &Session, source: &SourceRow) -> Result<()> {
    let name = stored_text(&source.name);
    let sql = "INSERT INTO sources (name, declaration, created_at) VALUES ($1, $2, $3) \
               ON CONFLICT (name) DO UPDATE SET declaration = excluded.declaration";
    session.execute(sql, &[&name, &stored_text(&json(&source.declaration)), &source.created_at])?;
    session.execute("DELETE FROM source_secrets WHERE source = $1", &[&name])?;
    for secret in &source.secrets {
        let sql = "INSERT INTO source_secrets (source, id, sealed, created_at, not_after) VALUES ($1, $2, $3, $4, $5)";
        session.execute(sql, &[&name, &secret.id, &secret.sealed, &secret.created_at, &secret.not_after])?;
    }
    Ok(())
}

pub(super) fn remove(session: &Session, name: &str) -> Result<()> {
    for (table, column) in [("source_secrets", "source"), ("tallies", "source"), ("sources", "name")] {
        session.execute(&format!("DELETE FROM {table} WHERE {column} = $1"), &[&stored_text(name)])?;
    }
    Ok(())
}

pub(super) fn put_tallies(session: &Session, tallies: &[(Arc<str>, Tally)]) -> Result<()> {
    let sql = "INSERT INTO tallies (source, received, accepted, duplicates, refused, last_success, error_at, error_code, \
               error_message, heard_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
               ON CONFLICT (source) DO UPDATE SET received = excluded.received, accepted = excluded.accepted, \
               duplicates = excluded.duplicates, refused = excluded.refused, last_success = excluded.last_success, \
               error_at = excluded.error_at, error_code = excluded.error_code, error_message = excluded.error_message, \
               heard_at = excluded.heard_at";
    for (source, tally) in tallies {
        let error = tally.last_error.as_ref();
        session.execute(
            sql,
            &[
                &stored_text(source),
                &(tally.received as i64),
                &(tally.accepted as i64),
                &(tally.duplicates as i64),
                &(tally.refused as i64),
                &tally.last_success,
                &error.map(|error| error.at),
                &stored_option(error.map(|error| error.code.as_str())),
                &stored_option(error.map(|error| error.message.as_str())),
                &tally.last_received_at,
            ],
        )?;
    }
    Ok(())
}

pub(super) fn find_cursor(session: &Session, source: &str, start: &str) -> Result<Option<String>> {
    let sql = "SELECT position FROM cursors WHERE source = $1 AND start = $2";
    session.value(sql, &[&stored_text(source), &stored_text(start)])
}

pub(super) fn put_cursor(session: &Session, source: &str, cursor: &Cursor) -> Result<()> {
    let sql = "INSERT INTO cursors (source, position, start) VALUES ($1, $2, $3) \
               ON CONFLICT (source) DO UPDATE SET position = excluded.position, start = excluded.start";
    session.execute(sql, &[&stored_text(source), &stored_text(&cursor.position), &stored_text(&cursor.start)])?;
    Ok(())
}

pub(super) fn update_cursor(session: &Session, source: &str, cursor: &Cursor) -> Result<()> {
    let sql = "UPDATE cursors SET position = $1 WHERE source = $2 AND start = $3";
    session.execute(sql, &[&stored_text(&cursor.position), &stored_text(source), &stored_text(&cursor.start)])?;
    Ok(())
}
