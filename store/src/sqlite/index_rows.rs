//! The migration of incidents of versions without search: adds them to the tables of search, and shortens their records.

use super::{incidents, postings};
use crate::columns::Columns;
use crate::columns::incidents::IncidentColumns;
use crate::search_words::Texts;
use anyhow::Result;
use hookmill_incident::record;
use rusqlite::{Connection, Row};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// The incidents that are in memory together.
const TOGETHER: usize = 200;
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Changes all incidents, inside the transaction of the migration: after a crash, the migration begins anew.
pub(super) fn run(connection: &Connection) -> Result<()> {
    let total = incidents::total(connection)?;
    let sql = format!(
        "SELECT {}, key, deleted FROM incidents WHERE key > ? ORDER BY key LIMIT {TOGETHER}",
        IncidentColumns::LIST
    );
    let mut select = connection.prepare(&sql)?;
    let mut update = connection.prepare("UPDATE incidents SET record = ? WHERE key = ?")?;
    let (mut after, mut done, mut said) = (0, 0, Instant::now());
    loop {
        let read = |row: &Row| {
            let stored: String = row.get("record")?;
            Ok((row.get("key")?, row.get("deleted")?, stored, incidents::row(row)))
        };
        let rows: Vec<(i64, bool, String, _)> = select.query_map([after], read)?.collect::<Result<_, _>>()?;
        let Some((last, ..)) = rows.last() else { break };
        (after, done) = (*last, done + rows.len());
        for (key, is_deleted, stored, row) in &rows {
            match row {
                Ok(row) if !is_deleted => postings::add(connection, *key, &Texts::from(&row.incident))?,
                Ok(_) => {}
                Err(error) => {
                    warn!("incident {key} cannot be read and is not found by its texts: {error}");
                    continue;
                }
            }
            update.execute((record::shortened(stored)?, key))?;
        }
        if said.elapsed() >= PROGRESS_EVERY {
            said = Instant::now();
            info!("migrating the database: {done} of at most {total} incidents");
        }
    }
    Ok(())
}
