//! Delivers what is to be told: signed, retried until it arrives or is dead, every attempt recorded.
//!
//! Each destination has a task of its own, so that a slow receiver holds up nobody else. What to deliver stands in the
//! store; the task only looks there for what is due.

mod attempt;
mod content;
mod destination;
mod dry_run;
mod email;
mod file;
mod http;
mod queue;
mod render;
mod signature;
mod thehive;

pub use content::{Content, Format, Recipe, StepWords, seen};
pub use destination::{
    CONCURRENCY, CONCURRENCY_MAX, Channel, DISABLE_AFTER, Destination, DestinationType, Notifications, Ordering,
    RetrySchedule, Step,
};
pub use email::{Email, EmailOptions, Letter};
pub use file::LineFile;
pub use http::Http;
pub use render::{RenderCall, ShownRequest, render};
pub use signature::Signature;

use crate::loaded::Loaded;
use crate::metrics::Metrics;
use attempt::Office;
use hookmill_store::Store;
use queue::Queue;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinHandle;

/// The tasks of all destinations.
#[derive(Debug)]
pub struct Deliverer {
    office: Arc<Office>,
    tasks: Mutex<BTreeMap<String, DestinationTask>>,
}

#[derive(Debug)]
struct DestinationTask {
    destination: Arc<Destination>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Deliverer {
    /// A deliverer without destinations.
    pub fn new(store: Arc<Store>, loaded: Arc<Loaded>, metrics: Arc<Metrics>) -> Self {
        Self { office: Arc::new(Office::new(store, loaded, metrics)), tasks: Mutex::default() }
    }

    /// Knows these notifications too, so that what the store queues for them from now on can be made.
    pub fn expect(&self, notifications: &Notifications) {
        self.office.notifications.rcu(|known| {
            let mut known = Notifications::clone(known);
            for (name, steps) in notifications {
                known.entry(name.clone()).or_insert_with(|| steps.clone());
            }
            known
        });
    }

    /// Goes on with these destinations and notifications. Attempts that are under way end as they would have.
    pub async fn replace(&self, destinations: Vec<Destination>, notifications: Notifications, public_url: String) {
        self.office.notifications.store(Arc::new(notifications));
        self.office.public_url.store(Arc::new(public_url));
        self.replace_tasks(destinations).await;
    }

    async fn replace_tasks(&self, destinations: Vec<Destination>) {
        let mut tasks = self.tasks.lock().await;
        for former in tasks.values() {
            former.stop.send_replace(true);
        }
        let retries: Vec<_> = destinations.iter().map(|_| Arc::new(Notify::new())).collect();
        self.office.retry_now.store(Arc::new(retries.clone()));
        let mut new_tasks = BTreeMap::new();
        for (destination, retry_now) in destinations.into_iter().zip(retries) {
            let name = destination.name.clone();
            let (stop, stopped) = watch::channel(false);
            let former = tasks.remove(&name);
            let destination = Arc::new(destination);
            let queue = Queue { destination: destination.clone(), office: self.office.clone(), retry_now };
            let task = tokio::spawn(async move {
                // Or else what it has under way would be begun once more.
                if let Some(former) = former {
                    let _ = former.task.await;
                }
                queue.run(stopped).await;
            });
            new_tasks.insert(name, DestinationTask { destination, stop, task });
        }
        let removed = std::mem::replace(&mut *tasks, new_tasks);
        drop(tasks);
        for (_, removed) in removed {
            let _ = removed.task.await;
        }
    }

    /// A destination that is configured.
    pub async fn destination(&self, name: &str) -> Option<Arc<Destination>> {
        self.tasks.lock().await.get(name).map(|task| task.destination.clone())
    }

    /// Every destination that is configured, by name.
    pub async fn destinations(&self) -> Vec<Arc<Destination>> {
        self.tasks.lock().await.values().map(|task| task.destination.clone()).collect()
    }

    /// Ends the pauses of all destinations, so that due deliveries are attempted now.
    pub fn retry_now(&self) {
        self.office.retry_now.load().iter().for_each(|retry| retry.notify_one());
    }

    /// Begins no further attempt and waits for those under way.
    pub async fn stop(&self) {
        self.replace_tasks(Vec::new()).await;
    }
}
