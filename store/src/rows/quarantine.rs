//! The quarantine in groups: events that failed with the same cause.

use hookmill_incident::{EventState, EventStatus, FailureCode, failure_pattern};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The bytes of a digest that are the id of a group.
const ID_BYTES: usize = 12;

/// Events in quarantine with the same cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineGroup {
    /// The id of the group.
    pub id: String,
    /// The cause.
    pub cause: QuarantineCause,
    /// The number of events.
    pub count: u64,
    /// The sources of the events.
    pub sources: BTreeSet<String>,
    /// The oldest event, and when it was received, in milliseconds since the Unix epoch.
    pub oldest: (Uuid, i64),
    /// The newest event, likewise.
    pub newest: (Uuid, i64),
}

/// The cause by which events in quarantine are grouped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuarantineCause {
    /// The name of the plugin that failed.
    pub plugin: String,
    /// The code of the failure.
    pub code: FailureCode,
    /// The message without the name and version of the plugin, and with `#` for each word that has a digit.
    pub pattern: String,
}

impl QuarantineCause {
    /// Returns the cause of a failure. `tried` has the called versions as `NAME@SHA256`.
    pub fn new(code: FailureCode, tried: &[String], message: &str) -> Self {
        let names = || tried.iter().filter_map(|version| version.split('@').next());
        // The message of a failure begins with the plugin and its version, `edr 1.2.0: …`. The version is not a cause.
        let (begin, text) = message.split_once(": ").unwrap_or_default();
        let named = begin.split_once(' ').map(|(name, _)| name).filter(|named| names().any(|name| name == *named));
        let plugin = named.or_else(|| names().next_back()).unwrap_or_default().to_owned();
        Self { plugin, code, pattern: failure_pattern(if named.is_some() { text } else { message }) }
    }

    /// Returns the id of the group of an event with a state, if the event is in quarantine.
    pub(crate) fn group_of(state: &EventState, tried: &[String]) -> Option<String> {
        let code = state.code.filter(|_| state.status == EventStatus::Quarantined)?;
        Some(Self::new(code, tried, state.message.as_deref().unwrap_or_default()).group_id())
    }

    /// Returns the id of the group with this cause, which is the same on every host.
    pub(crate) fn group_id(&self) -> String {
        let mut digest = Sha256::new();
        for part in [&*self.plugin, self.code.as_str(), &*self.pattern] {
            digest.update(part);
            digest.update([0]);
        }
        hex::encode(&digest.finalize()[..ID_BYTES])
    }
}
