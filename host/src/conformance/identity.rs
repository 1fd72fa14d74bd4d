//! Payloads of one object belong to one incident: its source-ref depends on the payload alone, and later states are not
//! older.

use super::calls::{ConformanceMapper, ConformancePayload, Mapped, ORDINARY, Receipt};
use super::declarations::Declarations;
use super::report::{CheckKind, CheckReport};
use hookmill_incident::Observation;
use jiff::Timestamp;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Another event, received a day later.
const LATER: Receipt = Receipt {
    id: Uuid::from_u128(0x018c_c778_5000_7000_8000_0000_0000_0002),
    at_ms: ORDINARY.at_ms + 24 * 60 * 60 * 1000,
};
const REF: &str =
    "make the source-ref from the vendor's own id, never from the event's id, its time or a random number";
const TIME: &str = "set changed-at to the time that the vendor gives this state; leave it out if there is none";
const UPDATES: &str = "map all states of one object to one source-ref, or correct `updates` in conformance.json";

type Refs = BTreeMap<String, Option<Timestamp>>;

pub(super) async fn check(
    mapper: &ConformanceMapper,
    payloads: &[ConformancePayload],
    declarations: &Declarations,
) -> CheckReport {
    let mut report = CheckReport::new(CheckKind::Identity);
    let mut states = BTreeMap::new();
    for payload in payloads {
        let body = &payload.file.body;
        let first = payload.map(&mapper.fresh, body, ORDINARY).await.map(refs);
        let later = payload.map(&mapper.fresh, body, LATER).await.map(refs);
        let failure = match (&first, &later) {
            (Ok(first), Ok(later)) => received_again(first, later),
            (Err(error), _) | (_, Err(error)) => Some((error.clone(), REF)),
        };
        report.add(&payload.name, "received again a day later", failure);
        states.extend(first.ok().map(|first| (payload.name.as_str(), first)));
    }
    for names in &declarations.updates {
        for pair in names.windows(2) {
            let [before, after] = [&pair[0], &pair[1]].map(|name| states.get(name.as_str()));
            let failure = match (before, after) {
                (Some(before), Some(after)) => follows(before, after),
                _ => Some(("one of the two payloads has no result".to_owned(), UPDATES)),
            };
            report.add(&pair[1], format!("after `{}`, the earlier state of its object", pair[0]), failure);
        }
    }
    report
}

/// Returns the source-refs of a result with the times of their states.
fn refs(mapped: Mapped) -> Refs {
    let observations = mapped.map_or(Vec::new(), |reading| reading.observations).into_iter();
    observations.map(|Observation { source_ref, changed_at, .. }| (source_ref, changed_at)).collect()
}

fn received_again(first: &Refs, later: &Refs) -> Option<(String, &'static str)> {
    if !first.keys().eq(later.keys()) {
        let names = |refs: &Refs| refs.keys().cloned().collect::<Vec<_>>().join(", ");
        return Some((format!("other source-refs: first {}; then {}", names(first), names(later)), REF));
    }
    went_back(first, later)
}

fn follows(before: &Refs, after: &Refs) -> Option<(String, &'static str)> {
    if !before.keys().any(|known| after.contains_key(known)) {
        return Some(("no source-ref in common".to_owned(), UPDATES));
    }
    went_back(before, after)
}

/// Finds a source-ref whose time goes back.
fn went_back(before: &Refs, after: &Refs) -> Option<(String, &'static str)> {
    before.iter().find_map(|(source_ref, earlier)| {
        let (earlier, later) = ((*earlier)?, (*after.get(source_ref)?)?);
        (later < earlier).then(|| (format!("changed-at of {source_ref} goes back from {earlier} to {later}"), TIME))
    })
}
