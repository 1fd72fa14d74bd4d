//! The tables `plugin_versions` and `compiled`.

use crate::columns::json;
use crate::columns::versions::NEVER_LIVE_KEPT;
use crate::postgres::columns::{stored_option, stored_text};
use crate::postgres::plugin_files;
use crate::postgres::session::Session;
use crate::rows::{ProofReport, VersionState};
use anyhow::Result;
use hookmill_incident::PluginVersion;

/// The compiled files of all hosts whose digests are kept.
const COMPILED_MAX: i64 = 10_000;

pub(super) fn put(
    session: &Session,
    plugin: &PluginVersion,
    state: VersionState,
    report: Option<&ProofReport>,
    now: i64,
) -> Result<()> {
    // Hosts' clocks differ: a version that is seen later is the newer one.
    let sql = "INSERT INTO plugin_versions (plugin, sha256, version, seen_at, state, report) \
               SELECT $1, $2, $3, greatest($4, coalesce(max(seen_at) + 1, 0)), $5, $6 \
               FROM plugin_versions WHERE plugin = $1 ON CONFLICT (plugin, sha256) DO UPDATE SET version = excluded.version, \
               state = excluded.state, report = coalesce(excluded.report, plugin_versions.report)";
    let (name, sha256, version) =
        (stored_text(&plugin.name), stored_text(&plugin.sha256), stored_text(&plugin.version));
    let report = report.map(json);
    session.execute(sql, &[&name, &sha256, &version, &now, &state.as_str(), &stored_option(report.as_deref())])?;
    let sql = "DELETE FROM plugin_versions WHERE plugin = $1 AND live_since IS NULL AND sha256 NOT IN \
               (SELECT sha256 FROM plugin_versions WHERE plugin = $1 AND live_since IS NULL \
               ORDER BY seen_at DESC LIMIT $2)";
    session.execute(sql, &[&name, &(NEVER_LIVE_KEPT as i64)])?;
    plugin_files::remove_unused(session, &plugin.name)
}

pub(super) fn put_live(session: &Session, plugin: &PluginVersion, keep: usize, now: i64) -> Result<Vec<String>> {
    // The order must not depend on the clock, which may stand still or go back.
    let sql = "INSERT INTO plugin_versions (plugin, sha256, version, seen_at, live_since, state) \
               SELECT $1, $2, $3, $4, greatest($4, coalesce(max(live_since) + 1, 0)), 'accepted' \
               FROM plugin_versions WHERE plugin = $1 \
               ON CONFLICT (plugin, sha256) DO UPDATE SET live_since = excluded.live_since, version = excluded.version, \
               state = CASE plugin_versions.state WHEN 'promoted' THEN 'promoted' ELSE 'accepted' END";
    let (name, sha256, version) =
        (stored_text(&plugin.name), stored_text(&plugin.sha256), stored_text(&plugin.version));
    session.execute(sql, &[&name, &sha256, &version, &now])?;
    let sql = "DELETE FROM plugin_versions WHERE plugin = $1 AND live_since IS NOT NULL AND sha256 NOT IN \
               (SELECT sha256 FROM plugin_versions WHERE plugin = $1 ORDER BY live_since DESC NULLS LAST LIMIT $2)";
    session.execute(sql, &[&name, &(keep as i64)])?;
    plugin_files::remove_unused(session, &plugin.name)?;
    session.column("SELECT sha256 FROM plugin_versions WHERE plugin = $1 AND live_since IS NOT NULL", &[&name])
}

pub(super) fn remove(session: &Session, plugin: &str) -> Result<()> {
    session.execute("DELETE FROM plugin_versions WHERE plugin = $1", &[&stored_text(plugin)])?;
    plugin_files::remove_unused(session, plugin)
}

pub(super) fn put_compiled(
    session: &Session,
    plugin: &str,
    name: &str,
    digest: [u8; 32],
    now: i64,
) -> Result<Vec<String>> {
    let (plugin, name) = (stored_text(plugin), stored_text(name));
    let sql = "DELETE FROM compiled WHERE plugin = $1 AND name <> $2 AND name NOT IN (SELECT name FROM compiled \
               WHERE plugin = $1 AND name <> $2 ORDER BY compiled_at DESC LIMIT 1) RETURNING name";
    let removed = session.column(sql, &[&plugin, &name])?;
    // The data folders of hosts come and go.
    let sql = "DELETE FROM compiled WHERE name NOT IN (SELECT name FROM compiled ORDER BY compiled_at DESC LIMIT $1)";
    session.execute(sql, &[&COMPILED_MAX])?;
    let sql = "INSERT INTO compiled (name, plugin, digest, compiled_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (name) DO UPDATE SET plugin = excluded.plugin, digest = excluded.digest, \
               compiled_at = excluded.compiled_at";
    session.execute(sql, &[&name, &plugin, &digest.as_slice(), &now])?;
    Ok(removed)
}
