//! Reads of the table `audit`.

use super::incidents;
use crate::columns::audit::{EntryColumns, ObjectColumns, RESTORED_TOGETHER, next_entry, restored, shown};
use crate::columns::incidents::IncidentColumns;
use crate::columns::{Columns, Id, Json, value};
use crate::pages::{Filling, readable};
use crate::postgres::query::{Value, raw_row, raw_rows};
use crate::rows::{IncidentKey, Listed, Page};
use anyhow::{Context, Result, anyhow};
use hookmill_incident::AuditEntry;
use hookmill_incident::id::row_key;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

/// Entries by their keys, or why they cannot be read.
pub(super) type Entries = BTreeMap<i64, Result<AuditEntry>>;

/// Returns entries in the form in which they are delivered and shown. The rows that belong to them are read together.
pub(super) async fn entries(client: &impl GenericClient, keys: &[i64]) -> Result<Entries> {
    let mut parts = Parts::read(client, keys).await?;
    let mut entries = Entries::new();
    // Backwards, so that each object is restored from the one after it in one step.
    for key in keys.iter().copied().collect::<BTreeSet<_>>().into_iter().rev() {
        let entry = parts.entry(key, &entries);
        entries.insert(key, entry);
    }
    Ok(entries)
}

/// The rows from which some entries are made.
struct Parts {
    entries: HashMap<i64, Result<EntryColumns>>,
    /// These entries and those after them, up to objects that are there as a whole.
    objects: HashMap<i64, Result<ObjectColumns>>,
    incidents: HashMap<i64, Result<IncidentColumns>>,
}

impl Parts {
    async fn read(client: &impl GenericClient, keys: &[i64]) -> Result<Self> {
        let list = EntryColumns::LIST;
        let sql =
            format!("SELECT {list}, a.key FROM audit a JOIN incidents i ON i.key = incident WHERE a.key = ANY($1)");
        let rows = raw_rows(client, &sql, &[keys.to_vec().into()]).await?;
        let entry = |row: &Row| Ok((value(row, EntryColumns::COUNT, "key")?, EntryColumns::read(row)));
        let entries = rows.iter().map(entry).collect::<Result<_>>()?;
        let list = ObjectColumns::LIST;
        let sql = format!(
            "WITH RECURSIVE later (key, next) AS ( \
                 SELECT key, CASE WHEN object IS NULL THEN next END FROM audit WHERE key = ANY($1) \
                 UNION SELECT audit.key, CASE WHEN object IS NULL THEN audit.next END \
                 FROM later JOIN audit ON audit.key = later.next \
             ) SELECT {list}, key FROM audit WHERE key = ANY(ARRAY(SELECT key FROM later))"
        );
        let rows = raw_rows(client, &sql, &[keys.to_vec().into()]).await?;
        let object = |row: &Row| Ok((value(row, ObjectColumns::COUNT, "key")?, ObjectColumns::read(row)));
        let objects: HashMap<i64, Result<ObjectColumns>> = rows.iter().map(object).collect::<Result<_>>()?;
        let newest = objects.values().flatten().filter(|entry| entry.object.is_none() && entry.next.is_none());
        let keys = newest.map(|entry| entry.incident).collect();
        Ok(Self { entries, objects, incidents: incidents::columns_of_keys(client, keys).await? })
    }

    /// Returns an entry. `later` are entries after it.
    fn entry(&mut self, key: i64, later: &Entries) -> Result<AuditEntry> {
        let entry = self.entries.remove(&key);
        let entry = entry.context("the audit entry, or its incident, is not in the database")??;
        entry.into_entry(self.object(key, later)?)
    }

    /// Returns the object of an entry: goes forward to an object that is there as a whole, and back through the differences.
    fn object(&self, key: i64, later: &Entries) -> Result<Box<RawValue>> {
        let (mut at, mut differences) = (key, Vec::new());
        let object = loop {
            if let Some(Ok(entry)) = later.get(&at) {
                break entry.object.clone();
            }
            let entry = found(&self.objects, at)?;
            if let Some(object) = &entry.object {
                break RawValue::from_string(object.clone())?;
            }
            differences.extend([&entry.moved, &entry.difference].into_iter().flatten());
            match next_entry(at, entry.next)? {
                Some(next) => at = next,
                None => break shown(found(&self.incidents, entry.incident)?)?,
            }
        };
        restored(object, differences.into_iter().map(|Json(difference)| difference))
    }
}

/// Returns a row that was read.
fn found<T>(rows: &HashMap<i64, Result<T>>, key: i64) -> Result<&T> {
    let row = rows.get(&key).context("a row that belongs to the audit entry is not in the database")?;
    row.as_ref().map_err(|error| anyhow!("{error:#}"))
}

/// Returns audit entries of an incident after a key, the oldest first; also of an incident that was deleted.
pub(super) async fn trail(
    client: &impl GenericClient,
    which: IncidentKey,
    after: Option<i64>,
    limit: usize,
) -> Result<Option<Page<Listed<AuditEntry>>>> {
    let Some(newest) = incidents::newest_audit(client, which).await? else { return Ok(None) };
    let sql = "WITH RECURSIVE trail (key, id, previous) AS ( \
                   SELECT key, id, previous FROM audit WHERE key = $1 AND key > $2 \
                   UNION ALL SELECT audit.key, audit.id, audit.previous \
                   FROM audit JOIN trail ON audit.key = trail.previous WHERE audit.key > $2 \
               ) SELECT key, id FROM trail ORDER BY key LIMIT $3";
    let values = [newest.into(), after.unwrap_or(0).into(), (limit + 1).into()];
    page(client, &keys_and_ids(client, sql, &values).await?, limit).await.map(Some)
}

/// Returns audit entries of an incident before a key, the newest first; also of an incident that was deleted.
pub(super) async fn trail_backwards(
    client: &impl GenericClient,
    which: IncidentKey,
    before: Option<i64>,
    limit: usize,
) -> Result<Option<Page<Listed<AuditEntry>>>> {
    let Some(newest) = incidents::newest_audit(client, which).await? else { return Ok(None) };
    let first = match before {
        None => Some(newest),
        Some(before) => {
            let sql =
                "SELECT previous FROM audit WHERE key = $1 AND incident = (SELECT incident FROM audit WHERE key = $2)";
            let row = raw_row(client, sql, &[before.into(), newest.into()]).await?;
            row.map(|row| value::<Option<i64>>(&row, 0, "previous")).transpose()?.flatten()
        }
    };
    let Some(first) = first else { return Ok(Some(Filling::new(limit).finish())) };
    let sql = "WITH RECURSIVE trail (key, id, previous, place) AS ( \
                   SELECT key, id, previous, 1 FROM audit WHERE key = $1 \
                   UNION ALL SELECT audit.key, audit.id, audit.previous, place + 1 \
                   FROM audit JOIN trail ON audit.key = trail.previous WHERE place < $2 \
               ) SELECT key, id FROM trail ORDER BY place";
    let rows = keys_and_ids(client, sql, &[first.into(), (limit + 1).into()]).await?;
    page(client, &rows, limit).await.map(Some)
}

/// Returns the audit entries of an incident that a request caused, each followed by the entry before it, the newest first.
pub(super) async fn of_request(
    client: &impl GenericClient,
    which: IncidentKey,
    request_id: &str,
    before: Option<i64>,
    limit: usize,
) -> Result<Option<Page<Listed<AuditEntry>>>> {
    let Some(newest) = incidents::newest_audit(client, which).await? else { return Ok(None) };
    // The walk begins with the last entry of the page before: the request may have caused it, and the entry before it
    // follows then.
    let sql = "WITH RECURSIVE trail (key, id, previous, is_caused, is_before, place) AS ( \
                   SELECT key, id, previous, request_id = $3, FALSE, 1 FROM audit \
                   WHERE key = $2 AND incident = (SELECT incident FROM audit WHERE key = $1) \
                   UNION ALL SELECT audit.key, audit.id, audit.previous, audit.request_id = $3, trail.is_caused, place + 1 \
                   FROM audit JOIN trail ON audit.key = trail.previous \
               ) SELECT key, id FROM trail WHERE (is_caused OR is_before) AND place > $4 ORDER BY place LIMIT $5";
    let (begin, passed) = (before.unwrap_or(newest), i64::from(before.is_some()));
    let values = [newest.into(), begin.into(), request_id.into(), passed.into(), limit.saturating_add(1).into()];
    let rows = keys_and_ids(client, sql, &values).await?;
    page(client, &rows, limit).await.map(Some)
}

/// Returns a page of entries of one incident, in the order of the rows.
async fn page(client: &impl GenericClient, rows: &[(i64, Uuid)], limit: usize) -> Result<Page<Listed<AuditEntry>>> {
    let mut page = Filling::new(limit);
    for block in rows.chunks(RESTORED_TOGETHER) {
        let keys: Vec<i64> = block.iter().map(|(key, _)| *key).collect();
        let mut entries = entries(client, &keys).await?;
        for (key, id) in block {
            if !page.has_room() {
                return Ok(page.finish());
            }
            let entry = readable(*id, taken(&mut entries, *key));
            let bytes = entry.as_ref().map_or(0, AuditEntry::bytes);
            page.push(*key, entry, bytes);
        }
    }
    Ok(page.finish())
}

/// Returns the newest entry of an incident.
pub(super) async fn newest(client: &impl GenericClient, which: IncidentKey) -> Result<Option<AuditEntry>> {
    let Some(key) = incidents::newest_audit(client, which).await? else { return Ok(None) };
    taken(&mut entries(client, &[key]).await?, key).map(Some)
}

/// Calls `add` with each entry after an id, until it breaks.
pub(super) async fn after<T>(
    client: &impl GenericClient,
    after: Uuid,
    mut to: T,
    mut add: impl FnMut(&mut T, Uuid, &Listed<AuditEntry>) -> ControlFlow<()>,
) -> Result<T> {
    let mut after = row_key(after);
    loop {
        let sql = "SELECT key, id FROM audit WHERE key > $1 ORDER BY key LIMIT $2";
        let rows = keys_and_ids(client, sql, &[after.into(), RESTORED_TOGETHER.into()]).await?;
        let keys: Vec<i64> = rows.iter().map(|(key, _)| *key).collect();
        let mut entries = entries(client, &keys).await?;
        for (key, id) in &rows {
            if add(&mut to, *id, &readable(*id, taken(&mut entries, *key))).is_break() {
                return Ok(to);
            }
            after = *key;
        }
        if rows.len() < RESTORED_TOGETHER {
            return Ok(to);
        }
    }
}

/// Takes an entry from those that were read.
pub(super) fn taken(entries: &mut Entries, key: i64) -> Result<AuditEntry> {
    entries.remove(&key).context("the audit entry is not in the database")?
}

async fn keys_and_ids(client: &impl GenericClient, sql: &str, values: &[Value]) -> Result<Vec<(i64, Uuid)>> {
    let rows = raw_rows(client, sql, values).await?;
    rows.iter().map(|row| Ok((value(row, 0, "key")?, value::<Id>(row, 1, "id")?.0))).collect()
}
