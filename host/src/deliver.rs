//! Delivers audit entries to destinations: signed, retried until they arrive or are dead, every attempt recorded.
//!
//! Each destination has a task of its own, so that a slow receiver holds up nobody else. What to deliver stands in the
//! store; the task only looks there for what is due.

mod address_guard;
mod render;
mod signature;

pub use address_guard::AddressGuard;
pub use render::{RenderCall, ShownRequest, render};
pub use signature::SigningSecret;

use crate::id::unix_ms;
use crate::metrics::Metrics;
use crate::plugin_dir::Loaded;
use crate::store::{Attempt, DueDelivery, Next, Store};
use anyhow::{Context, Result, ensure};
use arc_swap::ArcSwap;
use ipnet::IpNet;
use render::{Rendered, rendered};
use reqwest::header::{HeaderMap, RETRY_AFTER, USER_AGENT};
use reqwest::{Client, StatusCode, Url};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{info, warn};
use uuid::Uuid;

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Attempts that one destination has under way at once.
const CONCURRENCY: usize = 8;
/// The longest wait that a receiver can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Waits are stretched at random by up to this share, so that what failed together does not come back together.
const JITTER: f64 = 0.1;
/// How much of a refusal's body is kept with the attempt.
const ANSWER_BYTES_MAX: usize = 512;
/// How often to look without being told: the clock that says what is due may be set.
const LOOK: Duration = Duration::from_secs(60);
/// How long to wait for the plugins at the start, before a destination's notifier is looked for again.
const PLUGINS_PAUSE: Duration = Duration::from_millis(100);
/// How long to wait when the store cannot be read.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Where audit entries go.
#[derive(Debug)]
pub struct Destination {
    name: String,
    url: Url,
    secret: Option<SigningSecret>,
    notifier: Option<String>,
    retry_schedule: RetrySchedule,
    concurrency: usize,
    guard: Arc<AddressGuard>,
    client: Client,
}

/// The waits between attempts; one attempt more than waits, and it is dead.
#[derive(Clone, Debug)]
pub struct RetrySchedule(Vec<Duration>);

impl RetrySchedule {
    /// These waits.
    pub fn new(waits: Vec<Duration>) -> Self {
        Self(waits)
    }
}

impl Default for RetrySchedule {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let seconds = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Self(seconds.into_iter().map(Duration::from_secs).collect())
    }
}

impl Destination {
    /// A destination with what is configured of it.
    ///
    /// # Errors
    /// When the URL is no HTTP URL.
    pub fn new(
        name: String,
        url: Url,
        secret: Option<SigningSecret>,
        allow_networks: Vec<IpNet>,
        retry_schedule: RetrySchedule,
        timeout: Option<Duration>,
        concurrency: Option<usize>,
    ) -> Result<Self> {
        ensure!(
            matches!(url.scheme(), "http" | "https"),
            "`url` begins with `{}:`; http: and https: are taken",
            url.scheme()
        );
        let guard = Arc::new(AddressGuard::new(allow_networks));
        let client = guarded_client(&guard, timeout.unwrap_or(TIMEOUT))?;
        let concurrency = concurrency.unwrap_or(CONCURRENCY);
        Ok(Self { name, url, secret, notifier: None, retry_schedule, concurrency, guard, client })
    }

    /// Sends what this plugin makes of an audit entry in the place of the entry.
    pub fn with_notifier(mut self, notifier: Option<String>) -> Self {
        self.notifier = notifier;
        self
    }

    /// Its name and URL.
    pub fn name_and_url(&self) -> (String, String) {
        (self.name.clone(), self.url.to_string())
    }
}

/// A client that goes where its guard lets it and nowhere else: no redirect, no proxy.
///
/// # Errors
/// When there is no way to set it up.
pub fn guarded_client(guard: &Arc<AddressGuard>, timeout: Duration) -> Result<Client> {
    // The provider is the process's; whoever comes second finds it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let redirects = reqwest::redirect::Policy::none();
    let client = Client::builder().redirect(redirects).no_proxy().dns_resolver(guard.clone()).timeout(timeout);
    client.build().context("cannot set up an HTTP client")
}

/// The tasks of all destinations.
#[derive(Debug)]
pub struct Deliverer {
    store: Arc<Store>,
    loaded: Arc<Loaded>,
    metrics: Arc<Metrics>,
    wakers: ArcSwap<Vec<Arc<Notify>>>,
    tasks: Mutex<BTreeMap<String, DestinationTask>>,
}

#[derive(Debug)]
struct DestinationTask {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Deliverer {
    /// A deliverer without destinations.
    pub fn new(store: Arc<Store>, loaded: Arc<Loaded>, metrics: Arc<Metrics>) -> Self {
        Self { store, loaded, metrics, wakers: ArcSwap::default(), tasks: Mutex::default() }
    }

    /// Goes on with these destinations. Attempts that are under way end as they would have.
    pub async fn replace(&self, destinations: Vec<Destination>) {
        let mut tasks = self.tasks.lock().await;
        for former in tasks.values() {
            former.stop.send_replace(true);
        }
        let (mut wakers, mut new_tasks) = (Vec::new(), BTreeMap::new());
        for destination in destinations {
            let (name, waker) = (destination.name.clone(), Arc::new(Notify::new()));
            let (stop, stopped) = watch::channel(false);
            let former = tasks.remove(&name);
            wakers.push(waker.clone());
            let (store, loaded, metrics) = (self.store.clone(), self.loaded.clone(), self.metrics.clone());
            let worker = Worker { destination: Arc::new(destination), store, loaded, metrics, waker };
            let task = tokio::spawn(async move {
                // Or else what it has under way would be begun once more.
                if let Some(former) = former {
                    let _ = former.task.await;
                }
                worker.run(stopped).await;
            });
            new_tasks.insert(name, DestinationTask { stop, task });
        }
        self.wakers.store(Arc::new(wakers));
        for (_, removed) in std::mem::replace(&mut *tasks, new_tasks) {
            let _ = removed.task.await;
        }
    }

    /// Says that there may be something new for every destination.
    pub fn wake(&self) {
        self.wakers.load().iter().for_each(|waker| waker.notify_one());
    }

    /// Begins no further attempt and waits for those under way.
    pub async fn stop(&self) {
        self.replace(Vec::new()).await;
    }
}

/// The task of one destination.
struct Worker {
    destination: Arc<Destination>,
    store: Arc<Store>,
    loaded: Arc<Loaded>,
    metrics: Arc<Metrics>,
    waker: Arc<Notify>,
}

impl Worker {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut under_way = HashSet::new();
        let mut attempts = JoinSet::new();
        while !*stopped.borrow() {
            let wait = match self.begin(&mut under_way, &mut attempts).await {
                Ok(wait) => wait,
                Err(error) => {
                    warn!(destination = self.destination.name, "cannot look for deliveries: {error:#}");
                    STORE_PAUSE
                }
            };
            tokio::select! {
                Some(done) = attempts.join_next() => {
                    if let Ok(id) = done {
                        under_way.remove(&id);
                    }
                }
                () = self.waker.notified() => {}
                () = tokio::time::sleep(wait) => {}
                _ = stopped.changed() => {}
            }
        }
        while attempts.join_next().await.is_some() {}
    }

    /// Begins what is due, as far as there is room, and says how long until there is more.
    async fn begin(&self, under_way: &mut HashSet<Uuid>, attempts: &mut JoinSet<Uuid>) -> Result<Duration> {
        let name = &self.destination.name;
        if self.destination.notifier.is_some() && !self.loaded.is_settled() {
            return Ok(PLUGINS_PAUSE);
        }
        let (now, room) = (unix_ms(), self.destination.concurrency - under_way.len());
        if room > 0 {
            let due = self.store.due_deliveries(name.clone(), now, room + under_way.len()).await?;
            let new = due.into_iter().filter(|delivery| !under_way.contains(&delivery.id)).take(room);
            for delivery in new.collect::<Vec<_>>() {
                under_way.insert(delivery.id);
                let (destination, store) = (self.destination.clone(), self.store.clone());
                let (loaded, metrics) = (self.loaded.clone(), self.metrics.clone());
                attempts.spawn(async move {
                    let id = delivery.id;
                    if let Err(error) = attempt(&destination, delivery, &store, &loaded, &metrics).await {
                        warn!(destination = destination.name, delivery = %id, "an attempt was not recorded: {error:#}");
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                    id
                });
            }
        }
        let next_at = self.store.next_delivery(name.clone()).await?;
        // What is due and under way is waited for by its end, which wakes this task.
        let until_next = next_at.map_or(LOOK, |at| Duration::from_millis((at - now).max(0).unsigned_abs()));
        let full_or_due = under_way.len() == self.destination.concurrency || until_next.is_zero();
        Ok(if full_or_due { STORE_PAUSE } else { until_next.min(LOOK) })
    }
}

/// Makes one attempt and records it.
async fn attempt(
    destination: &Destination,
    delivery: DueDelivery,
    store: &Store,
    loaded: &Loaded,
    metrics: &Metrics,
) -> Result<()> {
    let (at, started) = (unix_ms(), Instant::now());
    let was_disabled = store.is_disabled(&destination.name);
    let rendered = rendered(destination, &delivery, loaded).await;
    let skips = matches!(rendered, Ok(None));
    let answer = match rendered {
        Ok(Some(rendered)) => send(destination, &delivery, rendered).await.map(Some),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    let duration_ms = started.elapsed().as_millis() as i64;
    let (http_status, next, error) = match answer {
        Ok(None) => (None, Next::Delivered, Some("its notifier sends nothing of this".to_owned())),
        Ok(Some(Answer { status, .. })) if status.is_success() => (Some(status), Next::Delivered, None),
        Ok(Some(Answer { status, text, .. })) if is_final(status) => {
            (Some(status), Next::Dead, Some(format!("the receiver answered {status}: {text}")))
        }
        Ok(Some(Answer { status, text, retry_after })) => {
            let next = next_attempt(destination, delivery.attempts, retry_after);
            (Some(status), next, Some(format!("the receiver answered {status}: {text}")))
        }
        Err(error) => (None, next_attempt(destination, delivery.attempts, None), Some(format!("{error:#}"))),
    };
    metrics.delivery(
        &destination.name,
        match next {
            Next::Delivered if skips => "skipped",
            Next::Delivered => "delivered",
            Next::Retry(_) => "retry",
            Next::Dead => "dead",
        },
    );
    info!(request_id = delivery.request_id, destination = destination.name, delivery = %delivery.id, attempt = delivery.attempts + 1,
        next = ?next, "delivery attempt: {}", error.as_deref().unwrap_or("delivered"));
    let attempt = Attempt { at, duration_ms, http_status: http_status.map(|status| status.as_u16()), error };
    store.attempted(delivery.id, attempt, next).await?;
    if http_status == Some(StatusCode::GONE) {
        let reason = "the receiver answered 410 Gone, which asks not to be called again".to_owned();
        store.disable_destination(destination.name.clone(), destination.url.to_string(), reason.clone()).await?;
        warn!(destination = destination.name, "destination disabled: {reason}; change its url or retry a delivery");
    } else if next == Next::Delivered && was_disabled {
        store.enable_destination(destination.name.clone()).await?;
    }
    Ok(())
}

struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    text: String,
}

async fn send(destination: &Destination, delivery: &DueDelivery, rendered: Rendered) -> Result<Answer> {
    destination.guard.check_literal(&rendered.url)?;
    let (id, timestamp) = (delivery.id.to_string(), unix_ms() / 1000);
    let mut request = destination
        .client
        .request(rendered.method, rendered.url)
        .header(USER_AGENT, concat!("Hookmill/", env!("CARGO_PKG_VERSION")))
        // What a notifier sets takes the place of what stands before it.
        .headers(rendered.headers)
        .header("webhook-id", &id)
        .header("webhook-timestamp", timestamp);
    if let Some(secret) = &destination.secret {
        request = request.header("webhook-signature", secret.sign(&id, timestamp, &rendered.body));
    }
    let mut response = request.body(rendered.body).send().await.map_err(without_url)?;
    let (status, retry_after) = (response.status(), retry_after(response.headers()));
    let mut text = Vec::new();
    if !status.is_success() {
        while let (true, Ok(Some(chunk))) = (text.len() < ANSWER_BYTES_MAX, response.chunk().await) {
            text.extend_from_slice(&chunk);
        }
        text.truncate(ANSWER_BYTES_MAX);
    }
    Ok(Answer { status, retry_after, text: String::from_utf8_lossy(&text).into_owned() })
}

/// A URL may hold a secret; the attempt is about its destination anyway.
fn without_url(error: reqwest::Error) -> anyhow::Error {
    if error.is_timeout() {
        return anyhow::anyhow!("the receiver did not answer in time");
    }
    error.without_url().into()
}

/// Answers after which another attempt would be answered the same.
fn is_final(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 405 | 410 | 413 | 415 | 422)
}

fn next_attempt(destination: &Destination, attempts: u32, retry_after: Option<Duration>) -> Next {
    let Some(wait) = destination.retry_schedule.0.get(attempts as usize) else { return Next::Dead };
    let share = getrandom::u32().map_or(0.0, |random| f64::from(random) / f64::from(u32::MAX));
    let wait = wait.mul_f64(1.0 + JITTER * share).max(retry_after.unwrap_or_default());
    Next::Retry(unix_ms() + wait.as_millis() as i64)
}

/// Seconds or an HTTP date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok()?,
    };
    Some(wait.min(RETRY_AFTER_MAX))
}
