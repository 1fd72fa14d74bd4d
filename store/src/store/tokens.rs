//! Tokens of the API, stored as digests: the token itself is shown once, when it is created.

use super::Store;
use crate::error::StoreError;
use crate::postgres::{Address as DatabaseAddress, SharedTokens};
use crate::private_files::private_folder;
use crate::reads::Reads;
use crate::rows::{OperatorAction, Scope, TokenRow};
use crate::sqlite::TokenTable;
use anyhow::{Context, Result, bail};
use hookmill_incident::Clock;
use hookmill_incident::id::IdSource;
use sha2::{Digest, Sha256};
use std::path::Path;

impl Store {
    /// Returns the token with this digest, if it is valid now.
    ///
    /// # Errors
    /// Returns an error if the tokens cannot be read.
    pub async fn token(&self, digest: [u8; 32]) -> Result<Option<TokenRow>> {
        self.database.reads().token(digest, self.clock.now_ms()).await
    }

    /// Returns every token, by name.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>> {
        self.database.reads().tokens().await
    }

    /// Removes a token. Returns whether there was one. Its sessions end.
    ///
    /// # Errors
    /// Returns an error if the token cannot be removed.
    pub async fn revoke_token(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.database.write(move |ledger| ledger.rows.remove_token(&name)).await
    }
}

/// The name in the trail of operators for changes of tokens in the data folder itself.
const LOCAL: &str = "local";
/// The method of commands in the trail of operators.
const COMMAND: &str = "CLI";

/// The tokens of a database, with or without running hosts.
#[derive(Debug)]
pub struct Tokens {
    table: Table,
    clock: Clock,
}

#[derive(Debug)]
enum Table {
    Embedded(TokenTable),
    Shared(SharedTokens),
}

impl Tokens {
    /// Opens a data folder, and creates it if it is missing.
    ///
    /// # Errors
    /// Returns an error if the folder or its database cannot be used.
    pub fn open(data_dir: &Path) -> Result<Self> {
        private_folder(data_dir)?;
        Ok(Self { table: Table::Embedded(TokenTable::open(data_dir)?), clock: Clock::default() })
    }

    /// Connects to the database that many hosts share, and creates its tables if they are missing. Blocks, as all methods do.
    ///
    /// # Errors
    /// Returns an error if the database cannot be used.
    pub fn connect(address: &DatabaseAddress) -> Result<Self> {
        Ok(Self { table: Table::Shared(SharedTokens::open(address)?), clock: Clock::default() })
    }

    /// Creates a token and returns its text, which is not stored. The trail of operators says so.
    ///
    /// # Errors
    /// Returns an error if the name is taken or the token cannot be written.
    pub fn create(&self, name: &str, scope: Scope, expires_at: Option<i64>) -> Result<String> {
        let mut random = [0; 24];
        getrandom::fill(&mut random)?;
        let text = format!("hm_{}", hex::encode(random));
        let token = TokenRow { name: name.to_owned(), scope, created_at: self.clock.now_ms(), expires_at };
        let action = self.action(format!("token create {name} --scope {scope}"));
        let digest = credential_digest(&text);
        let is_added = match &self.table {
            Table::Embedded(table) => table.add(&token, &digest, &action)?,
            Table::Shared(table) => table.add(&token, &digest, &action)?,
        };
        if !is_added {
            bail!("token `{name}` already exists; choose another name or revoke it");
        }
        Ok(text)
    }

    /// Returns every token, by name.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub fn list(&self) -> Result<Vec<TokenRow>> {
        let tokens = match &self.table {
            Table::Embedded(table) => table.list(),
            Table::Shared(table) => table.list(),
        };
        tokens.context("cannot read the tokens")
    }

    /// Removes a token. Returns whether there was one. The trail of operators says so.
    ///
    /// # Errors
    /// Returns an error if the token cannot be removed.
    pub fn revoke(&self, name: &str) -> Result<bool> {
        let action = self.action(format!("token revoke {name}"));
        match &self.table {
            Table::Embedded(table) => table.remove(name, &action),
            Table::Shared(table) => table.remove(name, &action),
        }
    }

    fn action(&self, command: String) -> OperatorAction {
        let at = self.clock.now_ms();
        let (token, method) = (LOCAL.to_owned(), COMMAND.to_owned());
        let id = IdSource::after(0).next(at);
        OperatorAction { id, at, token, address: None, method, path: command, status: None, note: None }
    }
}

/// Returns the digest by which a token or the id of a session is stored.
pub fn credential_digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}
