//! The tasks of all destinations.

use super::activity::Activity;
use super::context::DeliveryContext;
use super::destination::{Destination, Notifications};
use super::queue::Queue;
use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::traces::Traces;
use hookmill_store::Store;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

/// The tasks of all destinations.
#[derive(Debug)]
pub struct Deliverer {
    pub(super) context: Arc<DeliveryContext>,
    tasks: Mutex<BTreeMap<String, DestinationTask>>,
}

#[derive(Debug)]
struct DestinationTask {
    destination: Arc<Destination>,
    /// Updated by the task.
    activity: Arc<std::sync::Mutex<Activity>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Deliverer {
    /// Creates a deliverer without destinations.
    pub fn new(store: Arc<Store>, loaded: Arc<Loaded>, metrics: Arc<Metrics>, traces: Traces) -> Self {
        Self { context: Arc::new(DeliveryContext::new(store, loaded, metrics, traces)), tasks: Mutex::default() }
    }

    /// Adds notifications, so that deliveries that `queue` lets the store queue for them can be sent.
    ///
    /// # Errors
    /// Returns the error of `queue`. The notifications are removed then.
    pub async fn expect<E>(
        &self,
        notifications: &Notifications,
        queue: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let former = self.context.notifications.load_full();
        let mut known = Notifications::clone(&former);
        for (name, steps) in notifications {
            known.entry(name.clone()).or_insert_with(|| steps.clone());
        }
        self.context.notifications.store(Arc::new(known));
        queue.await.inspect_err(|_| self.context.notifications.store(former))
    }

    /// Replaces the destinations and notifications. Running attempts end normally.
    pub async fn replace(&self, destinations: Vec<Destination>, notifications: Notifications, public_url: String) {
        self.context.notifications.store(Arc::new(notifications));
        self.context.public_url.store(Arc::new(public_url));
        self.replace_tasks(destinations).await;
    }

    async fn replace_tasks(&self, destinations: Vec<Destination>) {
        let mut tasks = self.tasks.lock().await;
        for former in tasks.values() {
            former.stop.send_replace(true);
        }
        let mut new_tasks = BTreeMap::new();
        for destination in destinations {
            let name = destination.name.clone();
            let (stop, stopped) = watch::channel(false);
            let former = tasks.remove(&name);
            let known = former.as_ref().filter(|former| former.destination.fingerprint == destination.fingerprint);
            let activity = known.map(|former| former.activity.clone()).unwrap_or_default();
            let destination = Arc::new(destination);
            let (context, own) = (self.context.clone(), activity.clone());
            let queue = Queue { destination: destination.clone(), activity: own, context };
            let task = tokio::spawn(async move {
                // Otherwise deliveries whose attempts are still running would be attempted again.
                if let Some(former) = former {
                    let _ = former.task.await;
                }
                queue.run(stopped).await;
            });
            new_tasks.insert(name, DestinationTask { destination, activity, stop, task });
        }
        let removed = std::mem::replace(&mut *tasks, new_tasks);
        drop(tasks);
        for (_, removed) in removed {
            let _ = removed.task.await;
        }
    }

    /// Returns a configured destination.
    pub async fn destination(&self, name: &str) -> Option<Arc<Destination>> {
        self.tasks.lock().await.get(name).map(|task| task.destination.clone())
    }

    /// Returns every configured destination with its activity, by name.
    pub async fn destinations(&self) -> Vec<(Arc<Destination>, Activity)> {
        let activity = |task: &DestinationTask| task.activity.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.tasks.lock().await.values().map(|task| (task.destination.clone(), activity(task))).collect()
    }

    /// Starts no further attempt and waits for those that are running.
    pub async fn stop(&self) {
        self.replace_tasks(Vec::new()).await;
    }
}
