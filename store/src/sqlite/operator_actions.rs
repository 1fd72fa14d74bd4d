//! The table `operator_actions`.

use super::columns::{Id, columns};
use crate::rows::{OperatorAction, Page};
use anyhow::Result;
use hookmill_incident::id::row_key;
use rusqlite::{Connection, Row, params};

/// The status of a command, which has none.
const NO_STATUS: u16 = 0;

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

fn action(row: &Row) -> rusqlite::Result<OperatorAction> {
    let ActionColumns { id: Id(id), at, token, address, method, path, status, note } = ActionColumns::read(row)?;
    let status = Some(status).filter(|status| *status != NO_STATUS);
    Ok(OperatorAction { id, at, token, address, method, path, status, note })
}

/// Adds an action, and removes those before the row key `oldest`, if it is known.
pub(super) fn add(connection: &Connection, action: &OperatorAction, oldest: Option<i64>) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO operator_actions (key, id, at, token, address, method, path, status, note) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let OperatorAction { id, at, token, address, method, path, status, note } = action;
    let row = params![row_key(*id), id.as_bytes(), at, token, address, method, path, status.unwrap_or(NO_STATUS), note];
    connection.prepare_cached(sql)?.execute(row)?;
    if let Some(oldest) = oldest {
        connection.prepare_cached("DELETE FROM operator_actions WHERE key < ?")?.execute([oldest])?;
    }
    Ok(())
}

/// Returns the actions before a key, the newest first.
pub(super) fn list(connection: &Connection, before: Option<i64>, limit: usize) -> Result<Page<OperatorAction>> {
    let sql = format!("SELECT {} FROM operator_actions WHERE key < ? ORDER BY key DESC LIMIT ?", ActionColumns::LIST);
    let mut query = connection.prepare_cached(&sql)?;
    let found = query.query_map(params![before.unwrap_or(i64::MAX), limit as i64 + 1], action)?;
    let mut rows = found.collect::<Result<Vec<_>, _>>()?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(|last| row_key(last.id));
    Ok(Page { rows, next })
}
