//! One attempt: what is sent is made, sent, and what came of it is recorded.

use super::content::{Content, Made};
use super::destination::{Channel, Destination, Notifications};
use super::queue::{FAILURES, STORE_PAUSE};
use crate::loaded::Loaded;
use crate::metrics::Metrics;
use arc_swap::ArcSwap;
use hookmill_connection::{Answer, Code, Failure, with_jitter};
use hookmill_incident::timestamp::unix_ms;
use hookmill_store::{Attempt, Attempted, DueDelivery, Health, Message, Next, Store, StoreError};
use reqwest::StatusCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tracing::{debug, info, warn};
use uuid::Uuid;

/// What attempts need besides their destination.
#[derive(Debug)]
pub(super) struct Office {
    pub store: Arc<Store>,
    pub loaded: Arc<Loaded>,
    pub metrics: Arc<Metrics>,
    pub notifications: ArcSwap<Notifications>,
    pub public_url: ArcSwap<String>,
    pub retry_now: ArcSwap<Vec<Arc<Notify>>>,
}

impl Office {
    pub fn new(store: Arc<Store>, loaded: Arc<Loaded>, metrics: Arc<Metrics>) -> Self {
        let (notifications, public_url, retry_now) = (ArcSwap::default(), ArcSwap::default(), ArcSwap::default());
        Self { store, loaded, metrics, notifications, public_url, retry_now }
    }
}

/// What came of sending something.
#[derive(Debug)]
pub(super) enum Sent {
    /// It is there; with the answer, where there are answers.
    Arrived(Option<Answer>),
    /// There is nothing to send, for this reason.
    Skipped(String),
    /// It was answered otherwise.
    Refused(Answer),
    /// It did not come through, and may another time.
    Failed(Failure),
    /// It cannot be sent, now or later.
    Impossible(Failure),
}

impl From<Answer> for Sent {
    fn from(answer: Answer) -> Self {
        if answer.status.is_success() { Self::Arrived(Some(answer)) } else { Self::Refused(answer) }
    }
}

/// An attempt that was made and is not recorded yet.
#[derive(Debug)]
pub(super) struct Tried {
    /// What is to be recorded of it.
    pub attempted: Attempted,
    /// How long its destination asked to be left alone.
    pub retry_after: Option<Duration>,
    /// Failures in a row, this one among them.
    pub failures: u32,
    /// Whether the receiver asks not to be called again.
    pub is_gone: bool,
}

impl Tried {
    /// An attempt that ended in a defect of the host.
    pub fn broken(destination: &Destination, delivery: Uuid, attempts: u32) -> Self {
        let failure = Failure::new(Code::Request, "the attempt ended abruptly; the host's log has more");
        let (next, health) = (next_attempt(destination, attempts, None), Health::Unknown);
        let attempt = recorded(Sent::Failed(failure), unix_ms(), 0);
        let attempted = Attempted { delivery, attempt, next, health };
        Self { attempted, retry_after: None, failures: 0, is_gone: false }
    }
}

/// Makes one attempt.
pub(super) async fn attempt(destination: &Destination, delivery: DueDelivery, office: &Office) -> Tried {
    let (at, started) = (unix_ms(), Instant::now());
    let sent = sent(destination, &delivery, office).await;
    let duration_ms = started.elapsed().as_millis() as i64;
    let retry_after = match &sent {
        Sent::Refused(answer) => answer.retry_after,
        _ => None,
    };
    let again = || next_attempt(destination, delivery.attempts, retry_after);
    let (next, health) = match &sent {
        Sent::Arrived(_) => (Next::Delivered, Health::Well),
        Sent::Skipped(_) => (Next::Delivered, Health::Unknown),
        Sent::Refused(answer) if answer.status == StatusCode::GONE => (Next::Dead, Health::Failing),
        Sent::Refused(answer) if is_final(answer.status) => (Next::Dead, Health::Unknown),
        Sent::Refused(_) => (again(), Health::Failing),
        Sent::Failed(failure) if failure.code == Code::Request => (again(), Health::Unknown),
        Sent::Failed(_) => (again(), Health::Failing),
        Sent::Impossible(_) => (Next::Dead, Health::Unknown),
    };
    let result = match (&sent, next) {
        (Sent::Skipped(_), _) => "skipped",
        (_, Next::Delivered) => "delivered",
        (_, Next::Retry(_)) => "retry",
        (_, Next::Dead) => "dead",
    };
    office.metrics.delivery(&destination.name, result);
    let is_gone = matches!(&sent, Sent::Refused(answer) if answer.status == StatusCode::GONE);
    let attempt = recorded(sent, at, duration_ms);
    let request_id = delivery.message.as_ref().map(Message::request_id).unwrap_or_default();
    let number = delivery.attempts + 1;
    match &attempt.error {
        Some(error) => info!(request_id, destination = destination.name, delivery = %delivery.id, attempt = number,
            next = ?next, "delivery attempt: {error}"),
        None => {
            debug!(request_id, destination = destination.name, delivery = %delivery.id, attempt = number, "delivered")
        }
    }
    let attempted = Attempted { delivery: delivery.id, attempt, next, health };
    Tried { attempted, retry_after, failures: 0, is_gone }
}

/// Records attempts, and disables their destination when that is what they come to. Ends when that is on disk.
pub(super) async fn record(destination: &Destination, tried: &[Tried], office: &Office) {
    let (name, store) = (&destination.name, &office.store);
    let attempts = || tried.iter().map(|tried| tried.attempted.clone()).collect();
    // What arrived is not sent again because the disk is full.
    while let Err(error) = store.record_attempts(name, attempts()).await {
        pause(name, &error).await;
    }
    let Some(reason) = reason_to_disable(destination, tried, store) else { return };
    warn!(destination = name, "destination disabled: {reason}; `hookmill destinations enable {name}` enables it again");
    while let Err(error) = store.disable_destination(name, reason.to_owned()).await {
        pause(name, &error).await;
    }
    while let Err(error) = store.give_up(name).await {
        pause(name, &error).await;
    }
}

async fn pause(destination: &str, error: &StoreError) {
    warn!(destination, "what came of attempts is not recorded yet: {error:#}");
    tokio::time::sleep(STORE_PAUSE).await;
}

fn reason_to_disable(destination: &Destination, tried: &[Tried], store: &Store) -> Option<&'static str> {
    let state = store.destination(&destination.name).filter(|state| state.disabled.is_none())?;
    let limit_ms = destination.disable_after.as_millis() as i64;
    // Two failures far apart are not all that there was between them.
    let is_lasting = |tried: &Tried| {
        let Attempted { attempt, health, .. } = &tried.attempted;
        let is_long = state.failing_since.is_some_and(|since| attempt.at - since >= limit_ms);
        *health == Health::Failing && tried.failures >= FAILURES && is_long
    };
    if tried.iter().any(|tried| tried.is_gone) {
        return Some("the receiver answered 410 Gone, which asks not to be called again");
    }
    tried.iter().any(is_lasting).then_some("every attempt failed for as long as `disable_after` says")
}

async fn sent(destination: &Destination, delivery: &DueDelivery, office: &Office) -> Sent {
    let notifications = office.notifications.load();
    let content = match &delivery.step {
        None => destination.content.as_ref().map_err(Clone::clone),
        Some((name, step)) => content_of(&notifications, name, *step, &destination.name),
    };
    let content = match content {
        Ok(content) => content,
        Err(reason) => return Sent::Impossible(Failure::new(Code::Request, reason)),
    };
    let made = content.make(destination, delivery, &office.loaded, &office.public_url.load()).await;
    send(destination, delivery.id, made).await
}

/// Sends what was made.
pub(super) async fn send(destination: &Destination, id: Uuid, made: Made) -> Sent {
    let request = |text: String| Failure::new(Code::Request, text);
    match (made, &destination.channel) {
        (Made::Nothing(reason), _) => Sent::Skipped(reason),
        (Made::NotNow(error), _) => Sent::Failed(request(format!("{error:#}"))),
        (Made::Never(error), _) => Sent::Impossible(request(format!("{error:#}"))),
        (Made::Request(rendered), Channel::Http(http)) => http.send(id, rendered).await,
        (Made::Alert(alert), Channel::Http(http)) => Box::pin(alert.send(http, id)).await,
        (Made::Mail(mail), Channel::Email(email)) => email.send(mail).await,
        (Made::Line(line), Channel::File(file)) => file.append(line).await,
        _ => Sent::Impossible(request(format!("a {} cannot be sent this", destination.kind))),
    }
}

/// What a step of a notification sends, if it still sends something there.
fn content_of<'a>(notifications: &'a Notifications, name: &str, step: usize, to: &str) -> Result<&'a Content, String> {
    let steps =
        notifications.get(name).ok_or_else(|| format!("its notification `{name}` is not configured any more"))?;
    // Steps may have been put before it or taken out.
    let mut others = steps.iter().filter(|step| step.to == to);
    let step =
        steps.get(step).filter(|step| step.to == to).or_else(|| others.next().filter(|_| others.next().is_none()));
    step.map(|step| &step.content)
        .ok_or_else(|| format!("its notification `{name}` was changed, and this step does not go here any more"))
}

pub(super) fn recorded(sent: Sent, at: i64, duration_ms: i64) -> Attempt {
    let attempt = Attempt { at, duration_ms, http_status: None, code: None, error: None, answer: None };
    let failed = |failure: Failure| (Some(failure.code.as_str()), Some(failure.to_string()));
    match sent {
        Sent::Arrived(None) => attempt,
        Sent::Arrived(Some(answer)) => {
            Attempt { http_status: Some(answer.status.as_u16()), answer: Some(answer.text), ..attempt }
        }
        Sent::Skipped(reason) => Attempt { error: Some(reason), ..attempt },
        Sent::Refused(answer) => {
            let (code, error) = failed(Failure::status(answer.status, &answer.text));
            Attempt { http_status: Some(answer.status.as_u16()), code, error, answer: Some(answer.text), ..attempt }
        }
        Sent::Failed(failure) | Sent::Impossible(failure) => {
            let (code, error) = failed(failure);
            Attempt { code, error, ..attempt }
        }
    }
}

/// Answers after which another attempt would be answered the same.
fn is_final(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 405 | 413 | 415 | 422)
}

fn next_attempt(destination: &Destination, attempts: u32, retry_after: Option<Duration>) -> Next {
    let Some(wait) = destination.retry_schedule.wait(attempts) else { return Next::Dead };
    let wait = with_jitter(wait).max(retry_after.unwrap_or_default());
    Next::Retry(unix_ms() + wait.as_millis() as i64)
}
