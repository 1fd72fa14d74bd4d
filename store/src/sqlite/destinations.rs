//! The tables `destinations` and `silent_sources`.

use super::columns::read_into;
use crate::columns::Columns;
use crate::columns::destinations::HealthColumns;
use crate::ledger::DestinationHealth;
use anyhow::Result;
use hookmill_notify::Trigger;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;

pub(super) fn find(connection: &Connection, name: &str, fingerprint: &str) -> Result<Option<DestinationHealth>> {
    let sql = format!("SELECT {} FROM destinations WHERE name = ? AND fingerprint = ?", HealthColumns::LIST);
    Ok(connection.query_row(&sql, [name, fingerprint], read_into::<HealthColumns, _>).optional()?)
}

pub(super) fn put(connection: &Connection, name: &str, fingerprint: &str, health: &DestinationHealth) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO destinations (name, fingerprint, failing_since, disabled) VALUES (?, ?, ?, ?)";
    connection.execute(sql, params![name, fingerprint, health.failing_since, health.disabled])?;
    Ok(())
}

pub(super) fn update(
    connection: &Connection,
    name: &str,
    failing_since: Option<i64>,
    disabled: Option<&str>,
) -> Result<()> {
    let sql = "UPDATE destinations SET failing_since = ?, disabled = ? WHERE name = ?";
    connection.prepare_cached(sql)?.execute(params![failing_since, disabled, name])?;
    Ok(())
}

pub(super) fn silent_sources(connection: &Connection) -> Result<BTreeMap<String, i64>> {
    let mut query = connection.prepare("SELECT source, since FROM silent_sources")?;
    let sources = query.query_map([], |row| Ok((row.get("source")?, row.get("since")?)))?;
    Ok(sources.collect::<Result<_, _>>()?)
}

pub(super) fn set_silent(connection: &Connection, source: &str, since: Option<i64>) -> Result<()> {
    match since {
        Some(since) => {
            let sql = "INSERT OR REPLACE INTO silent_sources (source, since) VALUES (?, ?)";
            connection.execute(sql, params![source, since])?
        }
        None => connection.execute("DELETE FROM silent_sources WHERE source = ?", [source])?,
    };
    Ok(())
}

/// Returns the start of a condition about which notifications were queued, in milliseconds since the Unix epoch.
pub(super) fn raised_since(connection: &Connection, trigger: Trigger) -> Result<Option<i64>> {
    let sql = "SELECT since FROM raised_notices WHERE trigger = ?";
    Ok(connection.query_row(sql, [trigger.as_str()], |row| row.get(0)).optional()?)
}

pub(super) fn set_raised(connection: &Connection, trigger: Trigger, since: Option<i64>) -> Result<()> {
    match since {
        Some(since) => {
            let sql = "INSERT OR REPLACE INTO raised_notices (trigger, since) VALUES (?, ?)";
            connection.execute(sql, params![trigger.as_str(), since])?
        }
        None => connection.execute("DELETE FROM raised_notices WHERE trigger = ?", [trigger.as_str()])?,
    };
    Ok(())
}
