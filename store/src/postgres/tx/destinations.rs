//! The tables `destinations`, `silent_sources` and `raised_notices`.

use crate::columns::Columns;
use crate::columns::destinations::HealthColumns;
use crate::ledger::DestinationHealth;
use crate::postgres::columns::{stored_option, stored_text};
use crate::postgres::session::Session;
use anyhow::Result;
use hookmill_notify::Trigger;

pub(super) fn find(session: &Session, name: &str, fingerprint: &str) -> Result<Option<DestinationHealth>> {
    let sql = format!("SELECT {} FROM destinations WHERE name = $1 AND fingerprint = $2", HealthColumns::LIST);
    let row = session.row(&sql, &[&stored_text(name), &stored_text(fingerprint)])?;
    row.map(|row| HealthColumns::read(&row).map(Into::into)).transpose()
}

pub(super) fn put(session: &Session, name: &str, fingerprint: &str, health: &DestinationHealth) -> Result<()> {
    let sql = "INSERT INTO destinations (name, fingerprint, failing_since, disabled) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (name) DO UPDATE SET fingerprint = excluded.fingerprint, \
               failing_since = excluded.failing_since, disabled = excluded.disabled";
    let disabled = stored_option(health.disabled.as_deref());
    session.execute(sql, &[&stored_text(name), &stored_text(fingerprint), &health.failing_since, &disabled])?;
    Ok(())
}

pub(super) fn update(session: &Session, name: &str, failing_since: Option<i64>, disabled: Option<&str>) -> Result<()> {
    let sql = "UPDATE destinations SET failing_since = $1, disabled = $2 WHERE name = $3";
    session.execute(sql, &[&failing_since, &stored_option(disabled), &stored_text(name)])?;
    Ok(())
}

pub(super) fn set_silent(session: &Session, source: &str, since: Option<i64>) -> Result<()> {
    set_since(session, "silent_sources", "source", source, since)
}

pub(super) fn set_raised(session: &Session, trigger: Trigger, since: Option<i64>) -> Result<()> {
    set_since(session, "raised_notices", "trigger", trigger.as_str(), since)
}

/// Records the start of a condition, or its end.
fn set_since(session: &Session, table: &str, column: &str, name: &str, since: Option<i64>) -> Result<()> {
    let name = stored_text(name);
    match since {
        Some(since) => session.execute(
            &format!(
                "INSERT INTO {table} ({column}, since) VALUES ($1, $2) \
                 ON CONFLICT ({column}) DO UPDATE SET since = excluded.since"
            ),
            &[&name, &since],
        )?,
        None => session.execute(&format!("DELETE FROM {table} WHERE {column} = $1"), &[&name])?,
    };
    Ok(())
}
