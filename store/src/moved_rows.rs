//! The rows that a move takes to another database: the tables, the values, and a digest by which two databases are compared.

use crate::columns::{Cell, Cells};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The tables that a move copies: all that both databases have, with the same columns. Only `postings` and `words` with
/// their parts are made anew from the incidents, `recent_repeats` are moved into `repeats` before, and `compiled` has digests of
/// files that hosts of the other database do not look for.
pub(crate) const MOVED_TABLES: [&str; 28] = [
    "identity",
    "restores",
    "numbers",
    "events",
    "repeats",
    "incidents",
    "earlier_events",
    "holds",
    "audit",
    "deliveries",
    "attempts",
    "destinations",
    "triage",
    "tokens",
    "sessions",
    "operator_actions",
    "sources",
    "source_secrets",
    "tallies",
    "cursors",
    "plugin_versions",
    "silent_sources",
    "raised_notices",
    "retention",
    "kept_events",
    "counts",
    "stored_days",
    "storage_samples",
];
/// The rows that are in memory together.
const ROWS_TOGETHER: usize = 1000;
/// The bytes from which on rows are written, however few they are.
const BYTES_TOGETHER: usize = 4 * 1024 * 1024;

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MovedValue {
    Null,
    /// A number or, as 0 or 1, a truth value.
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<Cell<'_>> for MovedValue {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Integer(number) => Self::Integer(number),
            Cell::Text(text) => Self::Text(text.into_owned()),
            Cell::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
        }
    }
}

impl MovedValue {
    fn bytes(&self) -> usize {
        match self {
            Self::Null | Self::Integer(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

/// Some rows of one table.
#[derive(Default)]
pub(crate) struct MovedRows {
    pub rows: Vec<Vec<MovedValue>>,
    bytes: usize,
}

impl MovedRows {
    /// Adds a row, which has this many columns.
    pub fn add(&mut self, row: &dyn Cells, columns: usize) -> Result<()> {
        let values =
            (0..columns).map(|column| row.cell(column).map(MovedValue::from).context("a value cannot be read"));
        let row: Vec<MovedValue> = values.collect::<Result<_>>()?;
        self.bytes += row.iter().map(MovedValue::bytes).sum::<usize>();
        self.rows.push(row);
        Ok(())
    }

    /// Returns whether these are as many as are kept in memory.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= ROWS_TOGETHER || self.bytes >= BYTES_TOGETHER
    }
}

/// The number of the rows of a table, and the sum of their digests, which does not depend on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowsDigest {
    pub rows: u64,
    sum: [u64; 4],
}

impl RowsDigest {
    pub fn add(&mut self, rows: &MovedRows) {
        rows.rows.iter().for_each(|row| self.add_row(row));
    }

    fn add_row(&mut self, row: &[MovedValue]) {
        let mut digest = Sha256::new();
        for value in row {
            let (kind, bytes): (u8, &[u8]) = match value {
                MovedValue::Null => (0, &[]),
                MovedValue::Integer(number) => (1, &number.to_be_bytes()),
                MovedValue::Text(text) => (2, text.as_bytes()),
                MovedValue::Bytes(bytes) => (3, bytes),
            };
            digest.update([kind]);
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        }
        for (sum, part) in self.sum.iter_mut().zip(digest.finalize().chunks_exact(8)) {
            *sum = sum.wrapping_add(part.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
        }
        self.rows += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{MovedRows, MovedValue, RowsDigest};

    #[test]
    fn a_digest_depends_on_every_value_and_not_on_the_order_of_rows() {
        let text = |text: &str| MovedValue::Text(text.to_owned());
        let digest = |rows: Vec<Vec<MovedValue>>| {
            let mut digest = RowsDigest::default();
            digest.add(&MovedRows { rows, bytes: 0 });
            digest
        };
        let (one, two) = (vec![MovedValue::Integer(1), text("a")], vec![MovedValue::Null, text("b")]);
        let both = digest(vec![one.clone(), two.clone()]);
        assert_eq!(both, digest(vec![two.clone(), one.clone()]));
        for other in [
            vec![one.clone()],
            vec![one.clone(), one.clone()],
            vec![one.clone(), vec![text(""), text("b")]],
            vec![one.clone(), vec![MovedValue::Null, MovedValue::Bytes(b"b".to_vec())]],
            vec![one, vec![MovedValue::Null, text("b"), MovedValue::Null]],
        ] {
            assert_ne!(both, digest(other.clone()), "{other:?}");
        }
        assert_ne!(digest(vec![vec![text("ab"), text("c")]]), digest(vec![vec![text("a"), text("bc")]]));
    }
}
