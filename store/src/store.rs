//! The store of one host, independent of its database.

mod deliveries;
mod destinations;
mod events;
mod incidents;
mod plugins;
mod sources;
mod tokens;
mod triage;

pub use tokens::Tokens;

use crate::clock::Clock;
use crate::leases::{Lease, LeaseName, Leases, LocalLeases};
use crate::options::{Dedup, OnCommit, Policy, Shared};
use crate::private_files::{private_file, private_folder};
use crate::rows::Outbound;
use crate::sqlite::{Opened, Sqlite};
use crate::topics::Topics;
use anyhow::{Result, bail};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;
use uuid::Uuid;

/// The store of one host.
#[derive(Debug)]
pub struct Store {
    database: Sqlite,
    pub(crate) clock: Arc<Clock>,
    outbound: Arc<ArcSwap<Outbound>>,
    /// The sources about whose silence notifications were queued, and since when they are silent.
    silent: ArcSwap<BTreeMap<String, i64>>,
    topics: Arc<Topics>,
    dedup: Dedup,
    pub(crate) leases: LocalLeases,
    /// Held for as long as the store is open.
    _lock: File,
}

impl Store {
    /// Opens the database in a data folder, and creates both if they are missing. Only one host at a time can do so.
    ///
    /// # Errors
    /// Returns an error if the folder or the database cannot be used.
    pub fn open(data_dir: &Path, queue: usize, policy: Policy, on_commit: OnCommit) -> Result<Self> {
        Self::open_with(data_dir, queue, policy, on_commit, Clock::after)
    }

    /// Opens the store with the clock that `clock` makes from the largest key in the database.
    pub(crate) fn open_with(
        data_dir: &Path,
        queue: usize,
        policy: Policy,
        on_commit: OnCommit,
        clock: impl FnOnce(i64) -> Clock,
    ) -> Result<Self> {
        private_folder(data_dir)?;
        let lock = private_file(&data_dir.join("lock"))?;
        if lock.try_lock().is_err() {
            bail!("the data folder {} is in use by another hookmill; stop that first", data_dir.display());
        }
        let opened = Opened::open(data_dir)?;
        let clock = Arc::new(clock(opened.last_key()?));
        let outbound = Arc::new(ArcSwap::default());
        let silent = ArcSwap::from_pointee(opened.silent_sources()?);
        let topics = Arc::new(Topics::new(opened.newest_audit()?));
        let dedup = policy.dedup;
        let (shared_clock, shared_outbound, shared_topics) = (clock.clone(), outbound.clone(), topics.clone());
        let shared =
            Shared { policy, clock: shared_clock, outbound: shared_outbound, topics: shared_topics, on_commit };
        let database = opened.start(queue, shared)?;
        Ok(Self { database, clock, outbound, silent, topics, dedup, leases: LocalLeases::default(), _lock: lock })
    }

    /// Returns a new id.
    pub fn new_id(&self) -> Uuid {
        self.clock.new_id()
    }

    /// Returns whether the store takes writes.
    pub fn is_open(&self) -> bool {
        self.database.is_open()
    }

    /// Finishes every waiting write and closes the database for writing.
    pub fn close(&self) {
        self.database.close();
    }

    /// Watches the id of the newest audit entry that is on disk.
    pub fn watch_audit(&self) -> watch::Receiver<Uuid> {
        self.topics.watch_audit()
    }

    /// Watches for deliveries that may be due.
    pub fn watch_deliveries(&self) -> watch::Receiver<()> {
        self.topics.watch_deliveries()
    }

    /// Watches for requests to attempt deliveries now, whatever the host waits for.
    pub fn watch_retries(&self) -> watch::Receiver<()> {
        self.topics.watch_retries()
    }

    /// Watches for events that are to be mapped again.
    pub fn watch_queued(&self) -> watch::Receiver<()> {
        self.topics.watch_queued()
    }

    /// Watches for incidents that wait for a playbook.
    pub fn watch_triage(&self) -> watch::Receiver<()> {
        self.topics.watch_triage()
    }
}

impl Leases for Store {
    async fn acquire(&self, name: LeaseName) -> Lease {
        self.leases.acquire(name).await
    }
}
