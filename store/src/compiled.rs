//! The digests of the compiled plugins in the cache.

use super::{Store, StoreError};
use anyhow::Result;
use hookmill_incident::id::unix_ms;
use rusqlite::{OptionalExtension, params};

impl Store {
    /// The digest that an entry of the cache must have. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn compiled_digest(&self, entry: &str) -> Result<Option<[u8; 32]>> {
        self.readers.with(|connection| {
            let sql = "SELECT digest FROM compiled WHERE name = ?";
            Ok(connection.prepare_cached(sql)?.query_row([entry], |row| row.get(0)).optional()?)
        })
    }

    /// Sets the digest of an entry and forgets the plugin's former ones but the newest; their names are returned. Blocks.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_compiled_digest(&self, plugin: &str, entry: &str, digest: [u8; 32]) -> Result<Vec<String>, StoreError> {
        let (plugin, entry) = (plugin.to_owned(), entry.to_owned());
        self.writer.write_blocking(move |tx| {
            let sql = "DELETE FROM compiled WHERE plugin = ?1 AND name <> ?2 AND name NOT IN (SELECT name FROM compiled \
                       WHERE plugin = ?1 AND name <> ?2 ORDER BY compiled_at DESC LIMIT 1) RETURNING name";
            let mut query = tx.connection.prepare_cached(sql)?;
            let former = query.query_map([&plugin, &entry], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let sql = "INSERT OR REPLACE INTO compiled (name, plugin, digest, compiled_at) VALUES (?, ?, ?, ?)";
            tx.connection.prepare_cached(sql)?.execute(params![entry, plugin, digest, unix_ms()])?;
            Ok(former)
        })
    }
}
