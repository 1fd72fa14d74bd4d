//! The tables `tokens`, `sessions` and `operator_actions`.

use crate::columns::access::NO_STATUS;
use crate::postgres::columns::{stored_option, stored_text};
use crate::postgres::session::Session;
use crate::rows::{OperatorAction, SessionRow};
use anyhow::Result;
use hookmill_incident::id::row_key;

pub(super) fn remove_token(session: &Session, name: &str) -> Result<bool> {
    Ok(session.execute("DELETE FROM tokens WHERE name = $1", &[&stored_text(name)])? == 1)
}

pub(super) fn add_session(session: &Session, new: &SessionRow, keep: usize) -> Result<()> {
    let (ended_before, unused_since) = SessionRow::ended_before(new.created_at);
    let sql = "DELETE FROM sessions WHERE created_at <= $1 OR used_at <= $2";
    session.execute(sql, &[&ended_before, &unused_since])?;
    let (digest, token) = (new.digest.as_slice(), new.token.as_slice());
    let sql = "INSERT INTO sessions (digest, token, created_at, used_at) VALUES ($1, $2, $3, $4)";
    session.execute(sql, &[&digest, &token, &new.created_at, &new.used_at])?;
    let sql = "DELETE FROM sessions WHERE token = $1 AND number NOT IN \
               (SELECT number FROM sessions WHERE token = $1 ORDER BY number DESC LIMIT $2)";
    session.execute(sql, &[&token, &(keep as i64)])?;
    Ok(())
}

pub(super) fn set_session_used(session: &Session, digest: &[u8; 32], used_at: i64) -> Result<()> {
    session.execute("UPDATE sessions SET used_at = $1 WHERE digest = $2", &[&used_at, &digest.as_slice()])?;
    Ok(())
}

pub(super) fn remove_session(session: &Session, digest: &[u8; 32]) -> Result<bool> {
    Ok(session.execute("DELETE FROM sessions WHERE digest = $1", &[&digest.as_slice()])? == 1)
}

pub(in crate::postgres) fn add_operator_action(
    session: &Session,
    action: &OperatorAction,
    oldest: Option<i64>,
) -> Result<()> {
    let sql = "INSERT INTO operator_actions (key, id, at, token, address, method, path, status, note) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (key) DO UPDATE SET id = excluded.id, \
               at = excluded.at, token = excluded.token, address = excluded.address, method = excluded.method, \
               path = excluded.path, status = excluded.status, note = excluded.note";
    let OperatorAction { id, at, token, address, method, path, status, note } = action;
    session.execute(
        sql,
        &[
            &row_key(*id),
            &id.as_bytes().as_slice(),
            at,
            &stored_text(token),
            &stored_option(address.as_deref()),
            &stored_text(method),
            &stored_text(path),
            &i64::from(status.unwrap_or(NO_STATUS)),
            &stored_option(note.as_deref()),
        ],
    )?;
    if let Some(oldest) = oldest {
        session.execute("DELETE FROM operator_actions WHERE key < $1", &[&oldest])?;
    }
    Ok(())
}
