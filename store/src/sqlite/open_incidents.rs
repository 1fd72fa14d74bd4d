//! The numbers of open incidents.

use super::columns::read;
use crate::columns::open_incidents::{AgeColumns, OPEN, by_severity, first_keys};
use crate::rows::OpenIncidents;
use anyhow::Result;
use rusqlite::{Connection, params};

/// Returns the open incidents by severity and age, from an index.
pub(super) fn counts(connection: &Connection, now_ms: i64) -> Result<Vec<OpenIncidents>> {
    let sql = "SELECT severity, sum(key >= ?2), sum(key >= ?3), sum(key >= ?4), count(*) \
               FROM incidents INDEXED BY incidents_class WHERE deleted = 0 AND status = ?1 GROUP BY severity";
    let mut query = connection.prepare_cached(sql)?;
    let [hour, day, week] = first_keys(now_ms);
    let mut found: Vec<AgeColumns> = Vec::new();
    for status in OPEN {
        for row in query.query_map(params![status.as_str(), hour, day, week], read)? {
            found.push(row?);
        }
    }
    Ok(by_severity(found))
}
