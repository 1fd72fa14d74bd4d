//! Tokens of the API, as digests: the token itself is shown once, when it is made.

use super::Store;
use anyhow::{Context, Result, bail};
use hookmill_incident::id::unix_ms;
use hookmill_incident::words;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use std::path::Path;

words!(
    /// What a token may do.
    Scope { Read = "read", Admin = "admin" }
);

/// A token as it is listed.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Its name, which stands in what is done with it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// When it ends to be valid, likewise.
    pub expires_at: Option<i64>,
}

impl Store {
    /// The token with this text, if it is valid now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn token(&self, text: &str) -> Result<Option<TokenRow>> {
        let hash = digest(text);
        self.read(move |connection| {
            let sql = "SELECT name, scope, created_at, expires_at FROM tokens \
                       WHERE hash = ? AND (expires_at IS NULL OR expires_at > ?)";
            let mut query = connection.prepare_cached(sql)?;
            Ok(query.query_row(params![hash, unix_ms()], token_row).optional()?)
        })
        .await
    }
}

/// The tokens of a data folder, with or without a host that runs on it.
#[derive(Debug)]
pub struct Tokens {
    connection: Connection,
}

impl Tokens {
    /// Opens a data folder, and makes it if missing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(data_dir: &Path) -> Result<Self> {
        super::private_folder(data_dir)?;
        Ok(Self { connection: super::open_database(&data_dir.join("hookmill.db"))? })
    }

    /// Makes a token and returns its text, which is kept nowhere.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn create(&self, name: &str, scope: Scope, expires_at: Option<i64>) -> Result<String> {
        let mut random = [0; 24];
        getrandom::fill(&mut random)?;
        let text = format!("hm_{}", hex::encode(random));
        let sql = "INSERT OR IGNORE INTO tokens (name, scope, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?)";
        let row = params![name, scope.as_str(), digest(&text), unix_ms(), expires_at];
        if self.connection.execute(sql, row)? == 0 {
            bail!("there is a token `{name}` already; choose another name or revoke it");
        }
        Ok(text)
    }

    /// Every token, by name.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn list(&self) -> Result<Vec<TokenRow>> {
        let mut query =
            self.connection.prepare("SELECT name, scope, created_at, expires_at FROM tokens ORDER BY name")?;
        let rows = query.query_map([], token_row)?.collect::<Result<_, _>>();
        rows.context("cannot read the tokens")
    }

    /// Removes a token. Returns whether there was one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn revoke(&self, name: &str) -> Result<bool> {
        Ok(self.connection.execute("DELETE FROM tokens WHERE name = ?", [name])? == 1)
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn token_row(row: &rusqlite::Row) -> rusqlite::Result<TokenRow> {
    let scope: String = row.get(1)?;
    Ok(TokenRow {
        name: row.get(0)?,
        scope: scope.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
        created_at: row.get(2)?,
        expires_at: row.get(3)?,
    })
}
