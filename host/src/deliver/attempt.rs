//! One attempt: prepares the message of a delivery, sends it, and decides what follows.

use super::context::DeliveryContext;
use super::destination::Destination;
use super::prepare::prepare;
use super::retry_schedule::ASKED_JITTER_MAX;
use super::send_context::SendContext;
use super::send_result::SendResult;
use crate::traces::Trace;
use hookmill_connection::{Code, Failure, with_jitter};
use hookmill_store::{Attempt, Attempted, DueDelivery, Health, Message, Next};
use reqwest::StatusCode;
use std::time::{Duration, Instant};
use tracing::{debug, info};
use uuid::Uuid;

/// The result of an attempt, not recorded yet.
#[derive(Debug)]
pub(super) struct AttemptResult {
    /// The part that is stored.
    pub attempted: Attempted,
    /// The receiver's `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The wait that a busy receiver asks for.
    pub asked_wait: Option<Duration>,
    /// Whether the receiver answered 410 Gone.
    pub is_gone: bool,
}

impl AttemptResult {
    /// Returns the result of an attempt whose task panicked.
    pub fn panicked(destination: &Destination, delivery: Uuid, attempts: u32, now: i64) -> Self {
        let failure = Failure::new(Code::Request, "the attempt ended abruptly; see the host's log");
        let (next, health) = (next_attempt(destination, attempts, None, now), Health::Unknown);
        let attempt = SendResult::Failed(failure).into_attempt(now, 0);
        let attempted = Attempted { delivery, attempt, next, health };
        Self { attempted, retry_after: None, asked_wait: None, is_gone: false }
    }
}

/// Makes one attempt.
pub(super) async fn attempt(
    destination: &Destination,
    delivery: DueDelivery,
    context: &DeliveryContext,
) -> AttemptResult {
    let clock = context.store.clock();
    let (at, started) = (clock.now_ms(), Instant::now());
    let mut span = context.traces.later("deliver", delivery.traceparent.as_deref());
    let sent = prepare_and_send(destination, &delivery, context, &span.trace()).await;
    let duration_ms = started.elapsed().as_millis() as i64;
    let (retry_after, asked_wait, is_gone) = match &sent {
        SendResult::Refused(answer) => (answer.retry_after, answer.asked_wait(), answer.status == StatusCode::GONE),
        // A token endpoint that is busy.
        SendResult::Failed(failure) => (failure.asked_wait, failure.asked_wait, false),
        _ => (None, None, false),
    };
    let used_steps = delivery.attempts.saturating_sub(delivery.asked_waits);
    let (next, health) = decide(&sent, || match asked_wait {
        Some(wait) => {
            let wait = with_jitter(wait).min(wait + ASKED_JITTER_MAX);
            Next::Retry(clock.now_ms() + wait.as_millis() as i64)
        }
        None => next_attempt(destination, used_steps, retry_after, clock.now_ms()),
    });
    let result = metric_label(&sent, next);
    context.metrics.delivery(&destination.name, result);
    let attempt = sent.into_attempt(at, duration_ms);
    span.set("hookmill.destination", &*destination.name);
    span.set("hookmill.delivery.id", delivery.id);
    span.set("hookmill.delivery.attempt", i64::from(delivery.attempts) + 1);
    span.set("hookmill.delivery.result", result);
    if let Some(code) = attempt.code {
        span.fail(code);
    }
    log(destination, &delivery, &attempt, next);
    let attempted = Attempted { delivery: delivery.id, attempt, next, health };
    AttemptResult { attempted, retry_after, asked_wait, is_gone }
}

/// Decides the next step after an attempt, and whether the attempt counts for the health of the destination.
fn decide(sent: &SendResult, retry: impl Fn() -> Next) -> (Next, Health) {
    match sent {
        SendResult::Arrived(_) | SendResult::Partial(..) => (Next::Delivered, Health::Well),
        SendResult::Unfinished(_) => (retry(), Health::Well),
        SendResult::Skipped(_) => (Next::Delivered, Health::Unknown),
        SendResult::Refused(answer) if answer.status == StatusCode::GONE => (Next::Dead, Health::Failing),
        SendResult::Refused(answer) if is_final(answer.status) => (Next::Dead, Health::Unknown),
        SendResult::Refused(_) => (retry(), Health::Failing),
        SendResult::Failed(failure) if failure.code == Code::Request => (retry(), Health::Unknown),
        SendResult::Failed(_) => (retry(), Health::Failing),
        SendResult::Impossible(_) => (Next::Dead, Health::Unknown),
    }
}

fn metric_label(sent: &SendResult, next: Next) -> &'static str {
    match (sent, next) {
        (SendResult::Skipped(_), _) => "skipped",
        (_, Next::Delivered) => "delivered",
        (_, Next::Retry(_)) => "retry",
        (_, Next::Dead) => "dead",
    }
}

fn log(destination: &Destination, delivery: &DueDelivery, attempt: &Attempt, next: Next) {
    let request_id = delivery.message.as_ref().map(Message::request_id).unwrap_or_default();
    let number = delivery.attempts + 1;
    match &attempt.error {
        Some(error) => info!(request_id, destination = destination.name, delivery = %delivery.id, attempt = number,
            next = ?next, "delivery attempt: {error}"),
        None => {
            debug!(request_id, destination = destination.name, delivery = %delivery.id, attempt = number, "delivered")
        }
    }
}

async fn prepare_and_send(
    destination: &Destination,
    delivery: &DueDelivery,
    context: &DeliveryContext,
    trace: &Trace,
) -> SendResult {
    let notifications = context.notifications.load();
    let content = match destination.content_of(delivery, &notifications) {
        Ok(content) => content,
        Err(reason) => return SendResult::Impossible(Failure::new(Code::Request, reason)),
    };
    let message = prepare(content, destination, delivery, &context.loaded, &context.public_url.load()).await;
    let context = SendContext { id: delivery.id, clock: context.store.clock(), trace };
    destination.channel.send(message, context).await
}

/// Returns whether a receiver would answer another attempt in the same way.
fn is_final(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 405 | 413 | 415 | 422)
}

fn next_attempt(destination: &Destination, used_steps: u32, retry_after: Option<Duration>, now: i64) -> Next {
    let Some(wait) = destination.retry_schedule.wait(used_steps) else { return Next::Dead };
    let wait = with_jitter(wait).max(retry_after.unwrap_or_default());
    Next::Retry(now + wait.as_millis() as i64)
}
