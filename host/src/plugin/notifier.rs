//! Calls of notifiers.

use super::stored_incident::{Lists, Texts, fields_of, texts_of};
use super::{Call, Interface, Kind, Plugin, ShownIncident, shapes};
use crate::sandbox::Walls;
use crate::store::Operation;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// An audit entry on its way to a destination.
#[derive(Clone, Debug)]
pub struct Notification {
    id: Uuid,
    destination: String,
    entry: Entry,
    text: String,
}

/// An audit entry, read back from what is delivered.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    operation: Operation,
    start_date: u64,
    request_id: String,
    details: Map<String, Value>,
    object: ShownIncident,
}

impl Notification {
    /// Reads an audit entry as it is delivered.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(id: Uuid, destination: String, text: String) -> Result<Self> {
        let entry = serde_json::from_str(&text).context("it is no audit entry as the host delivers them")?;
        Ok(Self { id, destination, entry, text })
    }
}

impl Plugin {
    /// Has an audit entry rendered in an instance of its own, whose clock stands at the entry's time.
    pub(crate) async fn render(
        &self,
        notification: &Notification,
    ) -> Call<Result<Option<shapes::HttpRequest>, String>> {
        let Interface::Notifier(indices) = &self.interface else { return self.not_a(Kind::Notifier) };
        let Notification { id, destination, entry, text } = notification;
        let walls = Walls {
            clock_ms: entry.start_date.cast_signed(),
            seed: *id,
            memory_bytes: self.memory_bytes,
            output_bytes: self.limits.output_bytes,
        };
        let texts = Texts::new(&entry.object);
        let lists = Lists::new(&texts);
        let changes = texts_of(&entry.details);
        let (id, changes) = (id.to_string(), fields_of(&changes));
        let argument = shapes::Notification {
            id: &id,
            destination,
            operation: match entry.operation {
                Operation::Creation => shapes::Operation::Creation,
                Operation::Update => shapes::Operation::Update,
                Operation::Delete => shapes::Operation::Delete,
            },
            at: entry.start_date,
            request_id: &entry.request_id,
            changes: &changes,
            incident: lists.record(),
            entry: text,
        };
        self.call(walls, self.limits.deadline, async |store, instance| {
            indices.load(&mut *store, instance)?.call_render(store, argument.clone()).await
        })
        .await
    }
}
