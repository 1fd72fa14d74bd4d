//! Incidents that share observables, and the number of incidents that have each.

use super::incidents;
use crate::columns::value;
use crate::pages::Filling;
use crate::postgres::query::{Value, raw_rows};
use crate::related::{SHARED_MAX, ranked, relating, shared};
use crate::rows::{IncidentKey, Listed, RelatedIncident, SharedObservable};
use crate::search_values::{Kind, stored};
use anyhow::Result;
use hookmill_incident::id::row_key;
use std::collections::HashMap;
use tokio_postgres::GenericClient;

/// Incidents that are read together.
const READ_TOGETHER: usize = 32;

/// Returns the incidents that share observables with one, those with the rarest first, then those with the most.
pub(super) async fn list(
    client: &impl GenericClient,
    which: IncidentKey,
    limit: usize,
) -> Result<Option<Listed<Vec<RelatedIncident>>>> {
    let row = match incidents::find(client, which).await? {
        None => return Ok(None),
        Some(Err(unreadable)) => return Ok(Some(Err(unreadable))),
        Some(Ok(row)) => row,
    };
    let relating = relating(&row.incident);
    let mut keys = keys_with(client, relating.keys().copied()).await?;
    let with_keys =
        relating.into_iter().map(|(value, observable)| (observable, keys.remove(value).unwrap_or_default()));
    let mut ranked = ranked(row_key(row.id), with_keys).into_iter();
    let mut page = Filling::new(limit);
    while page.has_room() {
        let block: Vec<_> = ranked.by_ref().take(READ_TOGETHER).collect();
        if block.is_empty() {
            break;
        }
        let keys: Vec<i64> = block.iter().map(|(key, _)| *key).collect();
        let found = incidents::of_keys(client, &keys).await?;
        for (key, shared) in block {
            // The values of a deleted incident that could not be read are still in the index.
            let Some(incident) = found.get(&key) else { continue };
            if !page.has_room() {
                break;
            }
            page.push(key, RelatedIncident { incident: incident.listed()?, shared }, incident.bytes()?);
        }
    }
    Ok(Some(Ok(page.finish().rows)))
}

/// Returns the observables of an incident, each with the number of incidents that have its value, counted up to
/// [`SHARED_MAX`] and one more.
pub(super) async fn counted(
    client: &impl GenericClient,
    which: IncidentKey,
) -> Result<Option<Listed<Vec<SharedObservable>>>> {
    let row = match incidents::find(client, which).await? {
        None => return Ok(None),
        Some(Err(unreadable)) => return Ok(Some(Err(unreadable))),
        Some(Ok(row)) => row,
    };
    let observables = &row.incident.observables;
    let keys = keys_with(client, observables.iter().map(|observable| observable.value.as_str())).await?;
    let count = |value: &str| keys.get(value).map_or(0, Vec::len);
    let counted = observables.iter().map(|observable| shared(observable, count(&observable.value)));
    Ok(Some(Ok(counted.collect())))
}

/// Returns the keys of incidents that have observables of these values: of each value all, or one more than
/// [`SHARED_MAX`].
async fn keys_with<'a>(
    client: &impl GenericClient,
    values: impl Iterator<Item = &'a str>,
) -> Result<HashMap<&'a str, Vec<i64>>> {
    let mut values: Vec<&str> = values.collect();
    values.sort_unstable();
    values.dedup();
    let sql = "SELECT place, incident FROM unnest($1) WITH ORDINALITY AS named (named_value, place) CROSS JOIN LATERAL \
               (SELECT incident FROM postings WHERE kind = $2 AND value = named_value LIMIT $3) AS found";
    let stored = Value::texts(values.iter().map(|value| stored(value)));
    let rows = raw_rows(client, sql, &[stored, (Kind::Observable as i64).into(), (SHARED_MAX + 1).into()]).await?;
    let mut keys: HashMap<&str, Vec<i64>> = HashMap::new();
    for row in &rows {
        let place: usize = value(row, 0, "place")?;
        keys.entry(values[place - 1]).or_default().push(value(row, 1, "incident")?);
    }
    Ok(keys)
}
