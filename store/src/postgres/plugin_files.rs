//! The table `plugin_files`: the files of plugins, which all hosts load.

use super::columns::{stored_option, stored_text};
use super::query::{column, raw_row, rows};
use super::session::Session;
use crate::columns::versions::SharedVersionColumns;
use crate::columns::{Columns, value};
use crate::rows::{PluginFile, SharedVersion};
use anyhow::Result;
use hookmill_incident::PluginVersion;
use tokio_postgres::GenericClient;

/// The files of one plugin that are known without their bytes.
const KNOWN_MAX: i64 = 1000;

/// Keeps the file of a version, as the newest one of its plugin.
pub(super) fn put(session: &Session, plugin: &PluginVersion, file: &PluginFile) -> Result<()> {
    let sql = "INSERT INTO plugin_files (plugin, sha256, number, signature, bytes) \
               SELECT $1, $2, coalesce(max(number) + 1, 0), $3, $4 FROM plugin_files WHERE plugin = $1 \
               ON CONFLICT (plugin, sha256) DO UPDATE SET number = excluded.number, signature = excluded.signature, \
               bytes = excluded.bytes";
    let (name, sha256) = (stored_text(&plugin.name), stored_text(&plugin.sha256));
    session.execute(sql, &[&name, &sha256, &stored_option(file.signature.as_deref()), &file.bytes])?;
    Ok(())
}

/// Removes the bytes of a plugin's versions that are not kept any more.
pub(super) fn remove_unused(session: &Session, plugin: &str) -> Result<()> {
    let name = stored_text(plugin);
    let sql = "UPDATE plugin_files SET bytes = NULL, signature = NULL WHERE plugin = $1 AND bytes IS NOT NULL \
               AND sha256 NOT IN (SELECT sha256 FROM plugin_versions WHERE plugin = $1)";
    session.execute(sql, &[&name])?;
    let sql = "DELETE FROM plugin_files WHERE plugin = $1 AND bytes IS NULL \
               AND number < (SELECT max(number) - $2 FROM plugin_files WHERE plugin = $1)";
    session.execute(sql, &[&name, &KNOWN_MAX])?;
    Ok(())
}

/// Returns the versions of all plugins whose files are there.
pub(super) async fn versions(client: &impl GenericClient) -> Result<Vec<SharedVersion>> {
    let list = SharedVersionColumns::LIST;
    let sql = format!(
        "SELECT {list} FROM plugin_files JOIN plugin_versions USING (plugin, sha256) WHERE bytes IS NOT NULL \
         WINDOW of_plugin AS (PARTITION BY plugin) ORDER BY plugin, number"
    );
    let found: Vec<SharedVersionColumns> = rows(client, &sql, &[]).await?;
    Ok(found.into_iter().map(SharedVersion::from).collect())
}

/// Returns the file of a version, if it is there.
pub(super) async fn file(client: &impl GenericClient, plugin: &str, sha256: &str) -> Result<Option<PluginFile>> {
    let sql = "SELECT bytes, signature FROM plugin_files WHERE plugin = $1 AND sha256 = $2 AND bytes IS NOT NULL";
    let row = raw_row(client, sql, &[plugin.into(), sha256.into()]).await?;
    let file = |row| Ok(PluginFile { bytes: value(&row, 0, "bytes")?, signature: value(&row, 1, "signature")? });
    row.map(file).transpose()
}

/// Returns whether a host has found a file before.
pub(super) async fn is_known(client: &impl GenericClient, plugin: &str, sha256: &str) -> Result<bool> {
    let sql = "SELECT 1::bigint FROM plugin_files WHERE plugin = $1 AND sha256 = $2";
    Ok(!column::<i64>(client, sql, &[plugin.into(), sha256.into()]).await?.is_empty())
}
