//! Passes items to the pipeline.

use super::detail::JoinedDetail;
use super::item::{BATCH_BYTES, BATCH_ITEMS, Item};
use super::read_error::ReadError;
use crate::pipeline::Pipeline;
use crate::source::Source;
use crate::traces::Trace;
use crate::verify::Verified;
use hookmill_connection::{Code, Failure, sanitize};
use hookmill_incident::{Event, RepeatKey};
use hookmill_store::{Cursor, Grant, Store, StoreError};
use jiff::Timestamp;
use serde_json::Value;
use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;
use std::vec::IntoIter;
use tracing::{debug, warn};

/// The path from the items of a source into the pipeline.
#[derive(Clone, Debug)]
pub(super) struct Intake {
    pub pipeline: Arc<Pipeline>,
    pub store: Arc<Store>,
    /// The lease under which the source is read.
    pub under: Grant,
}

/// Returns the event of an item, with a new id.
pub(super) fn event_of(store: &Store, source: &Source, item: Item) -> Event {
    Event {
        id: store.new_id(),
        source: source.name.clone(),
        received_at: store.clock().now_ms(),
        content_type: Some("application/json".to_owned()),
        headers: Vec::new(),
        context: item.context,
        digest: item.digest,
        body: item.body,
        repeat_key: RepeatKey::DeliveryId(item.identity),
        traceparent: None,
    }
}

impl Intake {
    /// Maps items, `concurrency` at the same time, and stores them in batches; the last batch is stored together with
    /// `position`. A batch is stored completely even if the source's task is aborted. The items belong to the trace.
    pub async fn accept(
        &self,
        source: &Arc<Source>,
        items: Vec<Item>,
        concurrency: usize,
        position: Option<Cursor>,
        trace: &Trace,
    ) -> Result<(), ReadError> {
        let mut items = items.into_iter().peekable();
        loop {
            let batch = next_batch(&mut items);
            let is_last = items.peek().is_none();
            let position = position.clone().filter(|_| is_last);
            if !batch.is_empty() || position.is_some() {
                let (intake, source, trace) = (self.clone(), source.clone(), trace.clone());
                let accepted = intake.accept_batch(source, batch, concurrency, position, trace);
                let task = tokio::spawn(accepted);
                task.await.map_err(|error| Failure::new(Code::Store, error.to_string()))??;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn accept_batch(
        self,
        source: Arc<Source>,
        batch: Vec<Item>,
        concurrency: usize,
        position: Option<Cursor>,
        trace: Trace,
    ) -> Result<(), StoreError> {
        batch.iter().for_each(|_| self.pipeline.received(Some(&source)));
        let verified = batch.into_iter().map(|item| {
            let event = Event { traceparent: trace.traceparent(), ..event_of(&self.store, &source, item) };
            Verified::trusted(event, source.clone()).in_trace(trace.clone())
        });
        let recorded =
            self.pipeline.accept_batch(&self.under, &source, verified.collect(), concurrency, position, &trace).await?;
        debug!(source = %source.name, items = recorded.len(), "read");
        Ok(())
    }

    /// Counts an item that exceeds the source's payload limit.
    pub fn refuse_item(&self, source: &Source) {
        let (bytes_max, code) = (source.settings.payload_bytes_max, "payload_too_large");
        let text = format!("an item of more than {bytes_max} bytes was left out; raise `payload_mib`");
        warn!(source = %source.name, code, "{text}");
        self.pipeline.received(Some(source));
        self.pipeline.refused(Some(source), code, &text);
    }

    /// Records that the server sent the details of only some of these items. If `detail` is wrong, this is how it shows.
    pub fn record_missing(&self, source: &Source, ids: &[Value], found: usize) {
        let text = match ids {
            [id] => {
                let id = sanitize(&id.to_string());
                format!("the server does not have the details of the item {id} any more; the item is passed over")
            }
            _ => format!("the server sent details of {found} of {} items; the others are passed over", ids.len()),
        };
        self.record_answer(source, &text);
    }

    /// Counts the details of an item as refused: the server does not answer a request with its id, even alone.
    pub fn refuse_detail(&self, source: &Source, id: &Value, failure: &Failure) {
        let (id, code) = (sanitize(&id.to_string()), failure.code.as_str());
        let text = format!("the details of the item {id} cannot be read; the item is passed over: {}", failure.text);
        warn!(source = %source.name, code, "{text}");
        self.pipeline.received(Some(source));
        self.pipeline.refused(Some(source), code, &text);
    }

    /// Records that an item is stored without the details that belong into it.
    pub fn record_without_details(&self, source: &Source, joined: &JoinedDetail, item: &[u8], reason: &str) {
        let id = joined.detail.id_of(item).map_or_else(String::new, |id| format!(" {}", sanitize(&id.to_string())));
        let text = format!("the item{id} is stored without its details at {}: {reason}", joined.into);
        self.record_answer(source, &text);
    }

    /// Records that the details of an item are used without their last pages.
    pub fn record_cut(&self, source: &Source) {
        let text = "the details of an item have more pages than an item may be large, or than can be read; the item is stored \
                    without these pages";
        self.record_answer(source, text);
    }

    /// Records that a file was not read, or not to its end.
    pub fn record_missing_file(&self, source: &Source, file: &str, reason: &str) {
        self.record_answer(source, &format!("the file {} {reason}; the rest is read without it", sanitize(file)));
    }

    /// Records that items of a list name no file that may be fetched.
    pub fn record_without_file(&self, source: &Source, count: usize) {
        let text = format!(
            "{count} items of the list have no URL at `files.url`, or one of a host that `files.hosts` does not name; they are \
             passed over"
        );
        self.record_answer(source, &text);
    }

    /// Records that the server does not know the position any more that it named.
    pub fn record_forgotten(&self, source: &Source, error: &ReadError) {
        let text = format!(
            "the server does not continue at its own position, so that the time is used: {}",
            error.failure.text
        );
        self.record_answer(source, &text);
    }

    /// Records that the server does not have the items between two times any more.
    pub fn record_lost(&self, source: &Source, since_ms: i64, until_ms: i64) {
        let time = |ms| Timestamp::from_millisecond(ms).map(|time| time.to_string()).unwrap_or_default();
        let text = format!(
            "the items from {} to {} were not read: the server keeps items for the time in `history` only",
            time(since_ms),
            time(until_ms)
        );
        self.record_answer(source, &text);
    }

    fn record_answer(&self, source: &Source, text: &str) {
        self.pipeline.failed(source, Code::Answer.as_str(), text);
        warn!(source = %source.name, "{text}");
    }

    /// Records that a source could not be read, and that the next attempt follows after `wait`.
    pub fn record_error(&self, source: &Source, error: &ReadError, wait: Duration) {
        let (failure, seconds) = (&error.failure, wait.as_secs_f32().ceil());
        self.pipeline.failed(source, failure.code.as_str(), &failure.text);
        warn!(source = %source.name, "cannot read the source, next attempt in {seconds} s: {failure}");
    }
}

fn next_batch(items: &mut Peekable<IntoIter<Item>>) -> Vec<Item> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < BATCH_ITEMS
        && bytes < BATCH_BYTES
        && let Some(item) = items.next()
    {
        bytes += item.body.len();
        batch.push(item);
    }
    batch
}
