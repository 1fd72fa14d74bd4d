//! The table `operator_actions`.

use super::columns::{Conditions, read_into};
use crate::columns::Columns;
use crate::columns::access::{ActionColumns, NO_STATUS};
use crate::pages::cut_to_page;
use crate::rows::{OperatorAction, Page};
use anyhow::Result;
use hookmill_incident::id::row_key;
use rusqlite::{Connection, params, params_from_iter};
use uuid::Uuid;

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
    let found = query.query_map(params_from_iter(conditions.values), read_into::<ActionColumns, OperatorAction>)?;
    let mut rows = found.collect::<Result<Vec<_>, _>>()?;
    let next = cut_to_page(&mut rows, limit, |last| row_key(last.id));
    Ok(Page { rows, next })
}
