//! Rows of the tables `tokens`, `sessions` and `operator_actions`.

use super::{Id, Word, columns};
use crate::rows::{OperatorAction, OwnedSession, Scope, SessionRow, TokenRow};

/// The status of a command, which has none.
pub(crate) const NO_STATUS: u16 = 0;

columns! {
    TokenColumns {
        name: String,
        scope: Word<Scope>,
        created_at: i64,
        expires_at: Option<i64>,
    }
}

columns! {
    SessionColumns {
        digest: [u8; 32],
        token: [u8; 32],
        created_at: i64,
        used_at: i64,
        token_name: Option<String> = "(SELECT name FROM tokens WHERE hash = sessions.token)",
    }
}

columns! {
    ActionColumns {
        id: Id,
        at: i64,
        token: String,
        address: Option<String>,
        method: String,
        path: String,
        status: u16,
        note: Option<String>,
    }
}

impl From<TokenColumns> for TokenRow {
    fn from(row: TokenColumns) -> Self {
        let TokenColumns { name, scope: Word(scope), created_at, expires_at } = row;
        Self { name, scope, created_at, expires_at }
    }
}

impl From<SessionColumns> for OwnedSession {
    fn from(row: SessionColumns) -> Self {
        let SessionColumns { digest, token, created_at, used_at, token_name } = row;
        Self { session: SessionRow { digest, token, created_at, used_at }, token_name }
    }
}

impl From<ActionColumns> for OperatorAction {
    fn from(row: ActionColumns) -> Self {
        let ActionColumns { id: Id(id), at, token, address, method, path, status, note } = row;
        let status = Some(status).filter(|status| *status != NO_STATUS);
        Self { id, at, token, address, method, path, status, note }
    }
}
