//! The table `audit`.

use crate::columns::json;
use crate::ledger::NewAuditEntry;
use crate::postgres::columns::{stored_option, stored_text};
use crate::postgres::session::Session;
use anyhow::Result;
use hookmill_incident::Difference;
use hookmill_incident::id::row_key;

pub(super) fn add(session: &Session, entry: &NewAuditEntry) -> Result<()> {
    let sql = "INSERT INTO audit (key, id, incident, previous, operation, at, request_id, details) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    session.execute(
        sql,
        &[
            &row_key(entry.id),
            &entry.id.as_bytes().as_slice(),
            &entry.incident,
            &entry.previous,
            &entry.operation.as_str(),
            &entry.at,
            &stored_text(entry.request_id),
            &stored_option(entry.details.as_ref().map(json).as_deref()),
        ],
    )?;
    Ok(())
}

pub(super) fn keep_moved(session: &Session, entry: i64, moved: &Difference) -> Result<()> {
    let sql = "UPDATE audit SET moved = $1 WHERE key = $2 AND moved IS NULL";
    session.execute(sql, &[&stored_text(&json(moved)), &entry])?;
    Ok(())
}

pub(super) fn keep_difference(session: &Session, entry: i64, difference: &Difference, next: Option<i64>) -> Result<()> {
    let sql = "UPDATE audit SET difference = $1, next = $2 WHERE key = $3";
    session.execute(sql, &[&stored_text(&json(difference)), &next, &entry])?;
    Ok(())
}
