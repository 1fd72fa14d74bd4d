//! The table `tokens`.

use super::columns::read_into;
use super::{database, operator_actions};
use crate::columns::Columns;
use crate::columns::access::TokenColumns;
use crate::rows::{OperatorAction, TokenRow};
use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, Params, params};
use std::path::Path;

const REMOVE: &str = "DELETE FROM tokens WHERE name = ?";

/// Returns the token with this hash, if it is valid.
pub(super) fn find(connection: &Connection, hash: &[u8; 32], now: i64) -> Result<Option<TokenRow>> {
    let list = TokenColumns::LIST;
    let sql = format!("SELECT {list} FROM tokens WHERE hash = ? AND (expires_at IS NULL OR expires_at > ?)");
    Ok(connection.prepare_cached(&sql)?.query_row(params![hash, now], read_into::<TokenColumns, _>).optional()?)
}

/// Returns every token, by name.
pub(super) fn list(connection: &Connection) -> Result<Vec<TokenRow>> {
    let sql = format!("SELECT {} FROM tokens ORDER BY name", TokenColumns::LIST);
    let mut query = connection.prepare_cached(&sql)?;
    Ok(query.query_map([], read_into::<TokenColumns, _>)?.collect::<Result<_, _>>()?)
}

/// Removes a token. Returns whether there was one.
pub(super) fn remove(connection: &Connection, name: &str) -> Result<bool> {
    Ok(connection.execute(REMOVE, [name])? == 1)
}

/// The tokens, on a connection of their own: they are changed with or without a running host.
#[derive(Debug)]
pub(crate) struct TokenTable(Connection);

impl TokenTable {
    /// Opens the database in a data folder, and creates it if it is missing.
    pub fn open(data_dir: &Path) -> Result<Self> {
        database::prepare_file(data_dir, false)?;
        Ok(Self(database::open_beside_host(data_dir)?))
    }

    /// Adds a token, and the action to the trail. Returns `false` if the name is taken.
    pub fn add(&self, token: &TokenRow, hash: &[u8; 32], action: &OperatorAction) -> Result<bool> {
        let sql = "INSERT OR IGNORE INTO tokens (name, scope, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?)";
        let row = params![token.name, token.scope.as_str(), hash, token.created_at, token.expires_at];
        self.change(sql, row, action)
    }

    /// Returns every token, by name.
    pub fn list(&self) -> Result<Vec<TokenRow>> {
        list(&self.0)
    }

    /// Removes a token, and adds the action to the trail. Returns whether there was one.
    pub fn remove(&self, name: &str, action: &OperatorAction) -> Result<bool> {
        self.change(REMOVE, params![name], action)
    }

    /// Changes one row together with the trail, and returns whether there was such a row.
    fn change(&self, sql: &str, row: impl Params, action: &OperatorAction) -> Result<bool> {
        let transaction = self.0.unchecked_transaction()?;
        let is_changed = transaction.execute(sql, row)? == 1;
        if is_changed {
            operator_actions::add(&transaction, action, None)?;
        }
        transaction.commit()?;
        Ok(is_changed)
    }
}
