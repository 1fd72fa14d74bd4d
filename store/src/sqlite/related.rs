//! Incidents that share observables.

use super::incidents;
use super::pages::{Filling, listed};
use super::postings::{Kind, stored};
use crate::rows::{IncidentKey, Listed, RelatedIncident, SharedObservable};
use anyhow::Result;
use hookmill_incident::Observable;
use hookmill_incident::id::row_key;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// A value that more incidents share says nothing about any of them.
const SHARED_MAX: usize = 50;

/// Returns the incidents that share observables with one, those with the rarest first, then those with the most.
pub(super) fn list(
    connection: &Connection,
    which: IncidentKey,
    limit: usize,
) -> Result<Option<Listed<Vec<RelatedIncident>>>> {
    let row = match incidents::find(connection, which)? {
        None => return Ok(None),
        Some(Err(unreadable)) => return Ok(Some(Err(unreadable))),
        Some(Ok(row)) => row,
    };
    let own = row_key(row.id);
    let mut related: BTreeMap<i64, Vec<SharedObservable>> = BTreeMap::new();
    let sql = "SELECT incident FROM postings WHERE kind = ? AND value = ? LIMIT ?";
    let mut query = connection.prepare_cached(sql)?;
    let by_value: BTreeMap<&str, &Observable> =
        row.incident.observables.iter().rev().map(|observable| (observable.value.as_str(), observable)).collect();
    for (value, observable) in by_value.into_iter().filter(|(_, observable)| !observable.is_local_address()) {
        let parameters = params![Kind::Observable as i64, stored(value), SHARED_MAX as i64 + 1];
        let keys = query.query_map(parameters, |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
        if keys.len() > SHARED_MAX {
            continue;
        }
        for key in keys.iter().filter(|key| **key != own) {
            related.entry(*key).or_default().push(SharedObservable {
                data_type: observable.data_type.clone(),
                value: value.to_owned(),
                incidents: keys.len(),
            });
        }
    }
    related.values_mut().for_each(|shared| shared.sort_by_key(|observable| observable.incidents));
    let mut ranked: Vec<_> = related.into_iter().collect();
    ranked.sort_by_key(|(key, shared)| {
        (shared.iter().map(|observable| observable.incidents).min(), std::cmp::Reverse((shared.len(), *key)))
    });
    let mut page = Filling::new(limit);
    for (key, shared) in ranked {
        if !page.has_room() {
            break;
        }
        // The values of a deleted incident that could not be read are still in the index.
        if let Some((id, bytes, row)) = incidents::with_key(connection, key)? {
            page.push(key, RelatedIncident { incident: listed(id, row)?, shared }, bytes);
        }
    }
    Ok(Some(Ok(page.finish().rows)))
}
