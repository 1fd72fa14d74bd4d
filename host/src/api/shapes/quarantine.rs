//! Groups of the quarantine.

use crate::api::time::timestamp;
use crate::quarantine::GroupResult;
use hookmill_incident::{EventStatus, FailureCode};
use hookmill_store::QuarantineGroup;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Events in quarantine with the same cause.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownQuarantineGroup {
    /// The id, which depends on `plugin`, `code` and `message` only.
    pub id: String,
    /// The name of the plugin that failed.
    pub plugin: String,
    /// The kind of failure.
    pub code: FailureCode,
    /// The failure in words, with `#` for each word that has a digit.
    pub message: String,
    /// The number of events.
    pub count: u64,
    /// When the oldest event was received.
    pub first_at: Timestamp,
    /// When the newest event was received.
    pub last_at: Timestamp,
    /// The sources of the events.
    pub sources: Vec<String>,
    /// The id of the newest event.
    pub newest: Uuid,
}

/// The results of mapping events of a group again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GroupReplayResult {
    /// The number of events that were mapped.
    pub events: usize,
    /// The number of them that made or changed incidents.
    pub mapped: usize,
    /// The number of them of which parts could not be mapped.
    pub partial: usize,
    /// The number of them that make no incident.
    pub ignored: usize,
    /// The number of them that stay in quarantine, because they still fail.
    pub failed: usize,
    /// The number of results that were recorded; 0 in a dry run.
    pub replayed: usize,
    /// The causes of the events that still fail.
    pub failures: Vec<GroupReplayFailure>,
    /// The `cursor` of the next events; null after the last one.
    pub next_cursor: Option<String>,
}

/// Events that still fail for the same reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupReplayFailure {
    /// The kind of failure; null if no mapper was called.
    pub code: Option<FailureCode>,
    /// The failure of `sample` in words.
    pub message: String,
    /// The number of events.
    pub count: usize,
    /// The id of one of the events.
    pub sample: Uuid,
}

/// The body of a discard.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscardRequest {
    /// The reason, for the event and the trail of operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The newest event that is discarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Uuid>,
}

/// The number of discarded events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DiscardedGroup {
    /// The number.
    pub discarded: usize,
    /// True if the group has more events, which a further request discards.
    pub has_more: bool,
}

impl From<QuarantineGroup> for ShownQuarantineGroup {
    fn from(group: QuarantineGroup) -> Self {
        Self {
            id: group.id,
            plugin: group.cause.plugin,
            code: group.cause.code,
            message: group.cause.pattern,
            count: group.count,
            first_at: timestamp(group.oldest.1),
            last_at: timestamp(group.newest.1),
            sources: group.sources.into_iter().collect(),
            newest: group.newest.0,
        }
    }
}

impl GroupReplayResult {
    /// Adds the results of further events.
    pub fn add(&mut self, further: Self) {
        self.events += further.events;
        self.mapped += further.mapped;
        self.partial += further.partial;
        self.ignored += further.ignored;
        self.failed += further.failed;
        self.replayed += further.replayed;
        for failure in further.failures {
            let is_same =
                |known: &&mut GroupReplayFailure| (known.code, &known.message) == (failure.code, &failure.message);
            match self.failures.iter_mut().find(is_same) {
                Some(known) => known.count += failure.count,
                None => self.failures.push(failure),
            }
        }
        self.next_cursor = further.next_cursor;
    }

    /// Converts a result, with the cursor of its next events.
    pub(crate) fn new(result: GroupResult, next_cursor: Option<String>) -> Self {
        let count = |status| result.statuses.get(&status).copied().unwrap_or_default();
        Self {
            events: result.statuses.values().sum(),
            mapped: count(EventStatus::Mapped),
            partial: count(EventStatus::Partial),
            ignored: count(EventStatus::Ignored),
            failed: count(EventStatus::Quarantined),
            replayed: result.recorded,
            failures: result
                .failures
                .into_iter()
                .map(|((code, _), failure)| GroupReplayFailure {
                    code,
                    message: failure.message,
                    count: failure.count,
                    sample: failure.sample,
                })
                .collect(),
            next_cursor,
        }
    }
}
