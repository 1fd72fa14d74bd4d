//! The tables `deliveries` and `attempts`: a queue for each destination.

use crate::columns::Columns;
use crate::columns::deliveries::{DeadColumns, FROM, FoundColumns, PurgeColumns};
use crate::ledger::{DeadDelivery, Delivered};
use crate::postgres::columns::stored_text;
use crate::postgres::query::{Value, rows};
use crate::postgres::reads::deliveries::conditions;
use crate::postgres::session::Session;
use crate::rows::{DeliveryFilter, DeliveryStatus};
use anyhow::Result;
use hookmill_incident::id::row_key;
use uuid::Uuid;

/// Makes pending deliveries wait for the earlier ones of the same subject.
const ORDER_PENDING: &str = "UPDATE deliveries SET next_at = NULL WHERE destination = $1 AND status = 'pending' \
    AND next_at IS NOT NULL AND EXISTS (SELECT 1 FROM deliveries earlier WHERE earlier.destination = deliveries.destination \
        AND earlier.subject = deliveries.subject AND earlier.status = 'pending' AND earlier.key < deliveries.key)";
/// Makes waiting deliveries due at the time at which they were added; their key contains this time.
const UNORDER_PENDING: &str =
    "UPDATE deliveries SET next_at = key >> 15 WHERE destination = $1 AND status = 'pending' AND next_at IS NULL";

pub(super) fn has_pending(session: &Session, destination: &str, subject: i64, before: i64) -> Result<bool> {
    let sql =
        "SELECT 1 FROM deliveries WHERE destination = $1 AND subject = $2 AND status = 'pending' AND key < $3 LIMIT 1";
    session.exists(sql, &[&stored_text(destination), &subject, &before])
}

pub(super) fn find(session: &Session, id: Uuid) -> Result<Option<(String, DeliveryStatus)>> {
    let sql = format!("SELECT {} FROM deliveries WHERE key = $1 AND id = $2", FoundColumns::LIST);
    let row = session.row(&sql, &[&row_key(id), &id.as_bytes().as_slice()])?;
    row.map(|row| FoundColumns::read(&row).map(Into::into)).transpose()
}

/// Returns the subject of a delivery, if there is one.
pub(super) fn subject(session: &Session, delivery: i64) -> Result<Option<i64>> {
    session.value("SELECT subject FROM deliveries WHERE key = $1", &[&delivery])
}

pub(super) fn set_pending(session: &Session, delivery: i64, next_at: Option<i64>) -> Result<()> {
    session.execute("UPDATE deliveries SET status = 'pending', next_at = $1 WHERE key = $2", &[&next_at, &delivery])?;
    Ok(())
}

pub(super) fn order_pending(session: &Session, destination: &str, is_ordered: bool) -> Result<()> {
    session.execute(if is_ordered { ORDER_PENDING } else { UNORDER_PENDING }, &[&stored_text(destination)])?;
    Ok(())
}

pub(super) fn pull_forward(session: &Session, destination: &str, now: i64, latest: i64, limit: usize) -> Result<usize> {
    let sql = "UPDATE deliveries SET next_at = $2 WHERE key IN ( \
                   SELECT key FROM deliveries d WHERE destination = $1 AND status = 'pending' AND next_at > $2 \
                   AND (attempts = 0 OR next_at > $3 OR EXISTS (SELECT 1 FROM attempts a \
                       WHERE a.delivery = d.key AND a.number = d.attempts AND a.at > $2)) \
                   ORDER BY next_at LIMIT $4)";
    session.execute(sql, &[&stored_text(destination), &now, &latest, &(limit as i64)])
}

pub(super) fn kill_pending(session: &Session, destination: &str, error: &str, limit: usize) -> Result<usize> {
    // First the deliveries without a time, so that none is left waiting for a dead one.
    let sql = "UPDATE deliveries SET status = 'dead', error = $1 WHERE key IN ( \
                   SELECT key FROM deliveries WHERE destination = $2 AND status = 'pending' \
                   ORDER BY next_at NULLS FIRST, key LIMIT $3)";
    session.execute(sql, &[&stored_text(error), &stored_text(destination), &(limit as i64)])
}

/// Removes deliveries with their attempts.
pub(super) fn remove(session: &Session, deliveries: &[i64]) -> Result<()> {
    session.execute("DELETE FROM attempts WHERE delivery = ANY($1)", &[&deliveries])?;
    session.execute("DELETE FROM deliveries WHERE key = ANY($1)", &[&deliveries])?;
    Ok(())
}

pub(super) fn delivered(session: &Session, after: i64, before: i64, limit: usize) -> Result<Delivered> {
    let list = PurgeColumns::LIST;
    let sql = format!("SELECT {list} FROM deliveries WHERE key > $1 AND key < $2 ORDER BY key LIMIT $3");
    let rows = session.rows(&sql, &[&after, &before, &(limit as i64)])?;
    let rows = rows.iter().map(|row| PurgeColumns::read(row)).collect::<Result<Vec<_>>>()?;
    Ok(PurgeColumns::delivered(&rows, limit))
}

pub(super) fn destinations_after(session: &Session, key: i64) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT destination FROM deliveries WHERE key > $1 ORDER BY destination";
    session.column(sql, &[&key])
}

pub(super) fn dead(
    session: &Session,
    filter: &DeliveryFilter,
    destinations: &[&str],
    after: i64,
    limit: usize,
) -> Result<Vec<DeadDelivery>> {
    let mut conditions = conditions(filter);
    conditions.add("d.status = 'dead'");
    conditions.add_with("d.key > ?", after);
    conditions.add_with("d.destination = ANY(?)", Value::texts(destinations));
    let limit = conditions.parameter(limit);
    let (list, where_sql) = (DeadColumns::LIST, conditions.sql());
    let sql = format!("SELECT {list} {FROM} {where_sql} ORDER BY d.key LIMIT {limit}");
    let found: Vec<DeadColumns> = session.wait_for(async |client| rows(client, &sql, &conditions.values).await)?;
    Ok(found.into_iter().map(Into::into).collect())
}
