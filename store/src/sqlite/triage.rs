//! The table `triage`.

use super::columns::read;
use super::{events, incidents};
use crate::columns::Columns;
use crate::columns::triage::RequestColumns;
use crate::ledger::TriageRequest;
use crate::rows::TriageJob;
use anyhow::Result;
use rusqlite::{Connection, params};

pub(super) fn put(connection: &Connection, request: &TriageRequest) -> Result<()> {
    let TriageRequest { incident, playbook, is_manual, request_id } = request;
    let sql = "INSERT OR REPLACE INTO triage (incident, playbook, asked, attempts, failed_on, request_id) \
               VALUES (?, ?, ?, 0, NULL, ?)";
    connection.prepare_cached(sql)?.execute(params![incident, playbook, is_manual, request_id])?;
    Ok(())
}

pub(super) fn has(connection: &Connection, job: &TriageJob) -> Result<bool> {
    let sql = "SELECT 1 FROM triage \
               WHERE incident = ? AND playbook = ? AND request_id = ? AND attempts = ? AND failed_on IS NULL";
    let mut query = connection.prepare_cached(sql)?;
    Ok(query.exists(params![job.key, job.playbook, job.request_id, job.attempts])?)
}

pub(super) fn remove(connection: &Connection, incident: i64) -> Result<()> {
    connection.prepare_cached("DELETE FROM triage WHERE incident = ?")?.execute([incident])?;
    Ok(())
}

pub(super) fn fail(connection: &Connection, incident: i64, sha256: &str) -> Result<()> {
    let sql = "UPDATE triage SET failed_on = ? WHERE incident = ?";
    connection.prepare_cached(sql)?.execute(params![sha256, incident])?;
    Ok(())
}

pub(super) fn count_attempt(connection: &Connection, job: &TriageJob) -> Result<()> {
    let sql = "UPDATE triage SET attempts = attempts + 1 \
               WHERE incident = ? AND playbook = ? AND request_id = ? AND attempts = ?";
    let mut update = connection.prepare_cached(sql)?;
    update.execute(params![job.key, job.playbook, job.request_id, job.attempts])?;
    Ok(())
}

pub(super) fn retry(connection: &Connection, playbook: &str, sha256: &str) -> Result<()> {
    let sql = "UPDATE triage SET failed_on = NULL, attempts = 0 \
               WHERE failed_on IS NOT NULL AND playbook = ? AND failed_on <> ?";
    connection.prepare_cached(sql)?.execute([playbook, sha256])?;
    Ok(())
}

pub(super) fn waiting_playbooks(connection: &Connection) -> Result<Vec<String>> {
    // From one name to the next, so that the requests of one playbook are not all read.
    let sql = "SELECT min(playbook) FROM triage WHERE failed_on IS NULL AND playbook > ?";
    let mut query = connection.prepare_cached(sql)?;
    let mut names: Vec<String> = Vec::new();
    loop {
        let after = names.last().map_or("", String::as_str);
        let next: Option<String> = query.query_row([after], |row| row.get(0))?;
        let Some(next) = next else { return Ok(names) };
        names.push(next);
    }
}

pub(super) fn jobs(connection: &Connection, playbook: &str, after: i64, limit: usize) -> Result<Vec<TriageJob>> {
    let list = RequestColumns::LIST;
    let sql = format!(
        "SELECT {list} FROM triage WHERE failed_on IS NULL AND playbook = ? AND incident > ? \
         ORDER BY incident LIMIT ?"
    );
    let mut query = connection.prepare_cached(&sql)?;
    let requests = query.query_map(params![playbook, after, limit as u64], read::<RequestColumns>)?;
    requests
        .map(|request| {
            let request = request?;
            let row = incidents::of_key(connection, request.incident)?;
            let traceparent = events::traceparent(connection, &request.request_id)?;
            Ok(request.into_job(row, traceparent, playbook))
        })
        .collect()
}

pub(super) fn count(connection: &Connection) -> Result<i64> {
    let sql = "SELECT count(*) FROM triage WHERE failed_on IS NULL";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}
