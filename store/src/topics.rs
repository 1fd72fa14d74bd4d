//! Changes that other parts of the host can watch.
//!
//! Each topic is published after the commit that changed it, so that no caller has to remember which tasks wait for its
//! change. A watcher misses no change, and may see several changes as one, except with
//! [`Topics::watch_events`].

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

/// The commits whose events wait for a watcher of [`Topics::watch_events`]; one that is further behind gets an error.
const EVENT_COMMITS_MAX: usize = 1024;

/// The publishing ends of all topics.
#[derive(Debug)]
pub(crate) struct Topics {
    audit: watch::Sender<Uuid>,
    deliveries: DestinationTopics,
    retries: DestinationTopics,
    queued: watch::Sender<()>,
    triage: watch::Sender<()>,
    settings: watch::Sender<()>,
    events: broadcast::Sender<Option<Arc<[Uuid]>>>,
}

/// A topic for each destination that is watched, by name.
#[derive(Debug, Default)]
struct DestinationTopics(Mutex<HashMap<String, watch::Sender<()>>>);

/// The topics that a transaction changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changed {
    /// The audit entry that was written last.
    pub newest_audit: Option<Uuid>,
    /// The destinations with deliveries that may be due and were not before.
    pub deliveries: BTreeSet<Arc<str>>,
    /// The destinations for which attempts were requested without delay.
    pub retries: BTreeSet<Arc<str>>,
    /// Events may be mapped that could not be before.
    pub queued: bool,
    /// Incidents wait for a playbook that did not before.
    pub triage: bool,
    /// Other hosts have to read registered sources, states of destinations, silent sources or plugin versions again.
    pub settings: bool,
}

impl Changed {
    /// Adds that an attempt was requested without delay.
    pub fn retry(&mut self, destination: &Arc<str>) {
        for topic in [&mut self.deliveries, &mut self.retries] {
            topic.insert(destination.clone());
        }
    }
}

impl Topics {
    /// Starts with the newest audit entry in the database.
    pub fn new(newest_audit: Uuid) -> Self {
        let (deliveries, retries, queued, triage, settings) = Default::default();
        let events = broadcast::Sender::new(EVENT_COMMITS_MAX);
        Self { audit: watch::Sender::new(newest_audit), deliveries, retries, queued, triage, settings, events }
    }

    /// Publishes the changes of a committed transaction, and the events whose status it changed.
    pub fn publish(&self, changed: Changed, events: Vec<Uuid>) {
        if !events.is_empty() {
            // This fails only if there is no watcher.
            let _ = self.events.send(Some(events.into()));
        }
        if let Some(id) = changed.newest_audit {
            // What other hosts committed may be seen later than what this host did.
            self.audit.send_if_modified(|newest| {
                let is_newer = id > *newest;
                *newest = id.max(*newest);
                is_newer
            });
        }
        self.deliveries.publish(&changed.deliveries);
        self.retries.publish(&changed.retries);
        for (topic, has_changed) in [(&self.queued, changed.queued), (&self.triage, changed.triage)] {
            if has_changed {
                topic.send_replace(());
            }
        }
    }

    /// Publishes that deliveries may be due at any destination.
    pub fn publish_all_deliveries(&self) {
        self.deliveries.publish_all();
    }

    /// Publishes that attempts may have been requested for any destination.
    pub fn publish_all_retries(&self) {
        self.retries.publish_all();
    }

    /// Publishes that events changed that are not known.
    pub fn publish_missed_events(&self) {
        let _ = self.events.send(None);
    }

    /// Publishes that another host may have changed what this host has in memory.
    pub fn publish_settings(&self) {
        self.settings.send_replace(());
    }

    pub fn watch_settings(&self) -> watch::Receiver<()> {
        self.settings.subscribe()
    }

    pub fn watch_events(&self) -> broadcast::Receiver<Option<Arc<[Uuid]>>> {
        self.events.subscribe()
    }

    pub fn watch_audit(&self) -> watch::Receiver<Uuid> {
        self.audit.subscribe()
    }

    pub fn watch_deliveries(&self, destination: &str) -> watch::Receiver<()> {
        self.deliveries.watch(destination)
    }

    pub fn watch_retries(&self, destination: &str) -> watch::Receiver<()> {
        self.retries.watch(destination)
    }

    pub fn watch_queued(&self) -> watch::Receiver<()> {
        self.queued.subscribe()
    }

    pub fn watch_triage(&self) -> watch::Receiver<()> {
        self.triage.subscribe()
    }
}

impl DestinationTopics {
    fn publish(&self, destinations: &BTreeSet<Arc<str>>) {
        if destinations.is_empty() {
            return;
        }
        let topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in destinations.iter().filter_map(|name| topics.get(&**name)) {
            topic.send_replace(());
        }
    }

    fn publish_all(&self) {
        let topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        topics.values().for_each(|topic| topic.send_replace(()));
    }

    fn watch(&self, destination: &str) -> watch::Receiver<()> {
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(destination.to_owned()).or_default().subscribe()
    }
}
