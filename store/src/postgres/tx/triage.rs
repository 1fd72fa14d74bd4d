//! The table `triage`.

use crate::ledger::TriageRequest;
use crate::postgres::columns::stored_text;
use crate::postgres::session::Session;
use crate::rows::TriageJob;
use anyhow::Result;

pub(super) fn put(session: &Session, request: &TriageRequest) -> Result<()> {
    let TriageRequest { incident, playbook, is_manual, request_id } = request;
    let sql = "INSERT INTO triage (incident, playbook, asked, attempts, failed_on, request_id) \
               VALUES ($1, $2, $3, 0, NULL, $4) ON CONFLICT (incident) DO UPDATE SET playbook = excluded.playbook, \
               asked = excluded.asked, attempts = 0, failed_on = NULL, request_id = excluded.request_id";
    session.execute(sql, &[incident, &stored_text(playbook), is_manual, &stored_text(request_id)])?;
    Ok(())
}

pub(super) fn has(session: &Session, job: &TriageJob) -> Result<bool> {
    let sql = "SELECT 1 FROM triage \
               WHERE incident = $1 AND playbook = $2 AND request_id = $3 AND attempts = $4 AND failed_on IS NULL";
    let (playbook, request_id) = (stored_text(&job.playbook), stored_text(&job.request_id));
    session.exists(sql, &[&job.key, &playbook, &request_id, &i64::from(job.attempts)])
}

pub(super) fn remove(session: &Session, incident: i64) -> Result<()> {
    session.execute("DELETE FROM triage WHERE incident = $1", &[&incident])?;
    Ok(())
}

pub(super) fn fail(session: &Session, incident: i64, sha256: &str) -> Result<()> {
    session.execute("UPDATE triage SET failed_on = $1 WHERE incident = $2", &[&stored_text(sha256), &incident])?;
    Ok(())
}

pub(super) fn count_attempt(session: &Session, job: &TriageJob) -> Result<()> {
    let sql = "UPDATE triage SET attempts = attempts + 1 \
               WHERE incident = $1 AND playbook = $2 AND request_id = $3 AND attempts = $4";
    let (playbook, request_id) = (stored_text(&job.playbook), stored_text(&job.request_id));
    session.execute(sql, &[&job.key, &playbook, &request_id, &i64::from(job.attempts)])?;
    Ok(())
}

pub(super) fn retry(session: &Session, playbook: &str, sha256: &str) -> Result<()> {
    let sql = "UPDATE triage SET failed_on = NULL, attempts = 0 \
               WHERE failed_on IS NOT NULL AND playbook = $1 AND failed_on <> $2";
    session.execute(sql, &[&stored_text(playbook), &stored_text(sha256)])?;
    Ok(())
}
