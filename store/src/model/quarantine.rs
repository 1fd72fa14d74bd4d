//! The quarantine in memory: all events are looked at.

use super::copies::EventCopy;
use super::memory::Memory;
use crate::Store;
use crate::rows::{QuarantineCause, QuarantineGroup};
use hookmill_incident::EventStatus;
use hookmill_incident::id::row_key;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The rows of a page.
const PAGE: usize = 2;

/// Compares the groups of the quarantine, and the events of each, with those in memory.
pub(super) async fn compare(memory: &Memory, store: &Store, place: &str) {
    let mut events: BTreeMap<QuarantineCause, Vec<&EventCopy>> = BTreeMap::new();
    for copy in memory.events.values().filter(|copy| copy.state.status == EventStatus::Quarantined) {
        let message = copy.state.message.as_deref().unwrap_or_default();
        let cause = QuarantineCause::new(copy.state.code.expect("a code"), &copy.tried, message);
        events.entry(cause).or_default().push(copy);
    }
    let mut expected: Vec<_> = events.into_iter().collect();
    expected.sort_by_key(|(_, events)| Reverse(row_key(last(events).event.id)));

    let (mut groups, mut before): (Vec<QuarantineGroup>, _) = (Vec::new(), None);
    loop {
        let page = store.quarantine_groups(before, PAGE).await.expect("groups");
        groups.extend(page.rows);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(groups.len(), expected.len(), "{place}: the groups of the quarantine");
    for (group, (cause, events)) in groups.iter().zip(&expected) {
        let time = |copy: &EventCopy| (copy.event.id, copy.event.received_at);
        let sources = events.iter().map(|copy| copy.event.source.to_string()).collect();
        let expected = QuarantineGroup {
            id: group.id.clone(),
            cause: cause.clone(),
            count: events.len() as u64,
            sources,
            oldest: time(events[0]),
            newest: time(last(events)),
        };
        assert_eq!(*group, expected, "{place}");
        let ids: Vec<_> = events.iter().map(|copy| copy.event.id).collect();
        assert_eq!(members(store, &group.id, i64::MIN, PAGE).await, ids, "{place}: the events of {cause:?}");
        let later = members(store, &group.id, row_key(ids[0]) + 1, 1000).await;
        assert_eq!(later, ids[1..], "{place}: the later events of {cause:?}");
    }
}

fn last<'m>(events: &[&'m EventCopy]) -> &'m EventCopy {
    events.last().expect("a group has events")
}

/// Returns the events of a group from a key on, in pages of a size.
async fn members(store: &Store, group: &str, mut from: i64, limit: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    loop {
        let page = store.quarantined(group.to_owned(), from..=i64::MAX, limit).await.expect("events");
        ids.extend(page.rows);
        let Some(next) = page.next else { return ids };
        from = next + 1;
    }
}
