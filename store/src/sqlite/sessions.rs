//! The table `sessions`.

use super::columns::read_into;
use crate::columns::Columns;
use crate::columns::access::SessionColumns;
use crate::rows::{OwnedSession, SessionRow};
use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, params};

/// Returns the session with this digest, valid or not.
pub(super) fn find(connection: &Connection, digest: &[u8; 32]) -> Result<Option<SessionRow>> {
    let sql = format!("SELECT {} FROM sessions WHERE digest = ?", SessionColumns::LIST);
    let mut query = connection.prepare_cached(&sql)?;
    let found = query.query_row([digest], read_into::<SessionColumns, OwnedSession>);
    Ok(found.optional()?.map(|owned| owned.session))
}

/// Returns the newest sessions, valid or not, with the names of their tokens.
pub(super) fn newest(connection: &Connection, limit: usize) -> Result<Vec<OwnedSession>> {
    let sql = format!("SELECT {} FROM sessions ORDER BY created_at DESC, rowid DESC LIMIT ?", SessionColumns::LIST);
    let mut query = connection.prepare_cached(&sql)?;
    Ok(query.query_map([limit as u64], read_into::<SessionColumns, _>)?.collect::<Result<_, _>>()?)
}

/// Adds a session, and removes those that have ended and all but the newest `keep` of its token.
pub(super) fn add(connection: &Connection, session: &SessionRow, keep: usize) -> Result<()> {
    let SessionRow { digest, token, created_at, used_at } = session;
    let ended = SessionRow::ended_before(*created_at);
    connection.prepare_cached("DELETE FROM sessions WHERE created_at <= ? OR used_at <= ?")?.execute(ended)?;
    let sql = "INSERT OR REPLACE INTO sessions (digest, token, created_at, used_at) VALUES (?, ?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![digest, token, created_at, used_at])?;
    let sql = "DELETE FROM sessions WHERE token = ?1 AND rowid NOT IN \
               (SELECT rowid FROM sessions WHERE token = ?1 ORDER BY rowid DESC LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![token, keep as i64])?;
    Ok(())
}

/// Sets when a session was last used.
pub(super) fn set_used(connection: &Connection, digest: &[u8; 32], used_at: i64) -> Result<()> {
    connection.prepare_cached("UPDATE sessions SET used_at = ? WHERE digest = ?")?.execute(params![used_at, digest])?;
    Ok(())
}

/// Removes a session. Returns whether there was one.
pub(super) fn remove(connection: &Connection, digest: &[u8; 32]) -> Result<bool> {
    Ok(connection.prepare_cached("DELETE FROM sessions WHERE digest = ?")?.execute([digest])? == 1)
}
