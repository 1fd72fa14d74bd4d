//! How far sources were read, stored with what was read.

use super::events::{Columns, record};
use super::writer::Tx;
use super::{Recorded, Store, StoreError};
use anyhow::Result;
use hookmill_incident::Mapped;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How far a source was read.
#[derive(Clone, Debug)]
pub struct Position {
    /// What is configured of its beginning: another text is another beginning.
    pub start: String,
    /// What its server goes on from.
    pub at: String,
}

impl Store {
    /// Up to where a source was read; where it begins when it was not, or was to begin elsewhere.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn cursor(&self, source: Arc<str>, begin: Position) -> Result<String, StoreError> {
        self.writer
            .write(move |tx| {
                let sql = "SELECT position FROM cursors WHERE source = ? AND start = ?";
                let known = tx.connection.query_row(sql, [&*source, &begin.start], |row| row.get(0));
                if let Some(position) = known.optional()? {
                    return Ok(position);
                }
                let sql = "INSERT OR REPLACE INTO cursors (source, position, start) VALUES (?, ?, ?)";
                tx.connection.execute(sql, params![&*source, begin.at, begin.start])?;
                Ok(begin.at.clone())
            })
            .await
    }

    /// Up to where sources were read, by their names.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn positions(&self) -> Result<BTreeMap<String, String>> {
        self.read(move |connection| {
            let mut query = connection.prepare_cached("SELECT source, position FROM cursors")?;
            let positions = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(positions.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Records what was read of a source, and up to where that is: all of it or nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn record_pulled(
        &self,
        source: Arc<str>,
        batch: Vec<Mapped>,
        position: Option<Position>,
    ) -> Result<Vec<Recorded>, StoreError> {
        let batch: Vec<(Columns, Mapped)> = batch.into_iter().map(|mapped| (Columns::of(&mapped), mapped)).collect();
        self.writer
            .write(move |tx| {
                let recorded = batch.iter().map(|(columns, mapped)| record(tx, mapped, columns));
                let recorded = recorded.collect::<Result<Vec<_>>>()?;
                if let Some(position) = &position {
                    advance(tx, &source, position)?;
                }
                Ok(recorded)
            })
            .await
    }
}

/// A source that is to begin elsewhere since is not gone on with here.
fn advance(tx: &Tx, source: &str, position: &Position) -> Result<()> {
    let sql = "UPDATE cursors SET position = ? WHERE source = ? AND start = ?";
    tx.connection.prepare_cached(sql)?.execute([&*position.at, source, &position.start])?;
    Ok(())
}
