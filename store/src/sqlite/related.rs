//! Incidents that share observables, and the number of incidents that have each.

use super::incidents;
use super::pages::listed;
use crate::pages::Filling;
use crate::related::{SHARED_MAX, ranked, relating, shared};
use crate::rows::{IncidentKey, Listed, RelatedIncident, SharedObservable};
use crate::search_values::{Kind, stored};
use anyhow::Result;
use hookmill_incident::id::row_key;
use rusqlite::{Connection, params};

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
    let relating = relating(&row.incident).into_iter();
    let with_keys = relating.map(|(value, observable)| Ok((observable, keys_with(connection, value)?)));
    let ranked = ranked(row_key(row.id), with_keys.collect::<Result<Vec<_>>>()?);
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
