//! Errors of PostgreSQL that say something about the moment rather than about the statement.

use super::session::NoAnswer;
use crate::error::StoreError;
use tokio_postgres::error::SqlState;

/// The reasons for which a group of writes may succeed when it is run again.
const TRANSIENT: [SqlState; 13] = [
    SqlState::T_R_SERIALIZATION_FAILURE,
    SqlState::T_R_DEADLOCK_DETECTED,
    SqlState::LOCK_NOT_AVAILABLE,
    SqlState::QUERY_CANCELED,
    SqlState::ADMIN_SHUTDOWN,
    SqlState::CRASH_SHUTDOWN,
    SqlState::CANNOT_CONNECT_NOW,
    SqlState::TOO_MANY_CONNECTIONS,
    SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    SqlState::DISK_FULL,
    SqlState::OUT_OF_MEMORY,
    SqlState::READ_ONLY_SQL_TRANSACTION,
    // The host was forgotten, and is registered again soon.
    SqlState::FOREIGN_KEY_VIOLATION,
];

/// Returns whether an error comes from a database that takes no writes at the moment.
pub(super) fn is_blocked(error: &anyhow::Error) -> bool {
    if is_lost(error) || matches!(error.downcast_ref(), Some(StoreError::Blocked)) {
        return true;
    }
    let code =
        error.chain().find_map(|cause| cause.downcast_ref::<tokio_postgres::Error>()).and_then(|error| error.code());
    code.is_some_and(|code| TRANSIENT.contains(code) || code.code().starts_with("08"))
}

/// Returns whether an error says that the connection is gone, so that nothing is known about what was sent last.
pub(super) fn is_lost(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<NoAnswer>()
            || cause.is::<std::io::Error>()
            || cause.downcast_ref::<tokio_postgres::Error>().is_some_and(|error| error.is_closed())
    })
}
