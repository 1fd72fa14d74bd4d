//! The tables `sources`, `source_secrets`, `tallies` and `cursors`.

use super::columns::{read, read_into};
use crate::columns::sources::{SecretColumns, SourceColumns, TallyColumns};
use crate::columns::{Columns, json};
use crate::rows::{Cursor, SourceRow, Tally};
use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn list(connection: &Connection) -> Result<Vec<SourceRow>> {
    let sql = format!("SELECT {} FROM source_secrets WHERE source = ? ORDER BY id", SecretColumns::LIST);
    let mut secrets = connection.prepare_cached(&sql)?;
    let sql = format!("SELECT {} FROM sources ORDER BY name", SourceColumns::LIST);
    let mut sources = connection.prepare_cached(&sql)?;
    let rows = sources.query_map([], read::<SourceColumns>)?;
    rows.map(|row| {
        let row = row?;
        let secrets = secrets.query_map([&row.name], read_into::<SecretColumns, _>)?.collect::<Result<_, _>>()?;
        Ok(row.into_row(secrets))
    })
    .collect()
}

pub(super) fn put(connection: &Connection, source: &SourceRow) -> Result<()> {
    let sql = "INSERT INTO sources (name, declaration, created_at) VALUES (?, ?, ?) \
               ON CONFLICT DO UPDATE SET declaration = excluded.declaration";
    connection.execute(sql, params![source.name, json(&source.declaration), source.created_at])?;
    connection.execute("DELETE FROM source_secrets WHERE source = ?", [&source.name])?;
    for secret in &source.secrets {
        let sql = "INSERT INTO source_secrets (source, id, sealed, created_at, not_after) VALUES (?, ?, ?, ?, ?)";
        let row = params![source.name, secret.id, secret.sealed, secret.created_at, secret.not_after];
        connection.execute(sql, row)?;
    }
    Ok(())
}

pub(super) fn remove(connection: &Connection, name: &str) -> Result<()> {
    for (table, column) in [("source_secrets", "source"), ("tallies", "source"), ("sources", "name")] {
        connection.execute(&format!("DELETE FROM {table} WHERE {column} = ?"), [name])?;
    }
    Ok(())
}

pub(super) fn tally(connection: &Connection, source: &str) -> Result<Tally> {
    let sql = format!("SELECT {} FROM tallies WHERE source = ?", TallyColumns::LIST);
    let found = connection.prepare_cached(&sql)?.query_row([source], read_into::<TallyColumns, _>);
    Ok(found.optional()?.unwrap_or_default())
}

pub(super) fn put_tallies(connection: &Connection, tallies: &[(Arc<str>, Tally)]) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO tallies (source, received, accepted, duplicates, refused, \
               last_success, error_at, error_code, error_message, heard_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let mut statement = connection.prepare_cached(sql)?;
    for (source, tally) in tallies {
        let error = tally.last_error.as_ref();
        statement.execute(params![
            &**source,
            tally.received,
            tally.accepted,
            tally.duplicates,
            tally.refused,
            tally.last_success,
            error.map(|error| error.at),
            error.map(|error| &error.code),
            error.map(|error| &error.message),
            tally.last_received_at,
        ])?;
    }
    Ok(())
}

pub(super) fn find_cursor(connection: &Connection, source: &str, start: &str) -> Result<Option<String>> {
    let sql = "SELECT position FROM cursors WHERE source = ? AND start = ?";
    Ok(connection.query_row(sql, [source, start], |row| row.get(0)).optional()?)
}

pub(super) fn put_cursor(connection: &Connection, source: &str, cursor: &Cursor) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO cursors (source, position, start) VALUES (?, ?, ?)";
    connection.execute(sql, [source, &cursor.position, &cursor.start])?;
    Ok(())
}

pub(super) fn update_cursor(connection: &Connection, source: &str, cursor: &Cursor) -> Result<()> {
    let sql = "UPDATE cursors SET position = ? WHERE source = ? AND start = ?";
    connection.prepare_cached(sql)?.execute([&*cursor.position, source, &cursor.start])?;
    Ok(())
}

pub(super) fn cursors(connection: &Connection) -> Result<BTreeMap<String, String>> {
    let mut query = connection.prepare_cached("SELECT source, position FROM cursors")?;
    let positions = query.query_map([], |row| Ok((row.get("source")?, row.get("position")?)))?;
    Ok(positions.collect::<Result<_, _>>()?)
}
