//! Changes that others can watch.
//!
//! Each topic is published after the commit that changed it, so that nobody who changes something has to remember who waits
//! for it. A watcher misses no change, and may see several as one.

use tokio::sync::watch;
use uuid::Uuid;

/// The publishing ends of all topics.
#[derive(Debug)]
pub(crate) struct Topics {
    audit: watch::Sender<Uuid>,
    deliveries: watch::Sender<()>,
    queued: watch::Sender<()>,
    triage: watch::Sender<()>,
}

/// The topics that a transaction changed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changed {
    /// The audit entry that was written last.
    pub newest_audit: Option<Uuid>,
    /// Deliveries may be due that were not before.
    pub deliveries: bool,
    /// Events may be mapped that could not be before.
    pub queued: bool,
    /// Incidents wait for a playbook that did not before.
    pub triage: bool,
}

impl Topics {
    /// Starts with the newest audit entry in the database.
    pub fn new(newest_audit: Uuid) -> Self {
        let (deliveries, queued, triage) = Default::default();
        Self { audit: watch::Sender::new(newest_audit), deliveries, queued, triage }
    }

    /// Publishes what a committed transaction changed.
    pub fn publish(&self, changed: Changed) {
        if let Some(id) = changed.newest_audit {
            self.audit.send_replace(id);
        }
        for (topic, has_changed) in
            [(&self.deliveries, changed.deliveries), (&self.queued, changed.queued), (&self.triage, changed.triage)]
        {
            if has_changed {
                topic.send_replace(());
            }
        }
    }
}

impl super::Store {
    /// Watches the newest audit entry that is on disk.
    pub fn watch_audit(&self) -> watch::Receiver<Uuid> {
        self.topics.audit.subscribe()
    }

    /// Watches for deliveries that may be due.
    pub fn watch_deliveries(&self) -> watch::Receiver<()> {
        self.topics.deliveries.subscribe()
    }

    /// Watches for events that are to be mapped again.
    pub fn watch_queued(&self) -> watch::Receiver<()> {
        self.topics.queued.subscribe()
    }

    /// Watches for incidents that wait for a playbook.
    pub fn watch_triage(&self) -> watch::Receiver<()> {
        self.topics.triage.subscribe()
    }
}
