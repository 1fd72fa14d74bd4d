//! The tables `counts`, `stored_days` and `storage_samples`.

use crate::columns::stored_days::StoredDays;
use crate::ledger::Counts;
use crate::postgres::columns::stored_text;
use crate::postgres::session::Session;
use anyhow::Result;

pub(super) fn add(session: &Session, counts: &Counts) -> Result<()> {
    if counts.0.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO counts (minute, kind, name, result, count) \
               SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[]) \
               ON CONFLICT (minute, kind, name, result) DO UPDATE SET count = counts.count + excluded.count";
    let minutes: Vec<i64> = counts.0.keys().map(|key| key.minute).collect();
    let kinds: Vec<&str> = counts.0.keys().map(|key| key.kind.as_str()).collect();
    let names: Vec<_> = counts.0.keys().map(|key| stored_text(&key.name)).collect();
    let results: Vec<&str> = counts.0.keys().map(|key| key.result).collect();
    let numbers: Vec<i64> = counts.0.values().map(|count| *count as i64).collect();
    session.execute(sql, &[&minutes, &kinds, &names, &results, &numbers])?;
    Ok(())
}

pub(super) fn remove(session: &Session, before: i64, limit: usize) -> Result<usize> {
    let sql = "DELETE FROM counts WHERE (minute, kind, name, result) IN \
               (SELECT minute, kind, name, result FROM counts WHERE minute < $1 LIMIT $2)";
    session.execute(sql, &[&before, &(limit as i64)])
}

/// Writes how many rows of which day were added and removed.
pub(super) fn add_stored_days(session: &Session, stored: &mut StoredDays) -> Result<()> {
    let (mut kinds, mut days, mut rows, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((kind, day), count) in stored.take() {
        kinds.push(kind.as_str());
        days.push(day);
        rows.push(count.rows);
        bytes.push(count.bytes);
    }
    if kinds.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO stored_days (kind, day, rows, bytes) \
               SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) \
               ON CONFLICT (kind, day) DO UPDATE SET rows = stored_days.rows + excluded.rows, \
               bytes = stored_days.bytes + excluded.bytes";
    session.execute(sql, &[&kinds, &days, &rows, &bytes])?;
    if rows.iter().any(|rows| *rows <= 0) {
        let sql = "DELETE FROM stored_days WHERE rows = 0 \
                   AND (kind, day) IN (SELECT * FROM UNNEST($1::text[], $2::bigint[]))";
        session.execute(sql, &[&kinds, &days])?;
    }
    Ok(())
}

pub(super) fn put_storage_sample(session: &Session, hour: i64, oldest: i64) -> Result<()> {
    let sql = "INSERT INTO storage_samples (hour, used_bytes) VALUES ($1, pg_database_size(current_database())) \
               ON CONFLICT (hour) DO UPDATE SET used_bytes = excluded.used_bytes";
    session.execute(sql, &[&hour])?;
    session.execute("DELETE FROM storage_samples WHERE hour < $1 OR hour > $2", &[&oldest, &hour])?;
    Ok(())
}
