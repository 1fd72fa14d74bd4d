//! Rows that one statement writes together.

use super::columns::stored_text;
use tokio_postgres::types::ToSql;

/// A statement with its values.
pub(super) struct Statement {
    pub sql: String,
    pub values: Vec<Box<dyn ToSql + Sync>>,
}

/// The value of one column of one row.
pub(super) enum Field {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

impl From<i64> for Field {
    fn from(number: i64) -> Self {
        Self::Integer(Some(number))
    }
}

impl From<Option<i64>> for Field {
    fn from(number: Option<i64>) -> Self {
        Self::Integer(number)
    }
}

impl From<&str> for Field {
    fn from(text: &str) -> Self {
        Self::Text(Some(stored_text(text).into_owned()))
    }
}

impl From<Option<&str>> for Field {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(|text| stored_text(text).into_owned()))
    }
}

impl From<&[u8]> for Field {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}

enum Column {
    Integers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Blobs(Vec<Option<Vec<u8>>>),
}

impl Column {
    /// Returns the column that begins with a value.
    fn of(field: Field) -> Self {
        match field {
            Field::Integer(number) => Self::Integers(vec![number]),
            Field::Text(text) => Self::Texts(vec![text]),
            Field::Bytes(bytes) => Self::Blobs(vec![bytes]),
        }
    }

    fn push(&mut self, field: Field) {
        match (self, field) {
            (Self::Integers(numbers), Field::Integer(number)) => numbers.push(number),
            (Self::Texts(texts), Field::Text(text)) => texts.push(text),
            (Self::Blobs(blobs), Field::Bytes(bytes)) => blobs.push(bytes),
            // The rows of a batch come from one function, which gives each column one type.
            _ => {}
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Integers(_) => "bigint[]",
            Self::Texts(_) => "text[]",
            Self::Blobs(_) => "bytea[]",
        }
    }

    fn into_value(self) -> Box<dyn ToSql + Sync> {
        match self {
            Self::Integers(numbers) => Box::new(numbers),
            Self::Texts(texts) => Box::new(texts),
            Self::Blobs(blobs) => Box::new(blobs),
        }
    }
}

/// Rows for a statement in which `@` stands for them.
pub(super) struct Batch {
    sql: &'static str,
    columns: Vec<Column>,
}

impl Batch {
    pub fn new(sql: &'static str) -> Self {
        Self { sql, columns: Vec::new() }
    }

    /// Adds a row. All rows have the same columns.
    pub fn push<const COLUMNS: usize>(&mut self, row: [Field; COLUMNS]) {
        if self.columns.is_empty() {
            self.columns = row.into_iter().map(Column::of).collect();
            return;
        }
        self.columns.iter_mut().zip(row).for_each(|(column, field)| column.push(field));
    }

    /// Takes the rows with their statement, if there are any.
    pub fn take(&mut self) -> Option<Statement> {
        let columns = std::mem::take(&mut self.columns);
        let types = columns.iter().enumerate().map(|(index, column)| format!("${}::{}", index + 1, column.type_name()));
        let rows = format!("UNNEST({})", types.collect::<Vec<_>>().join(", "));
        let values: Vec<_> = columns.into_iter().map(Column::into_value).collect();
        (!values.is_empty()).then(|| Statement { sql: self.sql.replacen('@', &rows, 1), values })
    }
}
