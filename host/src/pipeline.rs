//! The pipeline: receive → verify → map → store → deliver.
//!
//! Deliveries, playbooks and further attempts to map queued events are other tasks, which the store wakes by its
//! topics.

mod dry_run;

pub use dry_run::{DryRun, IncidentChanges, Stage};

use crate::aws::Aws;
use crate::handshake::{self, NotConfirmed};
use crate::issuers::Issuers;
use crate::map::{ATTEMPTS, Mappers};
use crate::metrics::{Metrics, UNKNOWN};
use crate::rate_limit::RateLimited;
use crate::source::{Source, SourceKind};
use crate::sources::Sources;
use crate::traces::{Span, Trace, Traces};
use crate::verify::{self, Refusal, Unverified, Verified};
use axum::response::Response;
use hookmill_incident::{EventState, EventStatus, Mapped, Verdict};
use hookmill_sandbox::Plugin;
use hookmill_store::{Cursor, EventRow, Grant, LastError, Recorded, Store, StoreError, Tally};
use std::sync::Arc;
use tokio::task::{JoinError, JoinSet};
use tracing::info;

/// The stages and the parts that they use.
#[derive(Debug)]
pub struct Pipeline {
    aws: Aws,
    issuers: Issuers,
    mappers: Mappers,
    sources: Arc<Sources>,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    traces: Traces,
}

/// The result of a payload that was accepted.
#[derive(Debug)]
pub enum AcceptedPayload {
    /// The payload is stored as an event.
    Recorded(Recorded),
    /// The payload was a handshake, and this is the answer.
    Handshake(Response),
}

/// The reason why a payload is not accepted. Nothing is stored.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The payload cannot be verified.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The source has sent too many payloads.
    #[error(transparent)]
    RateLimited(#[from] RateLimited),
    /// The handshake cannot be answered.
    #[error(transparent)]
    NotConfirmed(#[from] NotConfirmed),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The reason why an event was not mapped again.
#[derive(Debug, thiserror::Error)]
pub enum RemapError {
    /// The source is no longer registered.
    #[error("its source is no longer registered")]
    NoSource,
    /// Retention removed the payload.
    #[error("its payload was removed by retention")]
    NoPayload,
    /// The event was mapped before, and could not be mapped now.
    #[error("it could not be mapped now ({}), so it is kept unchanged", .0.reason())]
    Worse(Box<Verdict>),
    /// The event changed at the same time.
    #[error("the event was changed at the same time; look at its new state")]
    Changed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Pipeline {
    /// Creates a pipeline that verifies with certificates of `aws` and keys of `issuers`, maps with `mappers` and records in `store`.
    pub fn new(
        aws: Aws,
        issuers: Issuers,
        mappers: Mappers,
        sources: Arc<Sources>,
        store: Arc<Store>,
        metrics: Arc<Metrics>,
        traces: Traces,
    ) -> Self {
        Self { aws, issuers, mappers, sources, store, metrics, traces }
    }

    /// Counts a payload that arrived; `None` stands for a source that is not registered.
    pub fn received(&self, source: Option<&Source>) {
        self.metrics.received(source.map_or(UNKNOWN, |source| &source.name));
        if let Some(source) = source {
            source.tally.count(|tally| tally.received += 1);
        }
    }

    /// Counts a payload that was refused. Nothing of it is stored.
    pub fn refused(&self, source: Option<&Source>, code: &str, message: &str) {
        match source {
            Some(source) => {
                source.tally.count(|tally| tally.refused += 1);
                self.failed(source, code, message);
            }
            None => self.metrics.error(UNKNOWN, code),
        }
    }

    /// Counts an error of a source, and keeps it as the last one.
    pub fn failed(&self, source: &Source, code: &str, message: &str) {
        self.metrics.error(&source.name, code);
        let now = self.store.clock().now_ms();
        source.tally.count(|tally| tally.last_error = Some(LastError::new(now, code, message)));
    }

    /// Takes one payload through all stages.
    ///
    /// # Errors
    /// Returns an error if the payload is not accepted. Nothing is stored then.
    pub async fn accept(&self, unverified: Unverified) -> Result<AcceptedPayload, AcceptError> {
        let verified = verify::verify(unverified, &self.aws, &self.issuers).await?;
        // After the signature, so that others cannot use up the rate limit of a source.
        verified.source().settings.rate_limit.check()?;
        if let Some(answer) = handshake::answer(&verified, &self.aws).await? {
            return Ok(AcceptedPayload::Handshake(answer));
        }
        let (source, trace) = (verified.source().clone(), verified.trace().clone());
        let mapped = self.mappers.map(verified, 1).await;
        self.mappers.remember(&source, &mapped.verdict);
        let recorded = committed(&trace, self.store.record(mapped)).await?;
        self.count(&source, &recorded);
        Ok(AcceptedPayload::Recorded(recorded))
    }

    /// Begins the span of reading new items of a source.
    pub fn pull_span(&self, source: &Source) -> Span {
        self.traces.pull(&source.name)
    }

    /// Maps a batch that was pulled from a source, at most `concurrency` events at the same time, and records the
    /// events together with the new position in the source, under the lease of the source and in the trace of the pull.
    ///
    /// # Errors
    /// Returns an error if the batch cannot be recorded; then no event of the batch is stored.
    pub async fn accept_batch(
        self: &Arc<Self>,
        under: &Grant,
        source: &Arc<Source>,
        batch: Vec<Verified>,
        concurrency: usize,
        position: Option<Cursor>,
        trace: &Trace,
    ) -> Result<Vec<Recorded>, StoreError> {
        let mapped = self.map_batch(source, batch, concurrency).await?;
        let recorded = committed(trace, self.store.record_pulled(under, source.name.clone(), mapped, position)).await?;
        recorded.iter().for_each(|recorded| self.count(source, recorded));
        Ok(recorded)
    }

    /// Maps the events of a batch at the same time, and returns the results in the order of the batch.
    async fn map_batch(
        self: &Arc<Self>,
        source: &Arc<Source>,
        batch: Vec<Verified>,
        concurrency: usize,
    ) -> Result<Vec<Mapped>, StoreError> {
        let mut mapped: Vec<(usize, Mapped)> = Vec::with_capacity(batch.len());
        let mut running = JoinSet::new();
        for (index, verified) in batch.into_iter().enumerate() {
            if running.len() >= concurrency {
                mapped.extend(ended(running.join_next().await)?);
            }
            let pipeline = self.clone();
            running.spawn(async move { (index, pipeline.mappers.map(verified, 1).await) });
        }
        while !running.is_empty() {
            mapped.extend(ended(running.join_next().await)?);
        }
        mapped.sort_by_key(|(index, _)| *index);
        let mapped = mapped.into_iter().map(|(_, mapped)| mapped);
        Ok(mapped.inspect(|mapped| self.mappers.remember(source, &mapped.verdict)).collect())
    }

    /// Maps a stored event again, with this mapper or those of its source, and records the result. A queued event for which
    /// no plugin can be called stays as it is.
    ///
    /// # Errors
    /// Returns an error if the event stays as it is.
    pub async fn remap(&self, row: EventRow, mapper: Option<Arc<Plugin>>) -> Result<Recorded, RemapError> {
        let source = self.source_of(&row)?;
        let (was, attempt) = (row.state.status, row.attempts + 1);
        let trace = self.traces.resume(row.event.traceparent.as_deref());
        let journey = row.journey.clone().again(self.store.clock().now_ms());
        let verified = Verified::trusted(row.event, source.clone()).in_trace(trace.clone()).on_journey(journey);
        let is_chosen = mapper.is_some();
        let mut mapped = self.map_again(mapper, verified, attempt).await;
        if !is_chosen {
            self.mappers.remember(&source, &mapped.verdict);
        }
        refuse_worse(was, &mapped.verdict)?;
        let mut attempts = attempt;
        if matches!(mapped.verdict, Verdict::Wait(_)) && mapped.tried.is_empty() {
            if was == EventStatus::Queued {
                // Recording it would wake the task that maps queued events, which would call this function again at once.
                return Ok(Recorded { state: row.state, duplicate: false });
            }
            // No plugin was called, so this does not count as an attempt.
            (mapped.tried, mapped.journey, attempts) = (row.tried, row.journey, row.attempts);
        }
        self.record_again(mapped, was, attempts).await
    }

    /// Records the result of mapping a stored event again.
    ///
    /// # Errors
    /// Returns an error if the event's status is no longer `was`, or the store fails.
    pub async fn record_again(&self, mapped: Mapped, was: EventStatus, attempts: u32) -> Result<Recorded, RemapError> {
        let source = mapped.event.source.clone();
        let trace = self.traces.resume(mapped.event.traceparent.as_deref());
        let recorded = committed(&trace, self.store.record_again(mapped, was, attempts)).await?;
        let recorded = recorded.ok_or(RemapError::Changed)?;
        if let Some(source) = self.sources.get(&source).filter(|_| is_success(recorded.state.status)) {
            source.tally.count(|tally| tally.last_success = Some(self.store.clock().now_ms()));
        }
        self.metrics.event(&source, recorded.state.status);
        Ok(recorded)
    }

    /// Returns the mappers that payloads of a source are given to.
    pub fn mappers_of(&self, source: &Source) -> Vec<Arc<Plugin>> {
        self.mappers.available(source)
    }

    /// Maps a stored event again and records nothing. Without a version the live mappers of the source are called.
    ///
    /// # Errors
    /// Returns an error if the event would stay as it is.
    pub async fn map_stored(&self, row: EventRow, version: Option<Arc<Plugin>>) -> Result<Mapped, RemapError> {
        let source = self.source_of(&row)?;
        let was = row.state.status;
        let journey = row.journey.again(self.store.clock().now_ms());
        let mapped = self.map_again(version, Verified::trusted(row.event, source).on_journey(journey), ATTEMPTS).await;
        refuse_worse(was, &mapped.verdict)?;
        Ok(mapped)
    }

    async fn map_again(&self, mapper: Option<Arc<Plugin>>, verified: Verified, attempt: u32) -> Mapped {
        match mapper {
            Some(mapper) => self.mappers.map_with(vec![Ok(mapper)], verified, attempt).await,
            None => self.mappers.map(verified, attempt).await,
        }
    }

    /// Returns the source of an event that still has its payload.
    fn source_of(&self, row: &EventRow) -> Result<Arc<Source>, RemapError> {
        if row.body_removed_at.is_some() {
            return Err(RemapError::NoPayload);
        }
        self.sources.get(&row.event.source).ok_or(RemapError::NoSource)
    }

    /// Counts the result of a payload, and logs why it was not mapped.
    fn count(&self, source: &Source, recorded: &Recorded) {
        let Recorded { state, duplicate, .. } = recorded;
        let now = self.store.clock().now_ms();
        source.tally.count(|tally| {
            if !duplicate || source.settings.kind == SourceKind::Webhook {
                tally.last_received_at = Some(now);
            }
            count(tally, state, *duplicate, now);
        });
        if !duplicate {
            self.metrics.event(&source.name, state.status);
        }
        if let Some(code) = state.code.filter(|_| !duplicate) {
            self.metrics.error(&source.name, code.as_str());
            info!(request_id = %state.id, source = %source.name, code = code.as_str(), "event quarantined: {}",
                state.message.as_deref().unwrap_or_default().replace('\n', "; "));
        }
    }
}

/// Waits for a write, as a span of a trace.
///
/// # Errors
/// Returns an error if the write fails.
pub async fn committed<T>(trace: &Trace, write: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let mut span = trace.step("commit");
    write.await.inspect_err(|_| span.fail("store"))
}

fn count(tally: &mut Tally, state: &EventState, duplicate: bool, now: i64) {
    if duplicate {
        tally.duplicates += 1;
        return;
    }
    tally.accepted += 1;
    match (state.status, state.code) {
        (status, _) if is_success(status) => tally.last_success = Some(now),
        (_, Some(code)) => {
            tally.last_error = Some(LastError::new(now, code.as_str(), state.message.as_deref().unwrap_or_default()));
        }
        _ => {}
    }
}

/// Returns whether a mapper, or none with `plugin: none`, has read the event.
fn is_success(status: EventStatus) -> bool {
    matches!(status, EventStatus::Mapped | EventStatus::Partial | EventStatus::Ignored)
}

/// Refuses to turn a mapped event into a failed one, because its incidents exist.
fn refuse_worse(was: EventStatus, verdict: &Verdict) -> Result<(), RemapError> {
    match verdict {
        Verdict::Read { .. } | Verdict::NotMapped(_) => Ok(()),
        verdict if is_success(was) => Err(RemapError::Worse(Box::new(verdict.clone()))),
        _ => Ok(()),
    }
}

/// Returns the result of a task; `None` if there was no task.
fn ended<T>(task: Option<Result<T, JoinError>>) -> Result<Option<T>, StoreError> {
    task.transpose().map_err(|defect| StoreError::Failed(Arc::new(defect.into())))
}
