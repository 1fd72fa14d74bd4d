//! The numbers of open incidents by severity and age.

use super::{Word, columns};
use crate::rows::OpenIncidents;
use hookmill_incident::id::row_key_at;
use hookmill_incident::{Severity, Status};
use std::collections::BTreeMap;

/// The statuses of open incidents.
pub(crate) const OPEN: [Status; 4] = [Status::New, Status::Triaged, Status::InProgress, Status::Escalated];
const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

columns! {
    /// Open incidents of one severity and perhaps one status: those within an hour, a day and a week, and all.
    AgeColumns {
        severity: Word<Severity>,
        hour: i64,
        day: i64,
        week: i64,
        all_ages: i64,
    }
}

/// Returns the first keys of incidents that were created within an hour, a day and a week.
pub(crate) fn first_keys(now_ms: i64) -> [i64; 3] {
    [HOUR_MS, DAY_MS, 7 * DAY_MS].map(|age| row_key_at(now_ms - age))
}

/// Returns the sums by severity, the highest first.
pub(crate) fn by_severity(rows: impl IntoIterator<Item = AgeColumns>) -> Vec<OpenIncidents> {
    let mut found: BTreeMap<Severity, [i64; 4]> = BTreeMap::new();
    for AgeColumns { severity: Word(severity), hour, day, week, all_ages } in rows {
        let counts = found.entry(severity).or_default();
        counts.iter_mut().zip([hour, day, week, all_ages]).for_each(|(count, more)| *count += more);
    }
    let counted = |(severity, [hour, day, week, all]): (Severity, [i64; 4])| OpenIncidents {
        severity,
        within_hour: hour,
        within_day: day - hour,
        within_week: week - day,
        older: all - week,
    };
    found.into_iter().rev().map(counted).collect()
}
