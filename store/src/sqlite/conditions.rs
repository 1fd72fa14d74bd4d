//! Errors of SQLite that say something about the moment rather than about the statement.

use rusqlite::{Error, ErrorCode};

/// Returns whether an error comes from a database that takes no writes at the moment.
pub(super) fn is_busy(error: &anyhow::Error) -> bool {
    matches!(
        code(error),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
        )
    )
}

/// Returns whether a statement was ended before its result was there.
pub(super) fn is_interrupted(error: &anyhow::Error) -> bool {
    code(error) == Some(ErrorCode::OperationInterrupted)
}

/// Returns whether an error comes from the database as a whole, and not from the values of one row.
pub(super) fn is_of_database(error: &anyhow::Error) -> bool {
    code(error).is_some()
}

fn code(error: &anyhow::Error) -> Option<ErrorCode> {
    error.chain().find_map(|cause| cause.downcast_ref::<Error>()).and_then(Error::sqlite_error_code)
}
