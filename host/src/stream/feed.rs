//! The sources of streams: what is read, and in which order.

use super::chunk::{Chunk, ChunkEntry, PART_ENTRIES, RESET, StreamFilter, of_audit};
use crate::event_changes::{EventChange, EventChanges};
use anyhow::Result;
use hookmill_store::{EventRow, Listed, Store};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;
use uuid::Uuid;

/// Returns an event as clients get it.
pub type EventJson = fn(Listed<EventRow>) -> String;

/// The source of a stream.
#[derive(Debug)]
pub enum Feed {
    /// Audit entries, at the positions of their ids.
    Audit(Arc<Store>),
    /// Changes of events, at the positions of [`EventChanges`].
    Events(Arc<EventChanges>, Arc<Store>, EventJson),
}

impl Feed {
    /// Watches the newest position.
    pub fn watch(&self) -> watch::Receiver<Uuid> {
        match self {
            Self::Audit(store) => store.watch_audit(),
            Self::Events(changes, ..) => changes.watch(),
        }
    }

    /// Reads what follows a position.
    pub(super) async fn read(&self, after: Uuid, filter: Arc<StreamFilter>) -> Result<Chunk> {
        match self {
            Self::Audit(store) => {
                let add = move |part: &mut Chunk, id, audit: &_| {
                    let (entry, data) = of_audit(id, audit);
                    part.add(entry, &data, &filter)
                };
                store.audit_after(after, Chunk::after(after), add).await
            }
            Self::Events(changes, store, json) => read_events(changes, store, *json, after, &filter).await,
        }
    }
}

async fn read_events(
    changes: &EventChanges,
    store: &Store,
    json: EventJson,
    after: Uuid,
    filter: &StreamFilter,
) -> Result<Chunk> {
    let newest = *changes.watch().borrow();
    let mut part = Chunk::after(after);
    let Some(found) = changes.after(after, PART_ENTRIES) else {
        let (source, class) = Default::default();
        let _ = part.add(ChunkEntry { id: newest, end: 0, event: RESET, source, class }, "null", filter);
        return Ok(part);
    };
    let ids = found.iter().filter_map(|(_, change)| match change {
        EventChange::Event(id) => Some(*id),
        EventChange::Refusal(_) => None,
    });
    let mut rows: HashMap<Uuid, Listed<EventRow>> = store.events_with_ids(ids.collect()).await?.into_iter().collect();
    for (position, change) in found {
        let (event, source, class, data): (_, Box<str>, Box<str>, _) = match change {
            EventChange::Event(id) => {
                // An earlier change in this chunk has sent the present state already, or retention has removed the event.
                let Some(row) = rows.remove(&id) else {
                    if part.pass(position).is_break() {
                        break;
                    }
                    continue;
                };
                let (source, class) = match &row {
                    Ok(row) => (row.event.source[..].into(), row.state.status.as_str().into()),
                    Err(_) => Default::default(),
                };
                ("event", source, class, json(row))
            }
            EventChange::Refusal(refused) => {
                let source = refused.source.as_deref().unwrap_or_default().into();
                ("refusal", source, Box::default(), serde_json::to_string(&*refused)?)
            }
        };
        if part.add(ChunkEntry { id: position, end: 0, event, source, class }, &data, filter).is_break() {
            break;
        }
    }
    Ok(part)
}
