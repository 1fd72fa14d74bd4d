//! What playbooks are to look at, and what came of it.

use super::deliveries::{Told, enqueue};
use super::incidents::{IncidentKey, IncidentRow, SELECT, find, incident_row, save};
use super::writer::Tx;
use super::{Store, StoreError};
use anyhow::Result;
use hookmill_incident::id::key;
use hookmill_incident::{Action, Details, PluginVersion, Status, Triage, TriageError, TriageStatus};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Who wants a playbook to look at an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// The source, by `auto_triage`.
    OfSource,
    /// Somebody who asked for it.
    Asked,
}

/// An incident that waits for a playbook.
#[derive(Clone, Debug)]
pub struct TriageJob {
    /// The incident as the playbook is to see it; `None` when it is gone.
    pub row: Option<IncidentRow>,
    /// Whether somebody asked for it.
    pub asked: bool,
    /// How often it was tried.
    pub attempts: u32,
    /// What wanted it: an event's id, or that of a call of the API.
    pub request_id: String,
    /// Where its incident is, which orders the jobs.
    pub key: i64,
    playbook: String,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub enum Triaged {
    /// Actions to be done.
    Actions(PluginVersion, Vec<Action>),
    /// Nothing, and why. Another version of the playbook is tried again.
    Failed(PluginVersion, TriageError),
    /// Nothing: it is not called at all, and why.
    Skipped(String),
}

impl Store {
    /// Has a playbook look at an incident, in the place of whatever waits. `None` when there is no such incident.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn ask_triage(
        &self,
        which: IncidentKey,
        playbook: String,
        request_id: String,
    ) -> Result<Option<IncidentRow>, StoreError> {
        self.writer
            .write(move |tx| {
                let Some(before) = find(tx.connection, which)? else { return Ok(None) };
                let mut row = before.clone();
                row.incident.triage = Some(Triage::waiting(&playbook, Timestamp::now()));
                wish(tx, &row, Wish::Asked, &request_id)?;
                save(tx, &before, &mut row, Details::new(), &request_id)?;
                Ok(Some(row))
            })
            .await
    }

    /// The playbooks that something waits for.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn waiting_playbooks(&self) -> Result<Vec<String>> {
        self.read(|connection| {
            // From one name to the next: what waits for one of them is not gone through.
            let sql = "SELECT min(playbook) FROM triage WHERE failed_on IS NULL AND playbook > ?";
            let mut query = connection.prepare_cached(sql)?;
            let mut names: Vec<String> = Vec::new();
            loop {
                let after = names.last().map_or("", String::as_str);
                let next: Option<String> = query.query_row([after], |row| row.get(0))?;
                let Some(next) = next else { return Ok(names) };
                names.push(next);
            }
        })
        .await
    }

    /// What waits for a playbook, the oldest incident first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn triage_jobs(&self, playbook: String, after: i64, limit: usize) -> Result<Vec<TriageJob>> {
        self.read(move |connection| {
            let sql = "SELECT incident, asked, attempts, request_id FROM triage \
                       WHERE failed_on IS NULL AND playbook = ? AND incident > ? ORDER BY incident LIMIT ?";
            let mut query = connection.prepare_cached(sql)?;
            let jobs = query.query_map(params![playbook, after, limit as u64], |row| {
                let (key, asked) = (row.get(0)?, row.get(1)?);
                let (attempts, request_id) = (row.get(2)?, row.get(3)?);
                Ok(TriageJob { row: None, asked, attempts, request_id, key, playbook: playbook.clone() })
            })?;
            let mut query = connection.prepare_cached(&format!("{SELECT} WHERE key = ? AND deleted = 0"))?;
            jobs.map(|job| {
                let mut job = job?;
                job.row = query.query_row([job.key], incident_row).optional()?;
                Ok(job)
            })
            .collect()
        })
        .await
    }

    /// Records the result of a job in one transaction. Returns `false` if the request or the incident changed meanwhile, so
    /// that the playbook must look again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn triaged(&self, job: TriageJob, triaged: Triaged) -> Result<bool, StoreError> {
        self.writer.write(move |tx| record(tx, &job, triaged.clone())).await
    }

    /// Counts a call that came to nothing and is to be made again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn triage_again(&self, job: TriageJob) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                let sql = "UPDATE triage SET attempts = attempts + 1 \
                           WHERE incident = ? AND playbook = ? AND request_id = ? AND attempts = ?";
                let sql = tx.connection.prepare_cached(sql);
                sql?.execute(params![job.key, job.playbook, job.request_id, job.attempts])?;
                Ok(())
            })
            .await
    }

    /// Has what failed tried again, unless this is the version that it failed on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn retry_triage(&self, playbook: String, sha256: String) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                let sql = "UPDATE triage SET failed_on = NULL, attempts = 0 \
                           WHERE failed_on IS NOT NULL AND playbook = ? AND failed_on <> ?";
                tx.connection.prepare_cached(sql)?.execute([&playbook, &sha256])?;
                Ok(())
            })
            .await
    }

    /// How many incidents wait for a playbook.
    ///
    /// # Errors
    /// When they cannot be counted.
    pub async fn count_triage(&self) -> Result<i64> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM triage WHERE failed_on IS NULL";
            Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
        })
        .await
    }
}

/// Notes that the playbook in the incident's record is to look at it.
pub(super) fn wish(tx: &mut Tx, row: &IncidentRow, wish: Wish, request_id: &str) -> Result<()> {
    let Some(triage) = &row.incident.triage else { return Ok(()) };
    let sql = "INSERT OR REPLACE INTO triage (incident, playbook, asked, attempts, failed_on, request_id) \
               VALUES (?, ?, ?, 0, NULL, ?)";
    let asked = wish == Wish::Asked;
    tx.connection.prepare_cached(sql)?.execute(params![key(row.id), triage.playbook, asked, request_id])?;
    tx.changed.triage = true;
    Ok(())
}

/// Nothing is to be done on an incident any more.
pub(super) fn forget(tx: &Tx, incident: Uuid) -> Result<()> {
    tx.connection.prepare_cached("DELETE FROM triage WHERE incident = ?")?.execute([key(incident)])?;
    Ok(())
}

fn record(tx: &mut Tx, job: &TriageJob, triaged: Triaged) -> Result<bool> {
    let sql = "SELECT 1 FROM triage \
               WHERE incident = ? AND playbook = ? AND request_id = ? AND attempts = ? AND failed_on IS NULL";
    let mut query = tx.connection.prepare_cached(sql)?;
    let is_wanted = query.exists(params![job.key, job.playbook, job.request_id, job.attempts])?;
    let Some(seen) = job.row.as_ref().filter(|_| is_wanted) else { return Ok(false) };
    let Some(before) = find(tx.connection, IncidentKey::Id(seen.id))? else { return Ok(false) };
    if before.incident.revision != seen.incident.revision {
        return Ok(false);
    }
    let (mut row, now) = (before.clone(), Timestamp::now());
    let mut triage = Triage::waiting(&job.playbook, now);
    let (mut details, mut to) = (Details::new(), BTreeSet::new());
    match triaged {
        Triaged::Actions(plugin, actions) => {
            (triage.status, triage.plugin) = (TriageStatus::Done, Some(plugin));
            let told = actions.iter().filter_map(|action| match action {
                Action::Notify(name) => Some(name),
                _ => None,
            });
            let (known, unknown): (BTreeSet<&String>, BTreeSet<&String>) =
                told.partition(|name| tx.outbound.destination(name).is_some());
            to = known.into_iter().cloned().collect();
            triage.problems = unknown.iter().map(|name| format!("there is no destination `{name}`")).collect();
            let tells = !to.is_empty();
            details = row.incident.triage(&mut row.guard, actions, triage, tells, now);
            forget(tx, row.id)?;
        }
        Triaged::Failed(plugin, error) => {
            let sql = "UPDATE triage SET failed_on = ? WHERE incident = ?";
            tx.connection.prepare_cached(sql)?.execute(params![plugin.sha256, job.key])?;
            (triage.status, triage.plugin, triage.error) = (TriageStatus::Failed, Some(plugin), Some(error));
            row.incident.triage = Some(triage);
        }
        Triaged::Skipped(reason) => {
            (triage.status, triage.problems) = (TriageStatus::Skipped, vec![reason]);
            row.incident.triage = Some(triage);
            forget(tx, row.id)?;
        }
    }
    save(tx, &before, &mut row, details, &job.request_id)?;
    let outbound = tx.outbound.clone();
    // Those that are told everything have been told.
    for destination in outbound.destinations.iter().filter(|known| !known.is_told_all && to.contains(&known.name)) {
        let told = Told::Change { incident: key(row.id), audit: row.newest_audit, is_first: false };
        enqueue(tx, destination, &told, None)?;
    }
    Ok(true)
}

impl TriageJob {
    /// Whether it comes too late: what nobody asked for is for new incidents only.
    pub fn is_late(&self) -> Option<Status> {
        let status = self.row.as_ref()?.incident.status;
        (!self.asked && status != Status::New).then_some(status)
    }
}
