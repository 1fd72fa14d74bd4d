//! The store of one host, independent of its database.

mod copy;
mod deliveries;
mod destinations;
mod events;
mod hosts;
mod incidents;
mod moving;
mod operator_actions;
mod plugins;
mod prune;
mod retention;
mod sessions;
mod sources;
mod tokens;
mod triage;

pub use copy::{begin_epoch, begin_shared_epoch, copy_database, inspect_copy, lock_without_database, schema_version};
pub use moving::{MoveStep, StorePlace, VersionFiles, move_store};
pub use prune::Pruner;
pub use retention::Timed;
pub use tokens::{Tokens, credential_digest};

use crate::clock::WriteClock;
use crate::database::{Database, Kind};
use crate::error::StoreError;
use crate::leases::{Grant, Lease, LeaseName, Leases};
use crate::ledger::Writes;
use crate::mark::Mark;
use crate::options::{Dedup, HostIdentity, OnCommit, Policy};
use crate::postgres::{self, Address as DatabaseAddress};
use crate::private_files::{in_use, lock_file, private_folder};
use crate::reads::Reads;
use crate::rows::Outbound;
use crate::sqlite::Opened;
use crate::topics::Topics;
use crate::writer_shared::WriterShared;
use anyhow::{Result, bail};
use arc_swap::ArcSwap;
use hookmill_incident::id::IdSource;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

/// The store of one host.
#[derive(Debug)]
pub struct Store {
    pub(crate) database: Database,
    pub(crate) clock: Arc<WriteClock>,
    outbound: Arc<ArcSwap<Outbound>>,
    /// The sources about whose silence notifications were queued, and since when they are silent.
    silent: ArcSwap<BTreeMap<String, i64>>,
    topics: Arc<Topics>,
    dedup: Dedup,
    data_dir: PathBuf,
    /// Held for as long as the store is open.
    _lock: File,
}

impl Store {
    /// Opens the database in a data folder, and creates both if they are missing. Only one host at a time can do so.
    ///
    /// # Errors
    /// Returns an error if the folder or the database cannot be used.
    pub fn open(
        data_dir: &Path,
        queue: usize,
        policy: Policy,
        on_commit: OnCommit,
        clock: hookmill_incident::Clock,
    ) -> Result<Self> {
        Self::open_with(data_dir, queue, policy, on_commit, |last_key| WriteClock::after(last_key, clock))
    }

    /// Opens the store with the clock that `clock` makes from the largest key in the database.
    pub(crate) fn open_with(
        data_dir: &Path,
        queue: usize,
        policy: Policy,
        on_commit: OnCommit,
        clock: impl FnOnce(i64) -> WriteClock,
    ) -> Result<Self> {
        let lock = locked(data_dir)?;
        let opened = Opened::open(data_dir)?;
        let clock = clock(opened.last_key()?);
        if let Some(pace) = opened.pace() {
            clock.times().continue_pace(pace);
        }
        let (newest_audit, silent) = (opened.newest_audit()?, opened.silent_sources()?);
        let parts = Parts { lock, data_dir, policy, on_commit, clock, newest_audit, silent };
        parts.build(|shared| {
            let (queue, sqlite) = opened.start(queue, shared)?;
            Ok(Database::new(queue, Kind::Sqlite(sqlite)))
        })
    }

    /// Connects to the database that many hosts share, and creates its tables if they are missing. What belongs to this
    /// host alone is in a data folder of its own.
    ///
    /// # Errors
    /// Returns an error if the folder or the database cannot be used.
    pub async fn connect(
        address: DatabaseAddress,
        host: HostIdentity,
        data_dir: &Path,
        queue: usize,
        policy: Policy,
        on_commit: OnCommit,
        clock: hookmill_incident::Clock,
    ) -> Result<Self> {
        let clock = |slot, last_key| WriteClock::with(IdSource::in_slot(slot, last_key), clock);
        Self::connect_with(address, host, data_dir, queue, policy, on_commit, clock).await
    }

    /// Connects with the clock that `clock` makes from the slot of the host and the largest key in the database.
    pub(crate) async fn connect_with(
        address: DatabaseAddress,
        host: HostIdentity,
        data_dir: &Path,
        queue: usize,
        policy: Policy,
        on_commit: OnCommit,
        clock: impl FnOnce(u64, i64) -> WriteClock,
    ) -> Result<Self> {
        let lock = locked(data_dir)?;
        let opened = postgres::Opened::open(address, host).await?;
        let clock = clock(opened.slot, opened.last_key);
        opened.follow_time(clock.times()).await?;
        // The pace is that of this machine's clock. How far a shared database goes is not checked against the mark.
        let mark = Mark::read(data_dir).ok().flatten().filter(|mark| mark.database == opened.identity);
        if let Some(pace) = mark.and_then(|mark| mark.pace) {
            clock.times().continue_pace(pace);
        }
        let (newest_audit, silent) = (opened.newest_audit, opened.silent_sources.clone());
        let parts = Parts { lock, data_dir, policy, on_commit, clock, newest_audit, silent };
        parts.build(|shared| {
            let (queue, postgres) = opened.start(queue, shared)?;
            Ok(Database::new(queue, Kind::Postgres(postgres)))
        })
    }

    /// Returns the clock of the host.
    pub fn clock(&self) -> &hookmill_incident::Clock {
        self.clock.times()
    }

    /// Returns a new id.
    pub fn new_id(&self) -> Uuid {
        self.clock.new_id()
    }

    /// Returns whether the store takes writes.
    pub fn is_open(&self) -> bool {
        self.database.is_open()
    }

    /// Returns why the last commit failed or does not end, if so: the store takes no writes at the moment.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.database.trouble()
    }

    /// Writes nothing of importance, to find out whether the store takes writes again.
    ///
    /// # Errors
    /// Returns an error if it does not.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.database.write(|ledger| ledger.rows.touch()).await
    }

    /// Writes a result of work under a lease.
    ///
    /// # Errors
    /// Returns [`StoreError::LeaseLost`] if the lease was granted again since.
    async fn write_under<A: Send + 'static>(
        &self,
        under: &Grant,
        mut run: impl FnMut(&mut Writes) -> Result<A> + Send + 'static,
    ) -> Result<A, StoreError> {
        let grant = under.clone();
        let fenced = move |ledger: &mut Writes| match ledger.rows.is_newest_grant(&grant)? {
            true => run(ledger).map(Some),
            false => Ok(None),
        };
        self.database.write(fenced).await?.ok_or(StoreError::LeaseLost)
    }

    /// Waits until the thread that writes has answered, also if it answers that it cannot write. Nothing is written.
    pub async fn wait_for_writer(&self) {
        let _ = self.database.write(|_| Ok(())).await;
    }

    /// Writes into the mark beside the database how far the database goes, and the pace of the clock.
    ///
    /// # Errors
    /// Returns an error if that cannot be read or written.
    pub async fn put_mark(&self) -> Result<()> {
        let (mut mark, folder) = (self.database.reads().mark().await?, self.data_dir.clone());
        mark.pace = Some(self.clock().kept_pace());
        tokio::task::spawn_blocking(move || mark.write(&folder)).await?
    }

    /// Finishes every waiting write and closes the database for writing.
    pub fn close(&self) {
        self.database.close();
    }

    /// Watches the ids of events that are new or whose status has changed, commit by commit; `None` stands for commits of
    /// other hosts whose events are not known any more.
    pub fn watch_events(&self) -> broadcast::Receiver<Option<Arc<[Uuid]>>> {
        self.topics.watch_events()
    }

    /// Watches the id of the newest audit entry that is on disk.
    pub fn watch_audit(&self) -> watch::Receiver<Uuid> {
        self.topics.watch_audit()
    }

    /// Watches for deliveries to a destination that may be due.
    pub fn watch_deliveries(&self, destination: &str) -> watch::Receiver<()> {
        self.topics.watch_deliveries(destination)
    }

    /// Watches for requests to attempt deliveries to a destination now, whatever the host waits for.
    pub fn watch_retries(&self, destination: &str) -> watch::Receiver<()> {
        self.topics.watch_retries(destination)
    }

    /// Watches for events that are to be mapped again.
    pub fn watch_queued(&self) -> watch::Receiver<()> {
        self.topics.watch_queued()
    }

    /// Watches for changes by other hosts of registered sources, silent sources and plugin versions. Without others there are
    /// none.
    pub fn watch_settings(&self) -> watch::Receiver<()> {
        self.topics.watch_settings()
    }

    /// Watches for incidents that wait for a playbook.
    pub fn watch_triage(&self) -> watch::Receiver<()> {
        self.topics.watch_triage()
    }
}

/// Locks a data folder, and creates it if it is missing.
fn locked(data_dir: &Path) -> Result<File> {
    private_folder(data_dir)?;
    let lock = lock_file(data_dir)?;
    if lock.try_lock().is_err() {
        bail!(in_use(data_dir));
    }
    Ok(lock)
}

/// The parts of a store whose writer does not run yet.
struct Parts<'a> {
    lock: File,
    data_dir: &'a Path,
    policy: Policy,
    on_commit: OnCommit,
    clock: WriteClock,
    newest_audit: Uuid,
    silent: BTreeMap<String, i64>,
}

impl Parts<'_> {
    /// Returns the store, with the database that `start` returns.
    fn build(self, start: impl FnOnce(WriterShared) -> Result<Database>) -> Result<Store> {
        let Self { lock, data_dir, policy, on_commit, clock, newest_audit, silent } = self;
        let (clock, outbound, dedup) = (Arc::new(clock), Arc::<ArcSwap<Outbound>>::default(), policy.dedup);
        let topics = Arc::new(Topics::new(newest_audit));
        let shared = WriterShared {
            policy,
            clock: clock.clone(),
            outbound: outbound.clone(),
            topics: topics.clone(),
            on_commit,
        };
        let (database, data_dir) = (start(shared)?, data_dir.to_owned());
        let silent = ArcSwap::from_pointee(silent);
        Ok(Store { database, clock, outbound, silent, topics, dedup, data_dir, _lock: lock })
    }
}

impl Leases for Store {
    async fn acquire(&self, name: LeaseName) -> Lease {
        self.database.acquire(name).await
    }
}
