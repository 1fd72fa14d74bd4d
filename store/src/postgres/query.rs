//! Statements, their parameters and their rows.
//!
//! A statement is sent with the types and values of its parameters at once: it takes one round trip, the planner knows the
//! values, and nothing is kept on the connection, which a proxy may share.

use super::columns::stored_text;
use crate::StoreError;
use crate::columns::{Columns, FromCell, value};
use anyhow::{Context, Result};
use bytes::BytesMut;
use std::error::Error;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

/// The time after which a database is away that does not answer a read. It ends statements itself before.
const READ_ANSWER_MAX: Duration = Duration::from_secs(12);

/// The value of a parameter.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
    Integers(Vec<i64>),
    Texts(Vec<String>),
    Blobs(Vec<Vec<u8>>),
}

impl Value {
    /// Returns texts or words.
    pub fn texts<T: ToString>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::Texts(texts.into_iter().map(|text| stored_text(&text.to_string()).into_owned()).collect())
    }

    /// Returns ids.
    pub fn ids(ids: &[Uuid]) -> Self {
        Self::Blobs(ids.iter().map(|id| id.as_bytes().to_vec()).collect())
    }

    fn type_of(&self) -> Type {
        match self {
            Self::Integer(_) => Type::INT8,
            Self::Text(_) => Type::TEXT,
            Self::Bytes(_) => Type::BYTEA,
            Self::Integers(_) => Type::INT8_ARRAY,
            Self::Texts(_) => Type::TEXT_ARRAY,
            Self::Blobs(_) => Type::BYTEA_ARRAY,
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(stored_text(text).into_owned())
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        Self::Bytes(id.as_bytes().to_vec())
    }
}

impl From<&[u8; 32]> for Value {
    fn from(digest: &[u8; 32]) -> Self {
        Self::Bytes(digest.to_vec())
    }
}

impl From<Vec<i64>> for Value {
    fn from(numbers: Vec<i64>) -> Self {
        Self::Integers(numbers)
    }
}

impl ToSql for Value {
    fn to_sql(&self, column: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Integer(number) => number.to_sql(column, out),
            Self::Text(text) => text.to_sql(column, out),
            Self::Bytes(bytes) => bytes.to_sql(column, out),
            Self::Integers(numbers) => numbers.to_sql(column, out),
            Self::Texts(texts) => texts.to_sql(column, out),
            Self::Blobs(blobs) => blobs.to_sql(column, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Returns the rows of a statement as the database sends them.
pub(super) async fn raw_rows(client: &impl GenericClient, sql: &str, values: &[Value]) -> Result<Vec<Row>> {
    let typed: Vec<_> = values.iter().map(|value| (value as &(dyn ToSql + Sync), value.type_of())).collect();
    let answer = timeout(READ_ANSWER_MAX, client.query_typed(sql, &typed)).await;
    answer.map_err(|_| StoreError::Blocked)?.map_err(failure)
}

/// Returns the first row of a statement as the database sends it.
pub(super) async fn raw_row(client: &impl GenericClient, sql: &str, values: &[Value]) -> Result<Option<Row>> {
    Ok(raw_rows(client, sql, values).await?.into_iter().next())
}

/// Returns the rows of a statement.
pub(super) async fn rows<T: Columns>(client: &impl GenericClient, sql: &str, values: &[Value]) -> Result<Vec<T>> {
    raw_rows(client, sql, values).await?.iter().map(|row| T::read(row)).collect()
}

/// Returns the first row of a statement.
pub(super) async fn row<T: Columns>(client: &impl GenericClient, sql: &str, values: &[Value]) -> Result<Option<T>> {
    raw_row(client, sql, values).await?.map(|row| T::read(&row)).transpose()
}

/// Returns the first column of the rows of a statement.
pub(super) async fn column<T: FromCell>(client: &impl GenericClient, sql: &str, values: &[Value]) -> Result<Vec<T>> {
    raw_rows(client, sql, values).await?.iter().map(|row| value(row, 0, "first")).collect()
}

/// Returns the first column of the first row of a statement that has one.
pub(super) async fn cell<T: FromCell>(client: &impl GenericClient, sql: &str, values: &[Value]) -> Result<T> {
    let row = raw_row(client, sql, values).await?;
    value(&row.context("the database returned no row")?, 0, "first")
}

/// Returns the error of a statement: whether the database is away, or took too long, is known to the callers.
fn failure(error: tokio_postgres::Error) -> anyhow::Error {
    match error.code() {
        Some(&SqlState::QUERY_CANCELED) => StoreError::Overloaded.into(),
        Some(code) if is_unavailable(code) => StoreError::Blocked.into(),
        None if error.is_closed() => StoreError::Blocked.into(),
        _ => error.into(),
    }
}

/// Returns whether the database ended the connection, or takes no more.
fn is_unavailable(code: &SqlState) -> bool {
    // The classes of lost connections, of transactions that may succeed when they are run again, of missing resources, and
    // of interventions by an operator.
    ["08", "40", "53", "57P"].iter().any(|class| code.code().starts_with(class))
}

/// The conditions of a list, with their values.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    sql: Vec<String>,
    pub values: Vec<Value>,
}

impl Conditions {
    /// Adds the value of a parameter, and returns the parameter.
    pub fn parameter(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Adds a condition.
    pub fn add(&mut self, sql: impl Into<String>) {
        self.sql.push(sql.into());
    }

    /// Adds a condition in which `?` stands for the parameter with a value.
    pub fn add_with(&mut self, sql: &str, value: impl Into<Value>) {
        let parameter = self.parameter(value);
        self.add(sql.replace('?', &parameter));
    }

    /// Adds the condition that `expression` is one of these texts or words; no condition for an empty list.
    pub fn one_of<T: ToString>(&mut self, expression: &str, texts: &[T]) {
        match texts {
            [] => {}
            // The planner knows more about one value, also that rows with it are in the order of the next column.
            [text] => self.add_with(&format!("{expression} = ?"), text.to_string().as_str()),
            texts => self.add_with(&format!("{expression} = ANY(?)"), Value::texts(texts.iter().map(T::to_string))),
        }
    }

    /// Adds the condition that a row is one of these ids; no condition for an empty list. The key finds the row, but
    /// other ids have the same key.
    pub fn one_of_ids(&mut self, key: &str, id: &str, ids: &[Uuid]) {
        if !ids.is_empty() {
            self.add_with(&format!("{key} = ANY(?)"), keys_of(ids));
            self.add_with(&format!("{id} = ANY(?)"), Value::ids(ids));
        }
    }

    /// Adds the condition that the key is below that of the page before.
    pub fn before(&mut self, expression: &str, key: Option<i64>) {
        if let Some(key) = key {
            self.add_with(&format!("{expression} < ?"), key);
        }
    }

    /// Returns the WHERE clause; an empty text without conditions.
    pub fn sql(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!("WHERE {}", self.sql.join(" AND ")) }
    }
}

/// Returns the keys of rows with these ids.
pub(super) fn keys_of(ids: &[Uuid]) -> Value {
    Value::Integers(ids.iter().copied().map(hookmill_incident::id::row_key).collect())
}
