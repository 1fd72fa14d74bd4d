//! Registered sources, their sealed secrets, and what every source has sent.

use super::deliveries::notice;
use super::sql::{from_json, json};
use super::tally::{LastError, Tally};
use super::{Store, StoreError};
use anyhow::Result;
use hookmill_incident::id::unix_ms;
use hookmill_notify::Trigger;
use rusqlite::{OptionalExtension, Row, params};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A source as it was registered.
#[derive(Clone, Debug)]
pub struct SourceRow {
    /// Its name.
    pub name: String,
    /// What was said of it, without its secrets: the keys of the configuration file.
    pub declaration: Map<String, Value>,
    /// When it was registered, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Its secrets, the newest last.
    pub secrets: Vec<SecretRow>,
}

/// A secret of a registered source.
#[derive(Clone, Debug)]
pub struct SecretRow {
    /// Counts from 1 within the source.
    pub id: i64,
    /// What the vault made of it.
    pub sealed: Vec<u8>,
    /// When it was given, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// When it ends to be valid, likewise.
    pub not_after: Option<i64>,
}

impl Store {
    /// Every registered source, by name.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn registered_sources(&self) -> Result<Vec<SourceRow>> {
        self.read(|connection| {
            let mut secrets = connection.prepare_cached(
                "SELECT id, sealed, created_at, not_after FROM source_secrets WHERE source = ? ORDER BY id",
            )?;
            let mut sources =
                connection.prepare_cached("SELECT name, declaration, created_at FROM sources ORDER BY name")?;
            let mut rows = sources.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                let secrets = secrets.query_map([&name], secret_row)?.collect::<Result<_, _>>()?;
                found.push(SourceRow { name, declaration: from_json(row, 1)?, created_at: row.get(2)?, secrets });
            }
            Ok(found)
        })
        .await
    }

    /// Writes a registered source, new or changed, with all its secrets.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put_source(&self, source: SourceRow) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                let sql = "INSERT INTO sources (name, declaration, created_at) VALUES (?, ?, ?) \
                           ON CONFLICT DO UPDATE SET declaration = excluded.declaration";
                tx.connection.execute(sql, params![source.name, json(&source.declaration), source.created_at])?;
                tx.connection.execute("DELETE FROM source_secrets WHERE source = ?", [&source.name])?;
                for secret in &source.secrets {
                    let sql =
                        "INSERT INTO source_secrets (source, id, sealed, created_at, not_after) VALUES (?, ?, ?, ?, ?)";
                    let row = params![source.name, secret.id, secret.sealed, secret.created_at, secret.not_after];
                    tx.connection.execute(sql, row)?;
                }
                Ok(())
            })
            .await
    }

    /// Forgets a registered source and its secrets. Its events and incidents stay.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn remove_source(&self, name: String) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                for (table, column) in [("source_secrets", "source"), ("tallies", "source"), ("sources", "name")] {
                    tx.connection.execute(&format!("DELETE FROM {table} WHERE {column} = ?"), [&name])?;
                }
                Ok(())
            })
            .await
    }

    /// What a source had sent when that was last written down.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn tally(&self, source: Arc<str>) -> Result<Tally> {
        self.read(move |connection| {
            let sql = "SELECT received, accepted, duplicates, refused, last_success, error_at, error_code, error_message, heard_at \
                       FROM tallies WHERE source = ?";
            let found = connection.prepare_cached(sql)?.query_row([&*source], tally_row).optional()?;
            Ok(found.unwrap_or_default())
        })
        .await
    }

    /// Writes down what sources have sent.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put_tallies(&self, tallies: Vec<(Arc<str>, Tally)>) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                let sql = "INSERT OR REPLACE INTO tallies (source, received, accepted, duplicates, refused, \
                           last_success, error_at, error_code, error_message, heard_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
                let mut statement = tx.connection.prepare_cached(sql)?;
                for (source, tally) in &tallies {
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
                        tally.heard_at,
                    ])?;
                }
                Ok(())
            })
            .await
    }

    /// When a source was told of as silent, in milliseconds since the Unix epoch; nothing when it has sent since.
    pub fn silent_since(&self, source: &str) -> Option<i64> {
        self.silent.load().get(source).copied()
    }

    /// Records that a source is silent and queues the deliveries about it, or records that it sends again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn set_silent(&self, source: &str, is_silent: bool, message: Value) -> Result<(), StoreError> {
        let (name, now) = (source.to_owned(), unix_ms());
        self.writer
            .write(move |tx| {
                if !is_silent {
                    tx.connection.execute("DELETE FROM silent_sources WHERE source = ?", [&name])?;
                    return Ok(());
                }
                let sql = "INSERT OR REPLACE INTO silent_sources (source, since) VALUES (?, ?)";
                tx.connection.execute(sql, params![name, now])?;
                notice(tx, Trigger::SourceSilent, &message)
            })
            .await?;
        self.silent.rcu(|silent| {
            let mut silent = BTreeMap::clone(silent);
            if is_silent {
                silent.insert(source.to_owned(), now)
            } else {
                silent.remove(source)
            };
            silent
        });
        Ok(())
    }
}

fn secret_row(row: &Row) -> rusqlite::Result<SecretRow> {
    Ok(SecretRow { id: row.get(0)?, sealed: row.get(1)?, created_at: row.get(2)?, not_after: row.get(3)? })
}

fn tally_row(row: &Row) -> rusqlite::Result<Tally> {
    let last_error = match row.get(5)? {
        Some(at) => Some(LastError { at, code: row.get(6)?, message: row.get(7)? }),
        None => None,
    };
    Ok(Tally {
        received: row.get(0)?,
        accepted: row.get(1)?,
        duplicates: row.get(2)?,
        refused: row.get(3)?,
        last_success: row.get(4)?,
        last_error,
        heard_at: row.get(8)?,
    })
}
