//! The numbers of open incidents.

use super::columns::Word;
use crate::rows::OpenIncidents;
use anyhow::Result;
use hookmill_incident::id::row_key_at;
use hookmill_incident::{Severity, Status};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

const OPEN: [Status; 4] = [Status::New, Status::Triaged, Status::InProgress, Status::Escalated];
const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Returns the open incidents by severity and age, from an index.
pub(super) fn counts(connection: &Connection, now_ms: i64) -> Result<Vec<OpenIncidents>> {
    let sql = "SELECT severity, sum(key >= ?2), sum(key >= ?3), sum(key >= ?4), count(*) \
               FROM incidents INDEXED BY incidents_class WHERE deleted = 0 AND status = ?1 GROUP BY severity";
    let mut query = connection.prepare_cached(sql)?;
    let [hour, day, week] = [HOUR_MS, DAY_MS, 7 * DAY_MS].map(|age| row_key_at(now_ms - age));
    let mut found: BTreeMap<Severity, [i64; 4]> = BTreeMap::new();
    for status in OPEN {
        let mut rows = query.query(params![status.as_str(), hour, day, week])?;
        while let Some(row) = rows.next()? {
            let Word(severity) = row.get(0)?;
            let counts = found.entry(severity).or_default();
            for (column, count) in counts.iter_mut().enumerate() {
                *count += row.get::<_, i64>(column + 1)?;
            }
        }
    }
    let counted = |(severity, [hour, day, week, all]): (Severity, [i64; 4])| OpenIncidents {
        severity,
        within_hour: hour,
        within_day: day - hour,
        within_week: week - day,
        older: all - week,
    };
    Ok(found.into_iter().rev().map(counted).collect())
}
