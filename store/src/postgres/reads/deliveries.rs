//! Reads of the tables `deliveries` and `attempts`.

use super::{audit, events};
use crate::columns::deliveries::{
    AttemptColumns, DeliveryColumns, DueColumns, FROM, FillingDue, GroupColumns, RestColumns, of_event, of_notice,
};
use crate::columns::{Columns, value};
use crate::pages::Filling;
use crate::postgres::query::{Conditions, Value, column, raw_rows, row, rows};
use crate::rows::{
    AttemptRow, DeadLetters, DeliveryFilter, DeliveryRow, DueDeliveries, DueDelivery, EventRow, Message, Page,
    QueueCounts, QueueRead, StoredDelivery,
};
use anyhow::{Context, Result, bail};
use hookmill_incident::id::{row_key, row_key_at, row_key_ms};
use std::collections::HashMap;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

/// Due deliveries whose messages are read together.
const READ_TOGETHER: usize = 16;

/// Returns the conditions that a delivery passes a filter.
pub(crate) fn conditions(filter: &DeliveryFilter) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.one_of("d.destination", &filter.destination);
    conditions.one_of("d.notification", &filter.notification);
    conditions.one_of("d.status", &filter.status);
    conditions.one_of_ids("d.subject", "i.id", &filter.incident);
    conditions.one_of_ids("d.subject", "e.id", &filter.event);
    conditions.one_of("d.error", &filter.error);
    if let Some(time) = filter.created_after {
        conditions.add_with("d.key >= ?", row_key_at(time.as_millisecond() + 1));
    }
    conditions
}

/// Returns deliveries before a key, the newest first.
pub(super) async fn list(
    client: &impl GenericClient,
    filter: &DeliveryFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<DeliveryRow>> {
    let mut conditions = conditions(filter);
    conditions.before("d.key", before);
    let limit_parameter = conditions.parameter(limit + 1);
    let (list, where_sql) = (DeliveryColumns::LIST, conditions.sql());
    let sql = format!("SELECT {list} {FROM} {where_sql} ORDER BY d.key DESC LIMIT {limit_parameter}");
    let found: Vec<DeliveryColumns> = rows(client, &sql, &conditions.values).await?;
    let mut attempts = attempts(client, found.iter().map(|row| row_key(row.id.0)).collect()).await?;
    let mut page = Filling::new(limit);
    for row in found {
        if !page.has_room() {
            break;
        }
        let key = row_key(row.id.0);
        page.push(key, row.into_row(attempts.remove(&key).unwrap_or_default()), 0);
    }
    Ok(page.finish())
}

/// Returns the attempts of deliveries by their keys.
async fn attempts(client: &impl GenericClient, deliveries: Vec<i64>) -> Result<HashMap<i64, Vec<AttemptRow>>> {
    let list = AttemptColumns::LIST;
    let sql = format!("SELECT {list}, delivery FROM attempts WHERE delivery = ANY($1) ORDER BY delivery, number");
    let mut attempts: HashMap<i64, Vec<AttemptRow>> = HashMap::new();
    for row in raw_rows(client, &sql, &[deliveries.into()]).await? {
        let delivery = value(&row, AttemptColumns::COUNT, "delivery")?;
        attempts.entry(delivery).or_default().push(AttemptColumns::read(&row)?.into());
    }
    Ok(attempts)
}

/// Returns a delivery, also as its next attempt would have it.
pub(super) async fn find(client: &impl GenericClient, id: Uuid) -> Result<Option<StoredDelivery>> {
    let (key, parameters) = (row_key(id), [row_key(id).into(), id.into()]);
    let sql = format!("SELECT {} {FROM} WHERE d.key = $1 AND d.id = $2", DeliveryColumns::LIST);
    let Some(found) = row::<DeliveryColumns>(client, &sql, &parameters).await? else { return Ok(None) };
    let row = found.into_row(attempts(client, vec![key]).await?.remove(&key).unwrap_or_default());
    let sql = format!("SELECT {} FROM deliveries WHERE key = $1 AND id = $2", DueColumns::LIST);
    let due: Vec<DueColumns> = rows(client, &sql, &parameters).await?;
    let messages = Messages::read(client, &due).await?;
    Ok(due.into_iter().next().map(|due| StoredDelivery { row, due: messages.due(due) }))
}

/// Returns the groups of dead letters, the largest first.
pub(super) async fn dead_letters(
    client: &impl GenericClient,
    destinations: &[String],
    limit: usize,
) -> Result<Vec<DeadLetters>> {
    let mut conditions = Conditions::default();
    conditions.add("status = 'dead'");
    conditions.one_of("destination", destinations);
    let (limit, list, where_sql) = (conditions.parameter(limit), GroupColumns::LIST, conditions.sql());
    let sql = format!(
        "SELECT {list} FROM (SELECT destination, error, count(*) AS count, min(key) AS first, max(key) AS last \
         FROM deliveries {where_sql} GROUP BY destination, error) AS causes \
         ORDER BY count DESC, destination, error NULLS FIRST LIMIT {limit}"
    );
    let groups: Vec<GroupColumns> = rows(client, &sql, &conditions.values).await?;
    Ok(groups.into_iter().map(DeadLetters::from).collect())
}

/// Returns the destinations with pending deliveries.
pub(super) async fn pending_destinations(client: &impl GenericClient) -> Result<Vec<String>> {
    column(client, "SELECT DISTINCT destination FROM deliveries WHERE status = 'pending' ORDER BY 1", &[]).await
}

/// Returns the numbers of pending and of dead deliveries of each destination.
pub(super) async fn counts(client: &impl GenericClient, destinations: Vec<String>) -> Result<Vec<QueueCounts>> {
    let sql = "SELECT name, pending, oldest, \
                   (SELECT count(*) FROM deliveries WHERE destination = name AND status = 'dead') AS dead \
               FROM unnest($1) WITH ORDINALITY AS named (name, place) CROSS JOIN LATERAL ( \
                   SELECT count(*) AS pending, min(key) AS oldest FROM deliveries \
                   WHERE destination = name AND status = 'pending') AS counted ORDER BY place";
    let found = raw_rows(client, sql, &[Value::texts(&destinations)]).await?;
    let counts = |row: &Row| {
        let oldest: Option<i64> = value(row, 2, "oldest")?;
        Ok(QueueCounts {
            destination: value(row, 0, "name")?,
            pending: value(row, 1, "pending")?,
            oldest_pending: oldest.map(row_key_ms),
            dead: value(row, 3, "dead")?,
        })
    };
    found.iter().map(counts).collect()
}

/// Returns the due deliveries of a destination, the most overdue first.
pub(super) async fn due(client: &impl GenericClient, queue: &QueueRead) -> Result<DueDeliveries> {
    let QueueRead { destination, now, after, .. } = queue;
    let list = DueColumns::LIST;
    let sql = format!(
        "SELECT {list} FROM deliveries WHERE destination = $1 AND status = 'pending' AND next_at <= $2 \
         AND (next_at, key) > ($3, $4) ORDER BY next_at, key LIMIT $5"
    );
    let (destination, now, rows_max) = (destination.as_str().into(), (*now).into(), FillingDue::rows_max(queue).into());
    let values = [destination, now, after.next_at.into(), after.key.into(), rows_max];
    let mut found = rows::<DueColumns>(client, &sql, &values).await?.into_iter();
    let mut filling = FillingDue::new(queue);
    while filling.has_room() && !found.as_slice().is_empty() {
        let block: Vec<DueColumns> = found.by_ref().take(READ_TOGETHER).collect();
        let messages = Messages::read(client, &block).await?;
        for row in block {
            if !filling.has_room() {
                break;
            }
            if filling.pass(&row) {
                filling.push(messages.due(row));
            }
        }
    }
    if !filling.has_room() {
        return Ok(filling.finish_full());
    }
    let rest = row(client, &format!("SELECT {}", RestColumns::LIST), &values[..2]).await?;
    Ok(filling.finish_all(rest.context("a row")?))
}

/// The subjects of some deliveries.
struct Messages {
    entries: audit::Entries,
    events: HashMap<i64, Result<EventRow>>,
}

impl Messages {
    async fn read(client: &impl GenericClient, rows: &[DueColumns]) -> Result<Self> {
        let (mut entries, mut events) = (Vec::new(), Vec::new());
        for row in rows {
            match (row.audit, row.event) {
                (Some(audit), _) => entries.push(audit),
                (None, Some(event)) => events.push(event),
                (None, None) => {}
            }
        }
        let entries = if entries.is_empty() { Default::default() } else { audit::entries(client, &entries).await? };
        let events = if events.is_empty() { Default::default() } else { events::of_keys(client, events).await? };
        Ok(Self { entries, events })
    }

    /// Returns a delivery with its message. One row that cannot be read must not block the others.
    fn due(&self, row: DueColumns) -> DueDelivery {
        let message = self.message(&row).map_err(|error| format!("{error:#}"));
        row.into_due(message)
    }

    fn message(&self, row: &DueColumns) -> Result<Message> {
        match (row.audit, row.event) {
            (Some(audit), _) => Ok(Message::Change(Box::new(copied(self.entries.get(&audit))?))),
            (None, Some(event)) => of_event(copied(self.events.get(&event))?),
            (None, None) => of_notice(row.notice.as_deref()),
        }
    }
}

/// Returns a copy of a subject: several deliveries may have it.
fn copied<T: Clone>(subject: Option<&Result<T>>) -> Result<T> {
    match subject.context("the subject of the delivery is not in the database")? {
        Ok(subject) => Ok(subject.clone()),
        Err(error) => bail!("{error:#}"),
    }
}
