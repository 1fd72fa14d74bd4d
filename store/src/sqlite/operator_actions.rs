//! The table `operator_actions`.

use super::columns::{Conditions, Id, columns};
use crate::rows::{OperatorAction, Page};
use anyhow::Result;
use hookmill_incident::id::row_key;
use rusqlite::{Connection, Row, params, params_from_iter};
use uuid::Uuid;

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

/// Returns the actions before a key, the newest first; with `ids`, those with these ids.
pub(super) fn list(
    connection: &Connection,
    ids: &[Uuid],
    before: Option<i64>,
    limit: usize,
) -> Result<Page<OperatorAction>> {
    let mut conditions = Conditions::default();
    conditions.one_of_ids("key", "id", ids);
    conditions.before("key", before);
    let (list, where_sql) = (ActionColumns::LIST, conditions.sql());
    let sql = format!("SELECT {list} FROM operator_actions {where_sql} ORDER BY key DESC LIMIT {}", limit + 1);
    let mut query = connection.prepare(&sql)?;
    let found = query.query_map(params_from_iter(conditions.values), action)?;
    let mut rows = found.collect::<Result<Vec<_>, _>>()?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(|last| row_key(last.id));
    Ok(Page { rows, next })
}
