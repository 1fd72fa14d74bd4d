//! Pages of many incidents in the order of their update have each incident once.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test that fails should say so and end")]

use hookmill_incident::{Clock, Event, Journey, Mapped, Observation, Patch, PluginVersion, Reading, Verdict};
use hookmill_store::{Dedup, IncidentFilter, IncidentKey, LeaseName, Leases, Order, Policy, SortKey, Sorting, Store};
use std::cmp::Reverse;
use std::time::Duration;

const INCIDENTS: usize = 1_400;
const LIMIT: usize = 90;

fn mapped(store: &Store, clock: &Clock, number: usize) -> Mapped {
    let tags = vec![if number.is_multiple_of(2) { "even" } else { "odd" }.to_owned()];
    let observation = Observation { source_ref: format!("ref-{number}"), tags, ..Observation::default() };
    let plugin = PluginVersion { name: "test".into(), version: "1.0".into(), sha256: "0".repeat(64) };
    let reading = Reading { observations: vec![observation], skipped: Vec::new(), problems: Vec::new() };
    let body = number.to_string().into_bytes();
    let event = Event::dry_run(store.new_id(), clock.now_ms(), "lab".into(), Vec::new(), body.into());
    let verdict = Verdict::Read { plugin, reading };
    Mapped { event, verdict, playbook: None, auto_triage: false, tried: Vec::new(), journey: Journey::default() }
}

#[tokio::test]
async fn pages_in_the_order_of_the_update_have_each_incident_once() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::default());
    let dedup = Dedup { retention: Duration::ZERO, window: Duration::ZERO };
    let policy = Policy { dedup, reopen_within: Duration::ZERO };
    let store = Store::open(folder.path(), 64, policy, Box::new(|_, _| {}), clock.clone()).unwrap();
    let lease = store.acquire(LeaseName::Source("lab".into())).await;
    for first in (0..INCIDENTS).step_by(100) {
        let batch = (first..first + 100).map(|number| mapped(&store, &clock, number)).collect();
        let recorded = store.record_pulled(lease.grant(), "lab".into(), batch, None).await.unwrap();
        clock.shift_ms(1_000);
        // Some are changed later than they were created.
        for recorded in recorded.iter().step_by(7) {
            let patch = Patch { note: Some("changed".into()), ..Patch::default() };
            let id = recorded.state.incidents[0].id;
            store.patch(IncidentKey::Id(id), patch, "test".into(), String::new()).await.unwrap().unwrap();
        }
        // The clock also goes back.
        clock.shift_ms(if first == 700 { -5_000 } else { 1_000 });
    }
    let half = IncidentFilter { tag: vec!["even".into()], ..IncidentFilter::default() };
    for (filter, count) in [(half, INCIDENTS / 2), (IncidentFilter::default(), INCIDENTS)] {
        let list = async |keys: &[Sorting]| {
            let order = Order::new(keys.iter().copied());
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = store.incidents(filter.clone(), order.clone(), after, LIMIT).await.unwrap();
                found
                    .extend(page.rows.into_iter().map(|row| row.unwrap()).map(|row| (row.incident.updated_at, row.id)));
                after = page.next;
                if after.is_none() {
                    return found;
                }
            }
        };
        let by = |key, descending| Sorting { key, descending };
        let (up, down) = (by(SortKey::UpdatedAt, false), by(SortKey::UpdatedAt, true));
        let ascending = list(&[up]).await;
        assert!(ascending.is_sorted() && ascending.len() == count, "{} incidents", ascending.len());
        let mut expected = ascending.clone();
        expected.reverse();
        assert!(list(&[down]).await == expected);
        // In each direction of the time, with the keys in the other one.
        expected.sort_by_key(|(updated_at, id)| (Reverse(*updated_at), *id));
        assert!(list(&[down, by(SortKey::CreatedAt, false)]).await == expected);
        expected.reverse();
        assert!(list(&[up, by(SortKey::CreatedAt, true)]).await == expected);
    }
}
