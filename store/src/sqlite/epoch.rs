//! The start of a restored database. The work of the host after the backup is unknown, and must not be repeated.

use super::database;
use crate::rows::{EpochChanges, NewEpoch};
use anyhow::{Context, Result};
use hookmill_incident::id::row_key_at;
use jiff::{Timestamp, tz::TimeZone};
use rusqlite::params;
use std::path::Path;

/// Prepares the database in a folder for going on in place of the one that was lost, and migrates it.
pub(crate) fn begin(folder: &Path, epoch: NewEpoch) -> Result<EpochChanges> {
    let NewEpoch { backup_at, now, skipped_numbers } = epoch;
    let mut connection = database::open(folder).context("cannot open the restored database")?;
    let year = Timestamp::from_millisecond(now)?.to_zoned(TimeZone::UTC).year();
    let transaction = connection.transaction()?;
    let sql = "UPDATE deliveries SET status = 'dead', error = ? WHERE status = 'pending'";
    let dead_deliveries = transaction.execute(sql, [NewEpoch::reason(backup_at)])?;
    // Another version of the playbook would repeat them.
    let ended_triages = transaction.execute("DELETE FROM triage WHERE failed_on IS NOT NULL", [])?;
    // A destination that failed at the time of the backup has not failed ever since.
    transaction.execute("UPDATE destinations SET failing_since = NULL", [])?;
    // A session that was ended after the backup must not go on.
    transaction.execute("DELETE FROM sessions", [])?;
    if skipped_numbers > 0 {
        transaction.execute("INSERT OR IGNORE INTO numbers (year, last) VALUES (?, 0)", [year])?;
        transaction.execute("UPDATE numbers SET last = last + ? WHERE year >= ?", params![skipped_numbers, year])?;
    }
    let last_key = database::last_key(&transaction)?.max(row_key_at(now));
    let sql = "INSERT OR REPLACE INTO restores (at, backup_at, last_key) VALUES (?, ?, ?)";
    transaction.execute(sql, params![now, backup_at, last_key])?;
    // The database that was lost may be found again, and the marks must tell the two apart.
    transaction.execute("UPDATE identity SET id = lower(hex(randomblob(16)))", [])?;
    transaction.commit()?;
    database::empty_log(&connection)?;
    Ok(EpochChanges { dead_deliveries, ended_triages })
}
