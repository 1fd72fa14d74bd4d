//! The queue of spans that have ended, and the task that sends them to the collector.
//!
//! The end of a span never waits: a span that finds the queue full is counted and dropped.

use super::collector::{Collector, ExportError};
use crate::metrics::Metrics;
use crate::rate_limit::RateLimit;
use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::warn;

/// The number of spans that may wait; each has a few hundred bytes.
const QUEUE_MAX: usize = 4096;
/// The number of spans in one request.
const BATCH_MAX: usize = 512;
/// The time for which a request waits for further spans.
const BATCH_WAIT: Duration = Duration::from_secs(1);
/// The pauses between the attempts to send one request.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// The longest pause that a busy collector can ask for.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(60);
/// The time between two lines in the log about a collector that fails.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// A stopping host waits so long for the collector.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// The entrance of the queue.
#[derive(Debug)]
pub(super) struct SpanQueue {
    sender: mpsc::Sender<SpanData>,
    metrics: Arc<Metrics>,
}

/// The running task that sends spans.
#[derive(Debug)]
pub struct ExportTask {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Exporter {
    queue: mpsc::Receiver<SpanData>,
    collector: Collector,
    metrics: Arc<Metrics>,
    logged_failures: RateLimit,
}

impl SpanQueue {
    /// Returns the queue's entrance, and the task that was started at its other end.
    pub fn start(collector: Collector, metrics: Arc<Metrics>) -> (Self, ExportTask) {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let logged_failures = RateLimit::one_in(LOG_INTERVAL);
        let exporter = Exporter { queue, collector, metrics: metrics.clone(), logged_failures };
        let (stop, stopped) = watch::channel(false);
        (Self { sender, metrics }, ExportTask { stop, task: tokio::spawn(exporter.run(stopped)) })
    }
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.sender.try_send(span).is_err() {
            self.metrics.spans_dropped(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl ExportTask {
    /// Sends the spans that wait, as far as the collector takes them in time, and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if timeout(STOP_WAIT, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Exporter {
    /// Sends spans until `stopped` is set, then those that wait.
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                received = self.queue.recv_many(&mut batch, BATCH_MAX) => if received == 0 { return },
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
            let until = Instant::now() + BATCH_WAIT;
            while let room @ 1.. = BATCH_MAX - batch.len()
                && let Ok(1..) = timeout_at(until, self.queue.recv_many(&mut batch, room)).await
            {}
            self.export(std::mem::take(&mut batch), &mut stopped).await;
        }
        self.queue.close();
        let mut is_taken = true;
        while is_taken && self.queue.recv_many(&mut batch, BATCH_MAX).await > 0 {
            is_taken = self.export(std::mem::take(&mut batch), &mut stopped).await;
        }
    }

    /// Sends spans, again after a pause if the collector may take them then; only once while the host stops. Returns
    /// whether the collector took the request.
    async fn export(&self, spans: Vec<SpanData>, stopped: &mut watch::Receiver<bool>) -> bool {
        let count = spans.len() as u64;
        let body = self.collector.body(spans);
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match self.collector.send(body.clone()).await {
                Ok(rejected) => {
                    self.metrics.spans_dropped(rejected);
                    return true;
                }
                Err(error) => error,
            };
            self.log(&error);
            let Some(pause) = pauses.next().filter(|_| error.is_temporary && !*stopped.borrow()) else {
                self.metrics.spans_dropped(count);
                return false;
            };
            tokio::select! {
                () = sleep(error.asked_wait.map_or(pause, |wait| wait.min(ASKED_WAIT_MAX))) => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        }
    }

    fn log(&self, error: &ExportError) {
        if self.logged_failures.check().is_ok() {
            warn!("the collector does not take traces, which are dropped meanwhile: {}", error.text);
        }
    }
}
