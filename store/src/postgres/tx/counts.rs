//! The tables `counts`, `stored_days` and `storage_samples`.

use crate::columns::stored_days::StoredDays;
use crate::ledger::Counts;
use crate::postgres::batch::{Batch, Statement};
use crate::postgres::buffer::Buffer;
use crate::postgres::reads::stored_days::used_bytes;
use crate::postgres::session::Session;
use anyhow::Result;

/// Returns the statement that adds counts.
pub(super) fn add(counts: &Counts) -> Option<Statement> {
    let mut batch = Batch::new(
        "INSERT INTO counts (minute, kind, name, result, count) SELECT * FROM @ \
         ON CONFLICT (minute, kind, name, result) DO UPDATE SET count = counts.count + excluded.count",
    );
    for (key, count) in &counts.0 {
        batch.push([
            key.minute.into(),
            key.kind.as_str().into(),
            key.name.as_str().into(),
            key.result.into(),
            (*count as i64).into(),
        ]);
    }
    batch.take()
}

pub(super) fn remove(session: &Session, before: i64, limit: usize) -> Result<usize> {
    let sql = "DELETE FROM counts WHERE (minute, kind, name, result) IN \
               (SELECT minute, kind, name, result FROM counts WHERE minute < $1 LIMIT $2)";
    session.execute(sql, &[&before, &(limit as i64)])
}

/// Adds the statements that count the rows that were added and removed, by their day.
pub(super) fn add_stored_days(buffer: &mut Buffer, stored: &mut StoredDays) {
    let mut batch = Batch::new(
        "INSERT INTO stored_days (kind, day, rows, bytes) SELECT * FROM @ \
         ON CONFLICT (kind, day) DO UPDATE SET rows = stored_days.rows + excluded.rows, \
         bytes = stored_days.bytes + excluded.bytes",
    );
    let mut emptied = Batch::new("DELETE FROM stored_days WHERE rows = 0 AND (kind, day) IN (SELECT * FROM @)");
    for ((kind, day), count) in stored.take() {
        batch.push([kind.as_str().into(), day.into(), count.rows.into(), count.bytes.into()]);
        if count.rows <= 0 {
            emptied.push([kind.as_str().into(), day.into()]);
        }
    }
    buffer.add(batch.take());
    buffer.add(emptied.take());
}

pub(super) fn put_storage_sample(session: &Session, hour: i64, oldest: i64) -> Result<()> {
    let used = session.wait_for(async |client| used_bytes(client, session.profile).await)?;
    let sql = "INSERT INTO storage_samples (hour, used_bytes) VALUES ($1, $2) \
               ON CONFLICT (hour) DO UPDATE SET used_bytes = excluded.used_bytes";
    session.execute(sql, &[&hour, &used])?;
    session.execute("DELETE FROM storage_samples WHERE hour < $1 OR hour > $2", &[&oldest, &hour])?;
    Ok(())
}
