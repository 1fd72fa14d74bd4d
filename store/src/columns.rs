//! Rows by the names of their columns, whatever database has them.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod counts;
pub(crate) mod deliveries;
pub(crate) mod destinations;
pub(crate) mod events;
pub(crate) mod failures;
pub(crate) mod incidents;
pub(crate) mod open_incidents;
pub(crate) mod repeats;
pub(crate) mod sources;
pub(crate) mod stored_days;
pub(crate) mod triage;
pub(crate) mod versions;

use anyhow::{Result, anyhow, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::str::FromStr;
use uuid::Uuid;

/// A value in a column, as a database returns it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    /// A number or, as 0 or 1, a truth value.
    Integer(i64),
    Text(Cow<'a, str>),
    Bytes(&'a [u8]),
}

/// A row as a database returns it.
pub(crate) trait Cells {
    /// Returns the value of the column with this index.
    fn cell(&self, index: usize) -> Result<Cell<'_>>;
}

/// The columns of a row after the first ones.
pub(crate) struct After<'a>(pub &'a dyn Cells, pub usize);

impl Cells for After<'_> {
    fn cell(&self, index: usize) -> Result<Cell<'_>> {
        self.0.cell(self.1 + index)
    }
}

/// A value that is read from a column.
pub(crate) trait FromCell: Sized {
    fn from_cell(cell: Cell) -> Result<Self>;
}

/// The columns of a SELECT, and the row that is read from them.
pub(crate) trait Columns: Sized {
    /// The columns, as SQL lists them.
    const LIST: &'static str;
    /// The number of the columns.
    const COUNT: usize;

    /// Reads a row, whose first columns are those of the list.
    fn read(row: &dyn Cells) -> Result<Self>;
}

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
        pub(crate) struct $name {
            pub $first: $first_type,
            $(pub $field: $type,)*
        }

        impl $crate::columns::Columns for $name {
            const LIST: &'static str = concat!(
                $crate::columns::column!($first $(, $first_sql)?)
                $(, ", ", $crate::columns::column!($field $(, $sql)?))*
            );
            const COUNT: usize = [stringify!($first) $(, stringify!($field))*].len();

            fn read(row: &dyn $crate::columns::Cells) -> anyhow::Result<Self> {
                let mut columns = 0..;
                let mut next = || columns.next().unwrap_or_default();
                Ok(Self {
                    $first: $crate::columns::value(row, next(), stringify!($first))?,
                    $($field: $crate::columns::value(row, next(), stringify!($field))?,)*
                })
            }
        }
    };
}
pub(crate) use columns;

macro_rules! column {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident, $sql:literal) => {
        $sql
    };
}
pub(crate) use column;

/// Returns the value of a column; an error names the column.
pub(crate) fn value<T: FromCell>(row: &dyn Cells, index: usize, name: &str) -> Result<T> {
    T::from_cell(row.cell(index)?).map_err(|error| anyhow!("the column `{name}` cannot be read: {error:#}"))
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl FromCell for $type {
            fn from_cell(cell: Cell) -> Result<Self> {
                match cell {
                    Cell::Integer(number) => Ok(number.try_into()?),
                    other => bail!("{other:?} is not a number"),
                }
            }
        }
    )*};
}

integers!(i64 u16 u32 u64 usize);

impl FromCell for bool {
    fn from_cell(cell: Cell) -> Result<Self> {
        i64::from_cell(cell).map(|number| number != 0)
    }
}

impl FromCell for String {
    fn from_cell(cell: Cell) -> Result<Self> {
        text(cell).map(Cow::into_owned)
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(cell: Cell) -> Result<Self> {
        bytes(&cell).map(<[u8]>::to_vec)
    }
}

impl<const BYTES: usize> FromCell for [u8; BYTES] {
    fn from_cell(cell: Cell) -> Result<Self> {
        Ok(bytes(&cell)?.try_into()?)
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell) -> Result<Self> {
        match cell {
            Cell::Null => Ok(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

fn text(cell: Cell) -> Result<Cow<str>> {
    match cell {
        Cell::Text(text) => Ok(text),
        Cell::Bytes(bytes) => bail!("{} bytes are not a text", bytes.len()),
        other => bail!("{other:?} is not a text"),
    }
}

fn bytes<'a>(cell: &Cell<'a>) -> Result<&'a [u8]> {
    match cell {
        Cell::Bytes(bytes) => Ok(bytes),
        Cell::Text(_) => bail!("a text is not bytes"),
        other => bail!("{other:?} is not bytes"),
    }
}

/// An id, of 16 bytes.
pub(crate) struct Id(pub Uuid);

impl FromCell for Id {
    fn from_cell(cell: Cell) -> Result<Self> {
        <[u8; 16]>::from_cell(cell).map(|bytes| Self(Uuid::from_bytes(bytes)))
    }
}

/// Ids in one column, of 16 bytes each.
pub(crate) struct Ids(pub Vec<Uuid>);

impl FromCell for Ids {
    fn from_cell(cell: Cell) -> Result<Self> {
        let bytes = bytes(&cell)?;
        Ok(Self(bytes.chunks_exact(16).filter_map(|bytes| Uuid::from_slice(bytes).ok()).collect()))
    }
}

/// Returns the bytes of ids for one column.
pub(crate) fn id_bytes(ids: &[Uuid]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.into_bytes()).collect()
}

/// A value in JSON.
pub(crate) struct Json<T>(pub T);

impl<T: for<'a> Deserialize<'a>> FromCell for Json<T> {
    fn from_cell(cell: Cell) -> Result<Self> {
        Ok(Self(serde_json::from_str(&text(cell)?)?))
    }
}

/// A value that is stored as its word.
pub(crate) struct Word<T>(pub T);

impl<T: FromStr<Err = String>> FromCell for Word<T> {
    fn from_cell(cell: Cell) -> Result<Self> {
        text(cell)?.parse().map(Self).map_err(anyhow::Error::msg)
    }
}

/// A time in nanoseconds.
pub(crate) struct Nanoseconds(pub Timestamp);

impl FromCell for Nanoseconds {
    fn from_cell(cell: Cell) -> Result<Self> {
        Ok(Self(Timestamp::from_nanosecond(i64::from_cell(cell)?.into())?))
    }
}

/// A time in microseconds.
pub(crate) struct Microseconds(pub Timestamp);

impl FromCell for Microseconds {
    fn from_cell(cell: Cell) -> Result<Self> {
        Ok(Self(Timestamp::from_microsecond(i64::from_cell(cell)?).unwrap_or(Timestamp::UNIX_EPOCH)))
    }
}

/// A time in milliseconds.
pub(crate) struct Milliseconds(pub Timestamp);

impl FromCell for Milliseconds {
    fn from_cell(cell: Cell) -> Result<Self> {
        Ok(Self(Timestamp::from_millisecond(i64::from_cell(cell)?).unwrap_or(Timestamp::UNIX_EPOCH)))
    }
}

/// Returns a time in nanoseconds since the Unix epoch, as exact as times are shown, clamped to the range of the column.
pub(crate) fn nanoseconds(time: Timestamp) -> i64 {
    time.as_nanosecond().clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// Returns a value as JSON.
pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> String {
    // Serialization fails only for maps with keys that are not strings or for a failing `Serialize`; the store has
    // neither.
    serde_json::to_string(value).unwrap_or_default()
}
