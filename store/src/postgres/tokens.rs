//! The tokens, on a connection of their own: they are changed with or without running hosts.

use super::connection::Address;
use super::migration::migrate;
use super::moving::refuse_moved;
use super::reads::tokens;
use super::session::Session;
use super::tx::add_operator_action;
use crate::rows::{OperatorAction, TokenRow};
use anyhow::{Context, Result};
use std::fmt;
use std::sync::Arc;

/// The table `tokens`.
pub(crate) struct SharedTokens {
    session: Session,
}

impl fmt::Debug for SharedTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("SharedTokens").finish_non_exhaustive()
    }
}

impl SharedTokens {
    /// Connects to the database, and creates its tables if they are missing. Blocks, as all methods do.
    pub fn open(address: &Address) -> Result<Self> {
        let runtime = Arc::new(tokio::runtime::Builder::new_current_thread().enable_all().build()?);
        let migrated = async {
            let (mut client, _) = address.connect().await.context("cannot connect to the database")?;
            migrate(&mut client, address.profile).await.context("the database cannot be used")?;
            refuse_moved(&client, address).await
        };
        runtime.block_on(migrated)?;
        Ok(Self { session: Session::connect(runtime, address)? })
    }

    /// Adds a token, and the action to the trail. Returns `false` if the name is taken.
    pub fn add(&self, token: &TokenRow, hash: &[u8; 32], action: &OperatorAction) -> Result<bool> {
        self.session.batch("BEGIN")?;
        let sql = "INSERT INTO tokens (name, scope, hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (name) DO NOTHING";
        let TokenRow { name, scope, created_at, expires_at } = token;
        let added = self.session.execute(sql, &[name, &scope.as_str(), &hash.as_slice(), created_at, expires_at])?;
        self.end(added == 1, action)
    }

    /// Returns every token, by name.
    pub fn list(&self) -> Result<Vec<TokenRow>> {
        self.session.wait_for(async |client| tokens(client).await)
    }

    /// Removes a token, and adds the action to the trail. Returns whether there was one.
    pub fn remove(&self, name: &str, action: &OperatorAction) -> Result<bool> {
        self.session.batch("BEGIN")?;
        let removed = self.session.execute("DELETE FROM tokens WHERE name = $1", &[&name])?;
        self.end(removed == 1, action)
    }

    /// Commits the change of a row, if there was one, together with the trail.
    fn end(&self, is_changed: bool, action: &OperatorAction) -> Result<bool> {
        if is_changed {
            add_operator_action(&self.session, action, None)?;
        }
        self.session.batch("COMMIT")?;
        Ok(is_changed)
    }
}
