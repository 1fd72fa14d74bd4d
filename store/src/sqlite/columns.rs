//! Rows by the names of their columns.

use hookmill_incident::id;
use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, Value, ValueRef};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::str::FromStr;
use uuid::Uuid;

/// Declares a row by its columns. The list of a SELECT and the reading of its rows come from the same declaration, so
/// that the two cannot diverge, and nothing looks up a column by its name at run time.
///
/// A field is read from the column of its name, or from the expression after `=`.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident {
        $first:ident: $first_type:ty $(= $first_sql:literal)?,
        $($field:ident: $type:ty $(= $sql:literal)?,)*
    }) => {
        $(#[$doc])*
        pub(super) struct $name {
            pub $first: $first_type,
            $(pub $field: $type,)*
        }

        impl $name {
            /// The columns of a SELECT whose rows [`Self::read`] reads.
            pub const LIST: &str = concat!(
                $crate::sqlite::columns::column!($first $(, $first_sql)?)
                $(, ", ", $crate::sqlite::columns::column!($field $(, $sql)?))*
            );

            /// Reads a row, whose first columns are those of the list.
            pub fn read(row: &rusqlite::Row) -> rusqlite::Result<Self> {
                let mut columns = 0..;
                let mut next = || columns.next().unwrap_or_default();
                Ok(Self { $first: row.get(next())?, $($field: row.get(next())?,)* })
            }
        }
    };
}
pub(super) use columns;

macro_rules! column {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident, $sql:literal) => {
        $sql
    };
}
pub(super) use column;

/// An id, of 16 bytes.
pub(super) struct Id(pub Uuid);

impl FromSql for Id {
    fn column_result(value: ValueRef) -> FromSqlResult<Self> {
        <[u8; 16]>::column_result(value).map(|bytes| Self(Uuid::from_bytes(bytes)))
    }
}

/// Ids in one column, of 16 bytes each.
pub(super) struct Ids(pub Vec<Uuid>);

impl FromSql for Ids {
    fn column_result(value: ValueRef) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        Ok(Self(bytes.chunks_exact(16).filter_map(|bytes| Uuid::from_slice(bytes).ok()).collect()))
    }
}

/// Returns the bytes of ids for one column.
pub(super) fn id_bytes(ids: &[Uuid]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.into_bytes()).collect()
}

/// A value in JSON.
pub(super) struct Json<T>(pub T);

impl<T: for<'a> Deserialize<'a>> FromSql for Json<T> {
    fn column_result(value: ValueRef) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(conversion)
    }
}

/// A value that is stored as its word.
pub(super) struct Word<T>(pub T);

impl<T: FromStr<Err = String>> FromSql for Word<T> {
    fn column_result(value: ValueRef) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(conversion)
    }
}

/// A time in nanoseconds.
pub(super) struct Nanoseconds(pub Timestamp);

impl FromSql for Nanoseconds {
    fn column_result(value: ValueRef) -> FromSqlResult<Self> {
        Timestamp::from_nanosecond(value.as_i64()?.into()).map(Self).map_err(conversion)
    }
}

/// A time in microseconds.
pub(super) struct Microseconds(pub Timestamp);

impl FromSql for Microseconds {
    fn column_result(value: ValueRef) -> FromSqlResult<Self> {
        Ok(Self(Timestamp::from_microsecond(value.as_i64()?).unwrap_or(Timestamp::UNIX_EPOCH)))
    }
}

/// A time in milliseconds.
pub(super) struct Milliseconds(pub Timestamp);

impl FromSql for Milliseconds {
    fn column_result(value: ValueRef) -> FromSqlResult<Self> {
        Ok(Self(Timestamp::from_millisecond(value.as_i64()?).unwrap_or(Timestamp::UNIX_EPOCH)))
    }
}

fn conversion(error: impl Into<Box<dyn Error + Send + Sync>>) -> FromSqlError {
    FromSqlError::Other(error.into())
}

/// Returns a time in nanoseconds since the Unix epoch, as exact as times are shown, clamped to the range of the column.
pub(super) fn nanoseconds(time: Timestamp) -> i64 {
    time.as_nanosecond().clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// Returns a value as JSON.
pub(super) fn json(value: &(impl Serialize + ?Sized)) -> String {
    // Serialization fails only for maps with keys that are not strings or for a failing `Serialize`; the store has
    // neither.
    serde_json::to_string(value).unwrap_or_default()
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
