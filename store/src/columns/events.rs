//! Rows of the table `events`.

use super::{After, Cells, Columns, Id, Json, Word, columns, value};
use crate::rows::EventRow;
use anyhow::Result;
use hookmill_incident::{
    DELIVERY_ID, Event, EventState, EventStatus, IncidentRef, Journey, KeptLog, NamedValue, RepeatKey,
};
use std::sync::Arc;

columns! {
    StateColumns {
        id: Id,
        status: Word<EventStatus>,
        code: Option<String>,
        message: Option<String>,
        incidents: Json<Vec<IncidentRef>>,
    }
}

columns! {
    /// Everything that lists show, without `stored_at`.
    EventColumns {
        id: Id,
        status: Word<EventStatus>,
        code: Option<String>,
        message: Option<String>,
        incidents: Json<Vec<IncidentRef>>,
        source: String,
        received_at: i64,
        attempts: u32,
        tried: Json<Vec<String>>,
        content_type: Option<String>,
        headers: Json<Vec<NamedValue>>,
        context: Json<Vec<NamedValue>>,
        signed_at: Option<i64>,
        digest: [u8; 32],
        body_removed_at: Option<i64>,
    }
}

columns! {
    /// The body, and what lists do not show. A database may have these behind the body, so that lists would read the body
    /// to reach them.
    BodyColumns {
        body: Vec<u8>,
        traceparent: Option<String>,
        discard_reason: Option<String>,
        stored_at: Option<i64>,
        journey: Option<Json<Journey>>,
        log: Option<Json<KeptLog>>,
    }
}

impl From<StateColumns> for EventState {
    fn from(row: StateColumns) -> Self {
        let StateColumns { id: Id(id), status: Word(status), code, message, incidents: Json(incidents) } = row;
        Self { id, status, code: code.and_then(|word| word.parse().ok()), message, incidents }
    }
}

impl EventColumns {
    fn into_row(self, body: Vec<u8>) -> EventRow {
        let Self { id, status, code, message, incidents, .. } = self;
        let state = EventState::from(StateColumns { id, status, code, message, incidents });
        let Json(context) = self.context;
        let delivery_id = context.iter().find(|(name, _)| name == DELIVERY_ID).map(|(_, id)| id.clone());
        let repeat_key = match (delivery_id, self.signed_at) {
            (Some(id), _) => RepeatKey::DeliveryId(id),
            (None, Some(at)) => RepeatKey::SignedAt(at),
            (None, None) => RepeatKey::Body,
        };
        let event = Event {
            id: state.id,
            source: Arc::from(self.source),
            received_at: self.received_at,
            content_type: self.content_type,
            headers: self.headers.0,
            context,
            digest: self.digest,
            body: body.into(),
            repeat_key,
            traceparent: None,
        };
        EventRow {
            state,
            event,
            body_removed_at: self.body_removed_at,
            attempts: self.attempts,
            tried: self.tried.0,
            discard_reason: None,
            stored_at: None,
            journey: Journey::default(),
        }
    }
}

/// The columns of [`with_body`].
pub(crate) fn list_with_body() -> String {
    format!("{}, {}", EventColumns::LIST, BodyColumns::LIST)
}

/// Reads an event with its body.
pub(crate) fn with_body(row: &dyn Cells) -> Result<EventRow> {
    let rest = BodyColumns::read(&After(row, EventColumns::COUNT))?;
    let mut read = EventColumns::read(row)?.into_row(rest.body);
    read.event.traceparent = rest.traceparent;
    read.discard_reason = rest.discard_reason;
    read.stored_at = rest.stored_at;
    if let Some(Json(journey)) = rest.journey {
        read.journey = journey;
    }
    if let Some(Json(log)) = rest.log {
        read.journey.log = log;
    }
    Ok(read)
}

/// The columns of [`with_time`]. `stored_at` is the SQL of that column: a database may have a way that does not read the body.
pub(crate) fn list_with_time(stored_at: &str) -> String {
    format!("{}, {stored_at}", EventColumns::LIST)
}

/// Reads an event as lists show it: without its body, with the time at which it was written.
pub(crate) fn with_time(row: &dyn Cells) -> Result<EventRow> {
    let stored_at = value(row, EventColumns::COUNT, "stored_at")?;
    Ok(EventRow { stored_at, ..without_body(row)? })
}

/// Reads an event without its body.
pub(crate) fn without_body(row: &dyn Cells) -> Result<EventRow> {
    Ok(EventColumns::read(row)?.into_row(Vec::new()))
}
