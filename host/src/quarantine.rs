//! The quarantine healed by groups: what a version of a mapper does with the events of a group, and their replay.

use crate::pipeline::{Pipeline, RemapError};
use anyhow::Result;
use hookmill_incident::id::row_key;
use hookmill_incident::{EventStatus, FailureCode, MappingFailure, Verdict};
use hookmill_sandbox::Plugin;
use hookmill_store::{EventRow, QuarantineCause, Store, StoreError};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// The time after which no further event of a request is mapped, so that its answer comes before clients give up.
const TIME_MAX: Duration = Duration::from_secs(10);
/// The number of failures that an answer names.
const FAILURES_MAX: usize = 50;

/// Events of one group to be mapped again.
#[derive(Debug)]
pub struct GroupReplay {
    /// The id of the group.
    pub group: String,
    /// The keys of the events.
    pub keys: RangeInclusive<i64>,
    /// The maximum number of events.
    pub limit: usize,
    /// The version that maps; without one, the live mappers of each event's source.
    pub version: Option<Arc<Plugin>>,
    /// The results that are recorded. An event with another result stays as it is.
    pub recorded: Vec<EventStatus>,
}

/// The results of mapping events of a group again.
#[derive(Debug, Default)]
pub struct GroupResult {
    /// The number of events by result.
    pub statuses: BTreeMap<EventStatus, usize>,
    /// The number of recorded results.
    pub recorded: usize,
    /// The causes of events that stay in quarantine, by code and pattern of the message. Without a code no mapper was called.
    pub failures: BTreeMap<(Option<FailureCode>, String), GroupFailure>,
    /// The key of the last event, if there are more.
    pub next: Option<i64>,
}

/// Events that still fail for the same reason.
#[derive(Debug)]
pub struct GroupFailure {
    /// The message of the first event.
    pub message: String,
    /// The id of the first event.
    pub sample: Uuid,
    /// The number of events.
    pub count: usize,
}

/// Maps events of a group again, the oldest first and one after the other, and records the results that are to be recorded.
///
/// # Errors
/// Returns an error if the store fails.
pub async fn replay_group(store: &Store, pipeline: &Pipeline, replay: &GroupReplay) -> Result<GroupResult> {
    let page = store.quarantined(replay.group.clone(), replay.keys.clone(), replay.limit).await?;
    let (mut result, end) = (GroupResult { next: page.next, ..GroupResult::default() }, Instant::now() + TIME_MAX);
    let mut ids = page.rows.into_iter().peekable();
    while let Some(id) = ids.next() {
        match store.event(id).await? {
            Some(Ok(row)) => replay_one(pipeline, replay, row, &mut result).await?,
            Some(Err(unreadable)) => result.fail(id, None, unreadable.error.clone(), unreadable.error),
            None => {}
        }
        if ids.peek().is_some() && Instant::now() > end {
            result.next = Some(row_key(id));
            break;
        }
    }
    Ok(result)
}

async fn replay_one(
    pipeline: &Pipeline,
    replay: &GroupReplay,
    row: EventRow,
    result: &mut GroupResult,
) -> Result<(), StoreError> {
    let (id, attempts) = (row.state.id, row.attempts);
    if row.state.status != EventStatus::Quarantined {
        return Ok(());
    }
    let mapped = match pipeline.map_stored(row, replay.version.clone()).await {
        Ok(mapped) => mapped,
        Err(RemapError::Store(error)) => return Err(error),
        Err(error) => {
            result.fail(id, None, error.to_string(), error.to_string());
            return Ok(());
        }
    };
    let status = mapped.verdict.status();
    match &mapped.verdict {
        Verdict::Failed(MappingFailure { code, message }) => {
            let cause = QuarantineCause::new(*code, &mapped.tried, message);
            result.fail(id, Some(*code), cause.pattern, message.clone());
            return Ok(());
        }
        Verdict::Wait(reason) => {
            result.fail(id, None, reason.clone(), reason.clone());
            return Ok(());
        }
        Verdict::Read { .. } | Verdict::NotMapped(_) => {}
    }
    if replay.recorded.contains(&status) {
        match pipeline.record_again(mapped, EventStatus::Quarantined, attempts + 1).await {
            Ok(_) => result.recorded += 1,
            Err(RemapError::Store(error)) => return Err(error),
            // The event was replayed or discarded meanwhile.
            Err(_) => return Ok(()),
        }
    }
    *result.statuses.entry(status).or_default() += 1;
    Ok(())
}

impl GroupResult {
    fn fail(&mut self, id: Uuid, code: Option<FailureCode>, pattern: String, message: String) {
        *self.statuses.entry(EventStatus::Quarantined).or_default() += 1;
        let is_full = self.failures.len() == FAILURES_MAX;
        match self.failures.entry((code, pattern)) {
            Entry::Occupied(mut known) => known.get_mut().count += 1,
            Entry::Vacant(new) if !is_full => {
                new.insert(GroupFailure { message, sample: id, count: 1 });
            }
            Entry::Vacant(_) => {}
        }
    }
}
