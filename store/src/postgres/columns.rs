//! Rows of PostgreSQL.

use crate::columns::{Cell, Cells};
use anyhow::{Result, bail};
use std::borrow::Cow;
use std::error::Error;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

/// The character that begins an escape in a stored text. It means nothing in texts, so that texts with it are rare.
const ESCAPE: char = '\u{10ffff}';

/// Returns a text as it is stored: PostgreSQL's texts have no zero bytes.
pub(super) fn stored_text(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(ESCAPE, "\u{10ffff}1").replace('\0', "\u{10ffff}0"))
}

fn read_text(stored: &str) -> Cow<'_, str> {
    if !stored.contains(ESCAPE) {
        return Cow::Borrowed(stored);
    }
    Cow::Owned(stored.replace("\u{10ffff}0", "\0").replace("\u{10ffff}1", "\u{10ffff}"))
}

/// A value as the database sends it.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Cells for Row {
    fn cell(&self, index: usize) -> Result<Cell<'_>> {
        let Some(Raw(bytes)) = self.try_get(index)? else { return Ok(Cell::Null) };
        Ok(match *self.columns()[index].type_() {
            Type::INT8 => Cell::Integer(i64::from_be_bytes(bytes.try_into()?)),
            Type::INT4 => Cell::Integer(i32::from_be_bytes(bytes.try_into()?).into()),
            Type::BOOL => Cell::Integer(i64::from(bytes != [0])),
            Type::TEXT | Type::VARCHAR | Type::NAME => Cell::Text(read_text(std::str::from_utf8(bytes)?)),
            Type::BYTEA => Cell::Bytes(bytes),
            ref other => bail!("no column has the type {other}"),
        })
    }
}

/// Returns the bytes of a row's texts and blobs.
pub(super) fn size(row: &Row) -> Result<usize> {
    let bytes = |(index, column): (usize, &tokio_postgres::Column)| {
        Ok(match *column.type_() {
            Type::TEXT | Type::BYTEA => row.try_get::<_, Option<Raw>>(index)?.map_or(0, |Raw(bytes)| bytes.len()),
            _ => 0,
        })
    };
    row.columns().iter().enumerate().map(bytes).sum()
}

/// Returns an optional text as it is stored.
pub(super) fn stored_option(text: Option<&str>) -> Option<Cow<'_, str>> {
    text.map(stored_text)
}
