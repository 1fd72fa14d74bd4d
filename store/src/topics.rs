//! Changes that other parts of the host can watch.
//!
//! Each topic is published after the commit that changed it, so that no caller has to remember which tasks wait for its
//! change. A watcher misses no change, and may see several changes as one, except with
//! [`Topics::watch_events`].

use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

/// The commits whose events wait for a watcher of [`Topics::watch_events`]; one that is further behind gets an error.
const EVENT_COMMITS_MAX: usize = 1024;

/// The publishing ends of all topics.
#[derive(Debug)]
pub(crate) struct Topics {
    audit: watch::Sender<Uuid>,
    deliveries: watch::Sender<()>,
    retries: watch::Sender<()>,
    queued: watch::Sender<()>,
    triage: watch::Sender<()>,
    settings: watch::Sender<()>,
    events: broadcast::Sender<Option<Arc<[Uuid]>>>,
}

/// The topics that a transaction changed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Changed {
    /// The audit entry that was written last.
    pub newest_audit: Option<Uuid>,
    /// Deliveries may be due that were not before.
    pub deliveries: bool,
    /// Attempts were requested without delay.
    pub retries: bool,
    /// Events may be mapped that could not be before.
    pub queued: bool,
    /// Incidents wait for a playbook that did not before.
    pub triage: bool,
    /// Other hosts have to read registered sources, states of destinations, silent sources or plugin versions again.
    pub settings: bool,
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
        for (topic, has_changed) in [
            (&self.deliveries, changed.deliveries),
            (&self.retries, changed.retries),
            (&self.queued, changed.queued),
            (&self.triage, changed.triage),
        ] {
            if has_changed {
                topic.send_replace(());
            }
        }
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

    pub fn watch_deliveries(&self) -> watch::Receiver<()> {
        self.deliveries.subscribe()
    }

    pub fn watch_retries(&self) -> watch::Receiver<()> {
        self.retries.subscribe()
    }

    pub fn watch_queued(&self) -> watch::Receiver<()> {
        self.queued.subscribe()
    }

    pub fn watch_triage(&self) -> watch::Receiver<()> {
        self.triage.subscribe()
    }
}
