//! The rows of the tables in memory.

use crate::ledger::NewEvent;
use crate::rows::{DeliveryStatus, TriageJob};
use anyhow::Result;
use hookmill_incident::{Event, EventState, EventStatus, Journey, Operation, RepeatKey};
use serde_json::Value;
use uuid::Uuid;

#[derive(Clone)]
pub(super) struct EventCopy {
    pub event: Event,
    pub state: EventState,
    pub attempts: u32,
    pub tried: Vec<String>,
    pub body_removed_at: Option<i64>,
    pub discard_reason: Option<String>,
    pub stored_at: i64,
    pub journey: Journey,
}

impl EventCopy {
    /// Returns the row of a new event.
    pub fn of(new: &NewEvent) -> Result<Self> {
        let NewEvent { mapped, state, attempts, stored_at, encoded } = *new;
        let (event, state, tried) = (mapped.event.clone(), state.clone(), serde_json::from_str(&encoded.tried)?);
        let mut journey: Journey = serde_json::from_str(encoded.journey.as_deref().unwrap_or("{}"))?;
        journey.log = encoded.log.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default();
        let (body_removed_at, discard_reason) = (None, None);
        Ok(Self { event, state, attempts, tried, body_removed_at, discard_reason, stored_at, journey })
    }

    pub fn discard(&mut self, reason: Option<&str>) {
        self.state.status = EventStatus::Discarded;
        self.discard_reason = reason.map(str::to_owned);
    }
}

#[derive(Clone)]
pub(super) struct AuditCopy {
    pub id: Uuid,
    pub incident: i64,
    pub previous: Option<i64>,
    pub operation: Operation,
    pub at: i64,
    pub request_id: String,
    /// JSON, as is the object.
    pub details: Option<String>,
    pub difference: Option<String>,
    pub moved: Option<String>,
    pub next: Option<i64>,
    /// The object, which the store restores.
    pub object: Value,
}

#[derive(Clone)]
pub(super) struct DeliveryCopy {
    pub id: Uuid,
    pub destination: String,
    pub status: DeliveryStatus,
    pub attempts: u32,
    pub next_at: Option<i64>,
    pub error: Option<String>,
    pub subject: i64,
    pub audit: Option<i64>,
    pub event: Option<i64>,
    pub notice: Option<String>,
    pub step: Option<(String, usize)>,
    pub traceparent: Option<String>,
}

#[derive(Clone)]
pub(super) struct RequestCopy {
    pub playbook: String,
    pub is_manual: bool,
    pub attempts: u32,
    pub failed_on: Option<String>,
    pub request_id: String,
}

impl RequestCopy {
    pub fn is_of(&self, job: &TriageJob) -> bool {
        self.playbook == job.playbook && self.request_id == job.request_id && self.attempts == job.attempts
    }
}

/// Returns a repeat key as it is read again. Whether a delivery id was signed does not matter any more then.
pub(super) fn as_read(key: &RepeatKey) -> RepeatKey {
    match key {
        RepeatKey::UnsignedDeliveryId { id, .. } => RepeatKey::DeliveryId(id.clone()),
        key => key.clone(),
    }
}
