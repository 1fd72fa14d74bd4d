//! The tasks that read sources.

use super::backoff::Backoff;
use super::intake::Intake;
use super::read::{read_poll, read_stream};
use super::settings::{Pull, PullReader, Pulls};
use crate::loaded::Loaded;
use crate::pipeline::Pipeline;
use crate::source::Source;
use crate::sources::Sources;
use hookmill_store::{Grant, LeaseName, Leases, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tracing::{error, info};

/// The wait before a task is started again after a panic.
const PANIC_WAIT: Duration = Duration::from_secs(5);

/// The reader of all sources that the host reads.
#[derive(Debug)]
pub struct Puller {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) store: Arc<Store>,
    sources: Arc<Sources>,
    loaded: Arc<Loaded>,
    pulls: watch::Sender<Arc<Pulls>>,
}

/// The running tasks.
#[derive(Default)]
struct Tasks {
    all: JoinSet<()>,
    by_source: BTreeMap<Arc<str>, (Arc<Pull>, AbortHandle)>,
}

impl Puller {
    /// Creates a puller without sources; [`Puller::replace`] adds them.
    pub fn new(pipeline: Arc<Pipeline>, store: Arc<Store>, sources: Arc<Sources>, loaded: Arc<Loaded>) -> Self {
        Self { pipeline, store, sources, loaded, pulls: watch::Sender::default() }
    }

    /// Replaces the sources to read. They must be registered already.
    pub fn replace(&self, pulls: Pulls) {
        self.pulls.send_replace(Arc::new(pulls));
    }

    /// Returns the settings for reading a source.
    pub fn pull_of(&self, source: &str) -> Option<Arc<Pull>> {
        self.pulls.borrow().get(source).cloned()
    }

    /// Reads every source until `stopped` is set.
    pub async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut changes = self.pulls.subscribe();
        // Payloads that are read before their mapper is loaded would only wait for it.
        let mut plugins = self.loaded.watch();
        while !self.loaded.is_settled() {
            tokio::select! {
                _ = plugins.changed() => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
        }
        let mut tasks = Tasks::default();
        loop {
            let pulls = changes.borrow_and_update().clone();
            self.start_tasks(&mut tasks, &pulls);
            loop {
                let ended = tokio::select! {
                    _ = changes.changed() => break,
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                    Some(ended) = tasks.all.join_next() => ended,
                };
                if let Err(error) = ended
                    && error.is_panic()
                {
                    if wait_after_panic(&error, &mut stopped).await.is_err() {
                        return;
                    }
                    tasks.by_source.retain(|_, (_, task)| !task.is_finished());
                    break;
                }
            }
        }
    }

    /// Aborts the tasks of sources that changed and starts those that are missing.
    fn start_tasks(self: &Arc<Self>, tasks: &mut Tasks, pulls: &Pulls) {
        tasks.by_source.retain(|name, (pull, task)| {
            let is_unchanged = pulls.get(name).is_some_and(|now| now.fingerprint == pull.fingerprint);
            if !is_unchanged {
                task.abort();
            }
            is_unchanged
        });
        for (name, pull) in pulls {
            if tasks.by_source.contains_key(name) {
                continue;
            }
            if let Some(source) = self.sources.get(name) {
                let task = tasks.all.spawn(self.clone().read_forever(source, pull.clone()));
                tasks.by_source.insert(name.clone(), (pull.clone(), task));
            }
        }
    }

    async fn read_forever(self: Arc<Self>, source: Arc<Source>, pull: Arc<Pull>) {
        loop {
            let lease = self.store.acquire(LeaseName::Source(source.name.to_string())).await;
            tokio::select! {
                biased;
                () = lease.ended() => {}
                () = self.read_under(lease.grant(), &source, &pull) => {}
            }
        }
    }

    async fn read_under(&self, under: &Grant, source: &Arc<Source>, pull: &Pull) {
        let intake = Intake { pipeline: self.pipeline.clone(), store: self.store.clone(), under: under.clone() };
        let mut backoff = Backoff::new();
        loop {
            let read = match &pull.reader {
                PullReader::Poll(poll) => {
                    read_poll(poll, &intake, source, pull).await.inspect(|_| backoff.succeed(None))
                }
                PullReader::Opencti(stream) => {
                    read_stream(stream, &intake, source, pull, &mut backoff).await.map(|()| {
                        info!(source = %source.name, "the stream ended");
                        backoff.next()
                    })
                }
            };
            let wait = read.unwrap_or_else(|error| {
                let wait = backoff.after(&error);
                intake.record_error(source, &error, wait);
                wait
            });
            tokio::time::sleep(wait).await;
        }
    }
}

/// Waits before a task starts again; returns an error if the host stops during the wait.
async fn wait_after_panic(error: &JoinError, stopped: &mut watch::Receiver<bool>) -> Result<(), ()> {
    error!("reading a source ended abruptly and starts again in {} s: {error}", PANIC_WAIT.as_secs());
    tokio::select! {
        () = tokio::time::sleep(PANIC_WAIT) => Ok(()),
        _ = stopped.wait_for(|stopped| *stopped) => Err(()),
    }
}
