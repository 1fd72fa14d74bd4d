//! What the queries of all tables share: conditions, and values in columns.

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::{Type, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The conditions of a list, with their values.
#[derive(Default)]
pub(super) struct Conditions {
    sql: Vec<String>,
    pub values: Vec<Value>,
}

impl Conditions {
    pub fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.to_owned());
        self.values.extend(values);
    }

    /// Nothing to choose from means no condition.
    pub fn one_of(&mut self, column: &str, words: &[String]) {
        if !words.is_empty() {
            let marks = vec!["?"; words.len()].join(", ");
            self.add(&format!("{column} IN ({marks})"), words.iter().cloned().map(Value::Text));
        }
    }

    pub fn sql(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!("WHERE {}", self.sql.join(" AND ")) }
    }
}

pub(super) fn json(value: &(impl Serialize + ?Sized)) -> String {
    // Only maps with keys that are no strings and failing `Serialize` implementations have no JSON; there are none.
    serde_json::to_string(value).unwrap_or_default()
}

pub(super) fn from_json<T: for<'a> Deserialize<'a>>(row: &Row, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// Nanoseconds since the Unix epoch, as exact as times are shown; what is too far off is as far as can be.
pub(super) fn nanoseconds(time: Timestamp) -> i64 {
    time.as_nanosecond().clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

pub(super) fn uuid(row: &Row, column: usize) -> rusqlite::Result<Uuid> {
    let bytes: [u8; 16] = row.get(column)?;
    Ok(Uuid::from_bytes(bytes))
}
