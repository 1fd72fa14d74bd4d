//! Calls of the mapper that is checked.

use crate::payload_file::PayloadFile;
use hookmill_incident::{Event, FailureCode, Reading};
use hookmill_sandbox::Plugin;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// The event of ordinary calls: `hookmill plugin test` and the SDK for Rust have the same.
const EVENT_ID: Uuid = Uuid::from_u128(0x018c_c251_f400_7000_8000_0000_0000_0001);
const RECEIVED_AT_MS: i64 = 1_704_067_200_000;
const SOURCE: &str = "test";

/// A mapper, loaded twice.
pub struct ConformanceMapper {
    /// The mapper with a fresh instance for each call.
    pub fresh: Arc<Plugin>,
    /// The mapper with one instance for many calls.
    pub reused: Arc<Plugin>,
}

/// A payload of the project.
pub struct ConformancePayload {
    /// The name of the file, without `.json`.
    pub name: String,
    /// The payload.
    pub file: PayloadFile,
}

/// The circumstances of a call that do not belong to the payload.
#[derive(Clone, Copy)]
pub(super) struct Receipt {
    pub id: Uuid,
    pub at_ms: i64,
}

pub(super) const ORDINARY: Receipt = Receipt { id: EVENT_ID, at_ms: RECEIVED_AT_MS };

/// A result of a call that ended within its limits: a reading, or the mapper's own refusal.
pub(super) type Mapped = Result<Reading, (FailureCode, String)>;

impl ConformancePayload {
    fn event(&self, body: &[u8], receipt: Receipt) -> Event {
        let (headers, body) = (self.file.headers.clone(), body.to_vec().into());
        let event = Event::dry_run(receipt.id, receipt.at_ms, SOURCE.into(), headers, body);
        Event { context: self.file.context.clone(), ..event }
    }

    /// Maps another body in the place of this payload's. An error is the limit or the trap that ended the call.
    pub(super) async fn map(&self, plugin: &Plugin, body: &[u8], receipt: Receipt) -> Result<Mapped, String> {
        let call = plugin.map(&self.event(body, receipt), &[], &BTreeMap::new()).await;
        let result = call.result.map_err(|error| match error.code() {
            Some(code) => format!("{code}: {error}"),
            None => error.to_string(),
        })?;
        Ok(result.map_err(|failure| (failure.code, failure.message)))
    }

    /// Maps the payload itself, and returns the whole result without the host's checks.
    pub(super) async fn outcome(&self, plugin: &Plugin) -> Result<Value, String> {
        let call = plugin.outcome_json(&self.event(&self.file.body, ORDINARY), &[]).await;
        call.result.map_err(|error| error.to_string())
    }
}
