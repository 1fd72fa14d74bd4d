//! Rows by the names of their columns, and the values in them.

use jiff::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;
use std::error::Error;
use std::str::FromStr;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

type Unreadable = Box<dyn Error + Sync + Send>;

/// Declares a row by its columns, as [`crate::sqlite`] does: the list of a SELECT and the reading of its rows come from the
/// same declaration. A field is read from the column of its name, or from the expression after `=`.
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
                $crate::postgres::columns::column!($first $(, $first_sql)?)
                $(, ", ", $crate::postgres::columns::column!($field $(, $sql)?))*
            );

            /// Reads a row, whose first columns are those of the list.
            pub fn read(row: &tokio_postgres::Row) -> Result<Self, tokio_postgres::Error> {
                let mut columns = 0..;
                let mut next = || columns.next().unwrap_or_default();
                Ok(Self { $first: row.try_get(next())?, $($field: row.try_get(next())?,)* })
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

/// The character that begins an escape in a stored text. It means nothing in texts, so that texts with it are rare.
const ESCAPE: char = '\u{10ffff}';

/// Returns a text as it is stored: PostgreSQL's texts have no zero bytes.
pub(super) fn text(value: &str) -> Cow<'_, str> {
    if !value.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.replace(ESCAPE, "\u{10ffff}1").replace('\0', "\u{10ffff}0"))
}

/// A text that may be stored with escapes.
pub(super) struct Text(pub String);

impl<'a> FromSql<'a> for Text {
    fn from_sql(column: &Type, raw: &'a [u8]) -> Result<Self, Unreadable> {
        let stored = <&str>::from_sql(column, raw)?;
        if !stored.contains(ESCAPE) {
            return Ok(Self(stored.to_owned()));
        }
        Ok(Self(stored.replace("\u{10ffff}0", "\0").replace("\u{10ffff}1", "\u{10ffff}")))
    }

    fn accepts(column: &Type) -> bool {
        <&str>::accepts(column)
    }
}

/// An id, of 16 bytes.
pub(super) struct Id(pub Uuid);

impl<'a> FromSql<'a> for Id {
    fn from_sql(column: &Type, raw: &'a [u8]) -> Result<Self, Unreadable> {
        Ok(Self(Uuid::from_slice(<&[u8]>::from_sql(column, raw)?)?))
    }

    fn accepts(column: &Type) -> bool {
        <&[u8]>::accepts(column)
    }
}

/// Ids in one column, of 16 bytes each.
pub(super) struct Ids(pub Vec<Uuid>);

impl<'a> FromSql<'a> for Ids {
    fn from_sql(column: &Type, raw: &'a [u8]) -> Result<Self, Unreadable> {
        let bytes = <&[u8]>::from_sql(column, raw)?;
        Ok(Self(bytes.chunks_exact(16).filter_map(|bytes| Uuid::from_slice(bytes).ok()).collect()))
    }

    fn accepts(column: &Type) -> bool {
        <&[u8]>::accepts(column)
    }
}

/// A digest, of 32 bytes.
pub(super) struct Digest(pub [u8; 32]);

impl<'a> FromSql<'a> for Digest {
    fn from_sql(column: &Type, raw: &'a [u8]) -> Result<Self, Unreadable> {
        Ok(Self(<&[u8]>::from_sql(column, raw)?.try_into()?))
    }

    fn accepts(column: &Type) -> bool {
        <&[u8]>::accepts(column)
    }
}

/// A number of another type than the column's.
pub(super) struct Integer<T>(pub T);

impl<'a, T: TryFrom<i64, Error: Error + Sync + Send + 'static>> FromSql<'a> for Integer<T> {
    fn from_sql(column: &Type, raw: &'a [u8]) -> Result<Self, Unreadable> {
        Ok(Self(T::try_from(i64::from_sql(column, raw)?)?))
    }

    fn accepts(column: &Type) -> bool {
        i64::accepts(column)
    }
}

/// A value in JSON.
pub(super) struct Json<T>(pub T);

impl<'a, T: for<'de> Deserialize<'de>> FromSql<'a> for Json<T> {
    fn from_sql(column: &Type, raw: &'a [u8]) -> Result<Self, Unreadable> {
        Ok(Self(serde_json::from_str(<&str>::from_sql(column, raw)?)?))
    }

    fn accepts(column: &Type) -> bool {
        <&str>::accepts(column)
    }
}

/// A value that is stored as its word.
pub(super) struct Word<T>(pub T);

impl<'a, T: FromStr<Err = String>> FromSql<'a> for Word<T> {
    fn from_sql(column: &Type, raw: &'a [u8]) -> Result<Self, Unreadable> {
        Ok(Self(<&str>::from_sql(column, raw)?.parse()?))
    }

    fn accepts(column: &Type) -> bool {
        <&str>::accepts(column)
    }
}

/// Declares a time that is stored as a number.
macro_rules! time {
    ($(#[$doc:meta])* $name:ident($read:expr)) => {
        $(#[$doc])*
        pub(super) struct $name(pub Timestamp);

        impl<'a> FromSql<'a> for $name {
            fn from_sql(column: &Type, raw: &'a [u8]) -> Result<Self, Unreadable> {
                let read: fn(i64) -> Result<Timestamp, Unreadable> = $read;
                read(i64::from_sql(column, raw)?).map(Self)
            }

            fn accepts(column: &Type) -> bool {
                i64::accepts(column)
            }
        }
    };
}

time!(
    /// A time in nanoseconds.
    Nanoseconds(|number| Ok(Timestamp::from_nanosecond(number.into())?))
);
time!(
    /// A time in microseconds.
    Microseconds(|number| Ok(Timestamp::from_microsecond(number).unwrap_or(Timestamp::UNIX_EPOCH)))
);
time!(
    /// A time in milliseconds.
    Milliseconds(|number| Ok(Timestamp::from_millisecond(number).unwrap_or(Timestamp::UNIX_EPOCH)))
);
