//! Incidents that share observables, and the number of incidents that have each.

use super::incidents;
use super::pages::listed;
use crate::pages::Filling;
use crate::rows::{IncidentKey, Listed, RelatedIncident, SharedObservable};
use crate::search_values::{Kind, stored};
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
    let by_value: BTreeMap<&str, &Observable> =
        row.incident.observables.iter().rev().map(|observable| (observable.value.as_str(), observable)).collect();
    for (value, observable) in by_value.into_iter().filter(|(_, observable)| !observable.is_local_address()) {
        let keys = keys_with(connection, value)?;
        if keys.len() > SHARED_MAX {
            continue;
        }
        for key in keys.iter().filter(|key| **key != own) {
            related.entry(*key).or_default().push(shared(observable, keys.len()));
        }
    }
    related.values_mut().for_each(|observables| observables.sort_by_key(|observable| observable.incidents));
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

/// Returns the observables of an incident, each with the number of incidents that have its value, counted up to
/// [`SHARED_MAX`] and one more.
pub(super) fn counted(connection: &Connection, which: IncidentKey) -> Result<Option<Listed<Vec<SharedObservable>>>> {
    let Some(found) = incidents::find(connection, which)? else { return Ok(None) };
    let row = match found {
        Err(unreadable) => return Ok(Some(Err(unreadable))),
        Ok(row) => row,
    };
    let counted = row.incident.observables.iter().map(|observable| {
        let keys = keys_with(connection, &observable.value)?;
        Ok(shared(observable, keys.len()))
    });
    Ok(Some(Ok(counted.collect::<Result<_>>()?)))
}

/// Returns the keys of incidents that have an observable of this value: all, or one more than [`SHARED_MAX`].
fn keys_with(connection: &Connection, value: &str) -> Result<Vec<i64>> {
    let sql = "SELECT incident FROM postings WHERE kind = ? AND value = ? LIMIT ?";
    let mut query = connection.prepare_cached(sql)?;
    let parameters = params![Kind::Observable as i64, stored(value), SHARED_MAX as i64 + 1];
    Ok(query.query_map(parameters, |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn shared(observable: &Observable, incidents: usize) -> SharedObservable {
    SharedObservable { data_type: observable.data_type.clone(), value: observable.value.clone(), incidents }
}
