//! The parts of the table `words`, each with incidents that were added one after the other.
//!
//! FTS5 merges a word as a whole, which takes 9 ms for one that 500,000 incidents have. The words of a part have a beginning of
//! their own, so that a merge takes no longer the more incidents there are, except in part 0 of a database that is older than
//! parts.

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, Row, params};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The number of incidents from which on a part is full. A search for a rare word looks into each part.
const FULL: i64 = if cfg!(test) { 10 } else { 100_000 };

/// One part. It has the incidents up to the first one of the next part.
#[derive(Clone, Copy, Debug)]
pub(super) struct WordPart {
    number: i64,
    pub first_key: i64,
    incidents: i64,
}

impl WordPart {
    /// The part of the incidents that are older than parts.
    pub const FIRST: Self = Self { number: 0, first_key: 0, incidents: 0 };

    /// Returns all parts, the oldest first.
    ///
    /// # Errors
    /// Returns an error if there is none, which is damage: searches would find nothing.
    pub fn all(connection: &Connection) -> Result<Vec<Self>> {
        let mut query = connection.prepare_cached("SELECT * FROM word_parts ORDER BY first_key")?;
        let parts: Vec<Self> = query.query_map([], Self::read)?.collect::<Result<_, _>>()?;
        ensure!(!parts.is_empty(), "the table `word_parts` is empty");
        Ok(parts)
    }

    /// Returns the part of an incident.
    pub fn of(connection: &Connection, key: i64) -> Result<Self> {
        let sql = "SELECT * FROM word_parts WHERE first_key <= ? ORDER BY first_key DESC LIMIT 1";
        let part = connection.prepare_cached(sql)?.query_row([key], Self::read);
        part.with_context(|| format!("the table `word_parts` has no part for incident {key}"))
    }

    /// Returns the part to which an incident after all others belongs: a new one if the last is full.
    pub fn of_new(connection: &Connection, key: i64) -> Result<Self> {
        let last = Self::of(connection, key)?;
        if last.incidents < FULL {
            return Ok(last);
        }
        let new = Self { number: last.number + 1, first_key: key, incidents: 0 };
        let sql = "INSERT INTO word_parts (number, first_key, incidents) VALUES (?, ?, ?)";
        connection.execute(sql, params![new.number, new.first_key, new.incidents])?;
        // Searches would look into parts whose incidents were all removed.
        connection.execute(
            "DELETE FROM word_parts AS part WHERE part.number < ? AND NOT EXISTS (\
                 SELECT 1 FROM incidents WHERE incidents.key >= part.first_key AND incidents.key < (\
                     SELECT min(next.first_key) FROM word_parts AS next WHERE next.first_key > part.first_key))",
            [new.number],
        )?;
        Ok(new)
    }

    /// Counts incidents that were added.
    pub fn count(self, connection: &Connection, incidents: usize) -> Result<()> {
        let sql = "UPDATE word_parts SET incidents = incidents + ? WHERE number = ?";
        connection.prepare_cached(sql)?.execute(params![incidents as i64, self.number])?;
        Ok(())
    }

    /// Returns what the table has before each word. No word of an incident begins with `_`, so that those of the first part are
    /// different from all others.
    pub fn beginning(self) -> String {
        if self.number == Self::FIRST.number { String::new() } else { format!("_{}_", self.number) }
    }

    /// Returns the text of an incident with these words.
    pub fn text(self, words: &BTreeSet<Cow<str>>) -> String {
        let beginning = self.beginning();
        words.iter().flat_map(|word| [&*beginning, word, " "]).collect()
    }

    fn read(row: &Row) -> rusqlite::Result<Self> {
        Ok(Self { number: row.get("number")?, first_key: row.get("first_key")?, incidents: row.get("incidents")? })
    }
}
