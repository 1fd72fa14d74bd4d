//! Calls notifiers: an audit entry in, the request to send out.

use crate::bindings::wit;
use crate::call::{Call, CallError};
use crate::component::{Interface, Kind};
use crate::plugin::Plugin;
use crate::stored_incident::{Lists, Texts, fields_of, texts_of};
use anyhow::{Context, Result};
use hookmill_incident::{NamedValue, Operation, ShownIncident};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// The input of a notifier: an audit entry on its way to a destination.
#[derive(Clone, Debug)]
pub struct Notification {
    id: Uuid,
    destination: String,
    entry: Entry,
    text: String,
}

/// An audit entry, read back from the delivered text.
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
    /// Reads an audit entry in the form in which it is delivered.
    ///
    /// # Errors
    /// Returns an error if the text is not an audit entry.
    pub fn new(id: Uuid, destination: String, text: String) -> Result<Self> {
        let entry = serde_json::from_str(&text).context("the input is not an audit entry in the form of deliveries")?;
        Ok(Self { id, destination, entry, text })
    }
}

/// The request that a notifier returned. The caller checks the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: String,
    /// The URL, relative to the destination's; `None` for the destination's own.
    pub url: Option<String>,
    /// The headers.
    pub headers: Vec<NamedValue>,
    /// The body.
    pub body: Vec<u8>,
}

impl Plugin {
    /// Renders an audit entry in an instance of its own, whose clock shows the time of the entry. `None` sends nothing.
    pub async fn render(
        &self,
        notification: &Notification,
    ) -> Call<Result<Result<Option<HttpRequest>, String>, CallError>> {
        let Interface::Notifier(indices) = &self.compiled.interface else { return self.wrong_kind(Kind::Notifier) };
        let Notification { id, destination, entry, text } = notification;
        let texts = Texts::new(&entry.object);
        let lists = Lists::new(&texts);
        let changes = texts_of(&entry.details);
        let (id_text, changes) = (id.to_string(), fields_of(&changes));
        let argument = wit::Notification {
            id: &id_text,
            destination,
            operation: match entry.operation {
                Operation::Creation => wit::Operation::Creation,
                Operation::Update => wit::Operation::Update,
                Operation::Delete => wit::Operation::Delete,
            },
            at: entry.start_date,
            request_id: &entry.request_id,
            changes: &changes,
            incident: lists.record(),
            entry: text,
        };
        let call = async |store: &mut _, instance: &_| {
            indices.load(&mut *store, instance)?.call_render(store, argument.clone()).await
        };
        let call = self.compiled.call(entry.start_date.cast_signed(), *id, call).await;
        call.map_value(|returned| Ok(returned?.map(http_request)))
    }
}

fn http_request(request: wit::HttpRequest) -> HttpRequest {
    let headers = request.headers.into_iter().map(|header| (header.name, header.value)).collect();
    HttpRequest { method: request.method, url: request.url, headers, body: request.body }
}
