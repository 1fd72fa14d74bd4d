//! What is known of the versions of plugins: which was live when, and what became of the others.

use super::report::Report;
use super::sql::{json, uuid};
use super::{Store, StoreError};
use anyhow::Result;
use hookmill_incident::PluginVersion;
use hookmill_incident::id::unix_ms;
use hookmill_incident::words;
use rusqlite::{Row, params};
use uuid::Uuid;

/// Newest events among which those of some sources are looked for: an index by source would cost every event.
const EVENTS_LOOKED_AT: i64 = 100_000;
/// Versions of one plugin that never were live and are still known.
const NEVER_LIVE_KEPT: usize = 5;

words!(
    /// What was decided on a version.
    VersionState {
        /// It may be live.
        Accepted = "accepted",
        /// Its proof failed.
        Refused = "refused",
        /// Somebody went back from it.
        Held = "held",
        /// Somebody made it live.
        Promoted = "promoted",
    }
);

/// One version of a plugin.
#[derive(Clone, Debug)]
pub struct VersionRow {
    /// Name, version and digest.
    pub plugin: PluginVersion,
    /// When its file was first seen, in milliseconds since the Unix epoch.
    pub seen_at: i64,
    /// When it went live last, likewise.
    pub live_since: Option<i64>,
    /// What was decided on it.
    pub state: VersionState,
    /// Its newest proof.
    pub report: Option<Report>,
}

impl Store {
    /// The versions of a plugin, that which is or was live last first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn plugin_versions(&self, plugin: String) -> Result<Vec<VersionRow>> {
        self.read(move |connection| {
            let sql = "SELECT plugin, sha256, version, seen_at, live_since, state, report FROM plugin_versions \
                       WHERE plugin = ? ORDER BY live_since DESC NULLS LAST, seen_at DESC";
            let mut query = connection.prepare_cached(sql)?;
            let rows = query.query_map([plugin], version_row)?;
            rows.collect::<Result<_, _>>().map_err(Into::into)
        })
        .await
    }

    /// Writes down what is decided on a version, with its proof if it had one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn decide_version(
        &self,
        plugin: PluginVersion,
        state: VersionState,
        report: Option<Report>,
    ) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                let sql = "INSERT INTO plugin_versions (plugin, sha256, version, seen_at, state, report) \
                           VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET version = ?3, state = ?5, \
                           report = coalesce(?6, report)";
                let report = report.as_ref().map(json);
                let row = params![plugin.name, plugin.sha256, plugin.version, unix_ms(), state.as_str(), report];
                tx.connection.prepare_cached(sql)?.execute(row)?;
                let sql = "DELETE FROM plugin_versions WHERE plugin = ?1 AND live_since IS NULL AND sha256 NOT IN \
                           (SELECT sha256 FROM plugin_versions WHERE plugin = ?1 AND live_since IS NULL \
                           ORDER BY seen_at DESC LIMIT ?2)";
                tx.connection.prepare_cached(sql)?.execute(params![plugin.name, NEVER_LIVE_KEPT])?;
                Ok(())
            })
            .await
    }

    /// Writes down that a version goes live, and forgets all but `keep` of those that were. Returns their digests.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn version_is_live(&self, plugin: PluginVersion, keep: usize) -> Result<Vec<String>, StoreError> {
        self.writer
            .write(move |tx| {
                // Clocks may stand or go back; the order must not.
                let sql = "INSERT INTO plugin_versions (plugin, sha256, version, seen_at, live_since, state) \
                           SELECT ?1, ?2, ?3, ?4, max(?4, coalesce(max(live_since) + 1, 0)), 'accepted' \
                           FROM plugin_versions WHERE plugin = ?1 \
                           ON CONFLICT DO UPDATE SET live_since = excluded.live_since, version = ?3, \
                           state = iif(state = 'promoted', 'promoted', 'accepted')";
                let row = params![plugin.name, plugin.sha256, plugin.version, unix_ms()];
                tx.connection.prepare_cached(sql)?.execute(row)?;
                let sql = "DELETE FROM plugin_versions WHERE plugin = ?1 AND live_since IS NOT NULL AND sha256 NOT IN \
                           (SELECT sha256 FROM plugin_versions WHERE plugin = ?1 ORDER BY live_since DESC NULLS LAST LIMIT ?2)";
                tx.connection.prepare_cached(sql)?.execute(params![plugin.name, keep])?;
                let sql = "SELECT sha256 FROM plugin_versions WHERE plugin = ? AND live_since IS NOT NULL";
                let mut query = tx.connection.prepare_cached(sql)?;
                let kept = query.query_map([&plugin.name], |row| row.get(0))?.collect::<Result<_, _>>()?;
                Ok(kept)
            })
            .await
    }

    /// The newest events of some sources, as many of each as there is room for.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn newest_of_each(&self, sources: Vec<String>, limit: usize) -> Result<Vec<Uuid>> {
        self.read(move |connection| {
            let sql = "SELECT id FROM (SELECT id, key, row_number() OVER (PARTITION BY source ORDER BY key DESC) AS place \
                       FROM (SELECT id, key, source FROM events ORDER BY key DESC LIMIT ?1) \
                       WHERE source IN (SELECT value FROM json_each(?2))) ORDER BY place, key DESC LIMIT ?3";
            let mut query = connection.prepare_cached(sql)?;
            let row = params![EVENTS_LOOKED_AT, json(&sources), limit as u64];
            let rows = query.query_map(row, |row| uuid(row, 0))?;
            rows.collect::<Result<_, _>>().map_err(Into::into)
        })
        .await
    }
}

fn version_row(row: &Row) -> rusqlite::Result<VersionRow> {
    let (state, report): (String, Option<String>) = (row.get(5)?, row.get(6)?);
    Ok(VersionRow {
        plugin: PluginVersion { name: row.get(0)?, sha256: row.get(1)?, version: row.get(2)? },
        seen_at: row.get(3)?,
        live_since: row.get(4)?,
        state: state.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
        report: report.and_then(|text| serde_json::from_str(&text).ok()),
    })
}
