//! Rows of SQLite, and the conditions of lists.

use crate::columns::{Cell, Cells, Columns};
use anyhow::{Result, bail};
use hookmill_incident::id;
use rusqlite::Row;
use rusqlite::types::{Type, Value, ValueRef};
use uuid::Uuid;

impl Cells for Row<'_> {
    fn cell(&self, index: usize) -> Result<Cell<'_>> {
        Ok(match self.get_ref(index)? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(number) => Cell::Integer(number),
            ValueRef::Real(number) => bail!("{number} is not a value of any column"),
            ValueRef::Text(bytes) => Cell::Text(std::str::from_utf8(bytes)?.into()),
            ValueRef::Blob(bytes) => Cell::Bytes(bytes),
        })
    }
}

/// Reads a row.
pub(super) fn read<T: Columns>(row: &Row) -> rusqlite::Result<T> {
    T::read(row).map_err(unreadable)
}

/// Reads a row, and makes another value from it.
pub(super) fn read_into<T: Columns + Into<U>, U>(row: &Row) -> rusqlite::Result<U> {
    read::<T>(row).map(Into::into)
}

/// Returns the reason why a row cannot be read as an error of a query.
pub(super) fn unreadable(error: anyhow::Error) -> rusqlite::Error {
    match error.downcast::<rusqlite::Error>() {
        Ok(error) => error,
        Err(error) => rusqlite::Error::FromSqlConversionFailure(0, Type::Null, error.into()),
    }
}

/// The conditions of a list, with their values.
#[derive(Default)]
pub(super) struct Conditions {
    sql: Vec<String>,
    pub values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition with the values of its parameters.
    pub fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.to_owned());
        self.values.extend(values);
    }

    /// Returns whether there is no condition.
    pub fn is_empty(&self) -> bool {
        self.sql.is_empty()
    }

    /// Adds the condition that `expression` is one of these texts or words; no condition for an empty list.
    pub fn one_of(&mut self, expression: &str, texts: &[impl ToString]) {
        if !texts.is_empty() {
            let sql = format!("{expression} IN ({})", Self::marks(texts.len()));
            self.add(&sql, texts.iter().map(|text| Value::Text(text.to_string())));
        }
    }

    /// Adds the condition that a row is one of these ids; no condition for an empty list. The key finds the row, but
    /// other ids have the same key.
    pub fn one_of_ids(&mut self, key: &str, id: &str, ids: &[Uuid]) {
        if !ids.is_empty() {
            let marks = Self::marks(ids.len());
            let keys = ids.iter().map(|id| Value::Integer(id::row_key(*id)));
            let ids = ids.iter().map(|id| Value::Blob(id.as_bytes().to_vec()));
            self.add(&format!("{key} IN ({marks}) AND {id} IN ({marks})"), keys.chain(ids));
        }
    }

    /// Adds the condition that the key is below that of the page before.
    pub fn before(&mut self, expression: &str, key: Option<i64>) {
        if let Some(key) = key {
            self.add(&format!("{expression} < ?"), [Value::Integer(key)]);
        }
    }

    /// Returns `count` parameters, separated by commas.
    pub fn marks(count: usize) -> String {
        vec!["?"; count].join(", ")
    }

    /// Returns the WHERE clause; an empty text without conditions.
    pub fn sql(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!("WHERE {}", self.sql.join(" AND ")) }
    }
}
