//! The tables `plugin_versions` and `compiled`.

use super::columns::read_into;
use crate::columns::versions::{NEVER_LIVE_KEPT, VersionColumns};
use crate::columns::{Columns, json};
use crate::rows::{ProofReport, VersionRow, VersionState};
use anyhow::Result;
use hookmill_incident::PluginVersion;
use rusqlite::{Connection, OptionalExtension, params};

pub(super) fn list(connection: &Connection, plugin: &str) -> Result<Vec<VersionRow>> {
    let list = VersionColumns::LIST;
    let sql = format!(
        "SELECT {list} FROM plugin_versions WHERE plugin = ? ORDER BY live_since DESC NULLS LAST, seen_at DESC"
    );
    let mut query = connection.prepare_cached(&sql)?;
    Ok(query.query_map([plugin], read_into::<VersionColumns, _>)?.collect::<Result<_, _>>()?)
}

/// Returns the versions of all plugins that were live, each plugin's live version first.
pub(super) fn that_were_live(connection: &Connection) -> Result<Vec<VersionRow>> {
    let list = VersionColumns::LIST;
    let sql =
        format!("SELECT {list} FROM plugin_versions WHERE live_since IS NOT NULL ORDER BY plugin, live_since DESC");
    Ok(connection.prepare(&sql)?.query_map([], read_into::<VersionColumns, _>)?.collect::<Result<_, _>>()?)
}

pub(super) fn put(
    connection: &Connection,
    plugin: &PluginVersion,
    state: VersionState,
    report: Option<&ProofReport>,
    now: i64,
) -> Result<()> {
    let sql = "INSERT INTO plugin_versions (plugin, sha256, version, seen_at, state, report) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET version = ?3, state = ?5, \
               report = coalesce(?6, report)";
    let row = params![plugin.name, plugin.sha256, plugin.version, now, state.as_str(), report.map(json)];
    connection.prepare_cached(sql)?.execute(row)?;
    let sql = "DELETE FROM plugin_versions WHERE plugin = ?1 AND live_since IS NULL AND sha256 NOT IN \
               (SELECT sha256 FROM plugin_versions WHERE plugin = ?1 AND live_since IS NULL \
               ORDER BY seen_at DESC LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![plugin.name, NEVER_LIVE_KEPT])?;
    Ok(())
}

pub(super) fn put_live(connection: &Connection, plugin: &PluginVersion, keep: usize, now: i64) -> Result<Vec<String>> {
    // The order must not depend on the clock, which may stand still or go back.
    let sql = "INSERT INTO plugin_versions (plugin, sha256, version, seen_at, live_since, state) \
               SELECT ?1, ?2, ?3, ?4, max(?4, coalesce(max(live_since) + 1, 0)), 'accepted' \
               FROM plugin_versions WHERE plugin = ?1 \
               ON CONFLICT DO UPDATE SET live_since = excluded.live_since, version = ?3, \
               state = iif(state = 'promoted', 'promoted', 'accepted')";
    connection.prepare_cached(sql)?.execute(params![plugin.name, plugin.sha256, plugin.version, now])?;
    let sql = "DELETE FROM plugin_versions WHERE plugin = ?1 AND live_since IS NOT NULL AND sha256 NOT IN \
               (SELECT sha256 FROM plugin_versions WHERE plugin = ?1 ORDER BY live_since DESC NULLS LAST LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![plugin.name, keep])?;
    let sql = "SELECT sha256 FROM plugin_versions WHERE plugin = ? AND live_since IS NOT NULL";
    let mut query = connection.prepare_cached(sql)?;
    Ok(query.query_map([&plugin.name], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

pub(super) fn remove(connection: &Connection, plugin: &str) -> Result<()> {
    connection.execute("DELETE FROM plugin_versions WHERE plugin = ?", [plugin])?;
    Ok(())
}

pub(super) fn compiled_digest(connection: &Connection, name: &str) -> Result<Option<[u8; 32]>> {
    let sql = "SELECT digest FROM compiled WHERE name = ?";
    Ok(connection.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?)
}

pub(super) fn put_compiled(
    connection: &Connection,
    plugin: &str,
    name: &str,
    digest: [u8; 32],
    now: i64,
) -> Result<Vec<String>> {
    let sql = "DELETE FROM compiled WHERE plugin = ?1 AND name <> ?2 AND name NOT IN (SELECT name FROM compiled \
               WHERE plugin = ?1 AND name <> ?2 ORDER BY compiled_at DESC LIMIT 1) RETURNING name";
    let mut query = connection.prepare_cached(sql)?;
    let removed = query.query_map([plugin, name], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let sql = "INSERT OR REPLACE INTO compiled (name, plugin, digest, compiled_at) VALUES (?, ?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![name, plugin, digest, now])?;
    Ok(removed)
}
