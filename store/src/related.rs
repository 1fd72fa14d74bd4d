//! The relation of incidents that share observables, and its order.

use crate::rows::SharedObservable;
use hookmill_incident::{Incident, Observable};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A value that more incidents share says nothing about any of them.
pub(crate) const SHARED_MAX: usize = 50;

/// Returns an observable of each value that relates incidents.
pub(crate) fn relating(incident: &Incident) -> BTreeMap<&str, &Observable> {
    let observables = incident.observables.iter().rev();
    let by_value: BTreeMap<&str, &Observable> =
        observables.map(|observable| (observable.value.as_str(), observable)).collect();
    by_value.into_iter().filter(|(_, observable)| !observable.is_local_address()).collect()
}

/// Returns the keys of the incidents that share observables with the one with the key `own`: those with the rarest first,
/// then those with the most, then the newest. Each observable comes with the keys of the incidents that have its value.
pub(crate) fn ranked<'a>(
    own: i64,
    observables: impl IntoIterator<Item = (&'a Observable, Vec<i64>)>,
) -> Vec<(i64, Vec<SharedObservable>)> {
    let mut related: BTreeMap<i64, Vec<SharedObservable>> = BTreeMap::new();
    for (observable, keys) in observables.into_iter().filter(|(_, keys)| keys.len() <= SHARED_MAX) {
        for key in keys.iter().filter(|key| **key != own) {
            related.entry(*key).or_default().push(shared(observable, keys.len()));
        }
    }
    related.values_mut().for_each(|observables| observables.sort_by_key(|observable| observable.incidents));
    let mut ranked: Vec<_> = related.into_iter().collect();
    ranked.sort_by_key(|(key, shared)| {
        (shared.iter().map(|observable| observable.incidents).min(), Reverse((shared.len(), *key)))
    });
    ranked
}

/// Returns an observable with the number of incidents that have its value.
pub(crate) fn shared(observable: &Observable, incidents: usize) -> SharedObservable {
    SharedObservable { data_type: observable.data_type.clone(), value: observable.value.clone(), incidents }
}
