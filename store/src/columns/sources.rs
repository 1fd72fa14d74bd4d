//! Rows of the tables `sources`, `source_secrets` and `tallies`.

use super::{Json, columns};
use crate::rows::{LastError, SecretRow, SourceRow, Tally};
use serde_json::{Map, Value};

columns! {
    SourceColumns {
        name: String,
        declaration: Json<Map<String, Value>>,
        created_at: i64,
    }
}

columns! {
    SecretColumns {
        id: i64,
        sealed: Vec<u8>,
        created_at: i64,
        not_after: Option<i64>,
    }
}

columns! {
    TallyColumns {
        received: u64,
        accepted: u64,
        duplicates: u64,
        refused: u64,
        last_success: Option<i64>,
        error_at: Option<i64>,
        error_code: Option<String>,
        error_message: Option<String>,
        last_received_at: Option<i64> = "heard_at",
    }
}

impl SourceColumns {
    /// Returns the source with its secrets.
    pub fn into_row(self, secrets: Vec<SecretRow>) -> SourceRow {
        let Self { name, declaration: Json(declaration), created_at } = self;
        SourceRow { name, declaration, created_at, secrets }
    }
}

impl From<SecretColumns> for SecretRow {
    fn from(row: SecretColumns) -> Self {
        let SecretColumns { id, sealed, created_at, not_after } = row;
        Self { id, sealed, created_at, not_after }
    }
}

impl From<TallyColumns> for Tally {
    fn from(row: TallyColumns) -> Self {
        let last_error = row.error_at.map(|at| LastError {
            at,
            code: row.error_code.unwrap_or_default(),
            message: row.error_message.unwrap_or_default(),
        });
        Self {
            received: row.received,
            accepted: row.accepted,
            duplicates: row.duplicates,
            refused: row.refused,
            last_success: row.last_success,
            last_received_at: row.last_received_at,
            last_error,
        }
    }
}
