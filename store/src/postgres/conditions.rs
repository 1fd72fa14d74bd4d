//! Errors of PostgreSQL that say something about the moment rather than about the statement.

use super::session::NoAnswer;
use crate::error::StoreError;
use tokio_postgres::error::SqlState;

/// The reasons for which a group of writes may succeed when it is run again.
const TRANSIENT: [SqlState; 13] = [
    SqlState::T_R_SERIALIZATION_FAILURE,
    // The result of a COMMIT is not known, and is asked for.
    SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
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
];
/// The constraint that a group of a host violates which was forgotten. The host is registered again soon.
const REGISTERED: &str = "groups_host_fkey";

/// Returns whether an error comes from a database that takes no writes at the moment.
pub(super) fn is_blocked(error: &anyhow::Error) -> bool {
    if is_lost(error) || matches!(error.downcast_ref(), Some(StoreError::Blocked)) {
        return true;
    }
    let answer = error.chain().find_map(|cause| cause.downcast_ref::<tokio_postgres::Error>()?.as_db_error());
    answer.is_some_and(|answer| {
        let code = answer.code();
        TRANSIENT.contains(code) || code.code().starts_with("08") || answer.constraint() == Some(REGISTERED)
    })
}

/// Returns whether an error says that the connection is gone, so that nothing is known about what was sent last.
pub(super) fn is_lost(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<NoAnswer>()
            || cause.is::<std::io::Error>()
            || cause.downcast_ref::<tokio_postgres::Error>().is_some_and(|error| error.is_closed())
    })
}
