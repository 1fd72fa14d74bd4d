//! Keeps events, incidents, audit entries and deliveries, durably.
//!
//! One thread owns the only connection that writes. It takes all writes that wait, up to a bound, into one
//! transaction; whoever asked for a write is answered after that is on disk. Reads have connections of their own.
//! Nothing outside this folder names SQL.

mod audit;
mod compiled;
mod cursors;
mod deliveries;
mod destinations;
mod events;
mod incidents;
pub mod private_files;
mod read;
mod report;
mod sources;
mod sql;
mod tally;
mod tokens;
mod topics;
mod triage;
mod versions;
mod writer;

pub use cursors::Position;
pub use deliveries::{
    Attempt, AttemptRow, Attempted, DeliveryFilter, DeliveryRow, Due, DueDelivery, Message, Next, Place,
};
pub use destinations::{DestinationRow, DestinationState, Health, Outbound};
pub use events::{EventFilter, EventRow, Preview, Recorded};
pub use incidents::{IncidentFilter, IncidentKey, IncidentRow, PatchRefusal};
pub use read::Page;
pub use report::{Difference, Differences, FieldChange, Report};
pub use sources::{SecretRow, SourceRow};
pub use tally::{LastError, Tally};
pub use tokens::{Scope, TokenRow, Tokens};
pub use triage::{TriageJob, Triaged};
pub use versions::{VersionRow, VersionState};

use anyhow::{Context, Result, bail, ensure};
use arc_swap::ArcSwap;
use hookmill_incident::id::{self, IdSource};
use private_files::{private_file, private_folder};
use read::Readers;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use topics::Topics;
use tracing::info;
use uuid::Uuid;
use writer::Writer;

/// What makes each version of the database of the one before. A version that was released is never edited.
const SCHEMA: [&str; 7] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
];
/// Another process, such as `hookmill token create`, may hold the database for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of the log may pile up before it is copied into the database, in pages.
const CHECKPOINT_PAGES: u32 = 8000;

/// Why a write was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many writes wait already.
    #[error("the store is overloaded")]
    Overloaded,
    /// The database said no: a full disk, a broken file.
    #[error("the store failed: {0:#}")]
    Failed(Arc<anyhow::Error>),
}

/// How the store recognises repeats and reopens incidents.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How repeats are recognised.
    pub dedup: Dedup,
    /// How long after its end an incident can be opened again by its vendor.
    pub reopen_within: Duration,
}

/// How repeats of an event are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dedup {
    /// For how long an event is known by its signed timestamp or its sender's delivery id.
    pub retention: Duration,
    /// For how long an event is known by its body alone, where it has neither.
    pub window: Duration,
}

/// Is called after each commit with the number of writes in it and the time that it took.
pub type OnCommit = Box<dyn Fn(usize, Duration) + Send>;

/// The database of one host.
#[derive(Debug)]
pub struct Store {
    writer: Writer,
    readers: Readers,
    ids: Arc<IdSource>,
    outbound: Arc<ArcSwap<Outbound>>,
    /// Sources that were told of as silent, and when.
    silent: ArcSwap<BTreeMap<String, i64>>,
    topics: Arc<Topics>,
    _lock: File,
}

impl Store {
    /// Opens the database in a data folder, which only one host at a time may do, and makes both if missing.
    ///
    /// # Errors
    /// What is wrong with the folder or the database.
    pub fn open(data_dir: &Path, queue: usize, policy: Policy, on_commit: OnCommit) -> Result<Self> {
        private_folder(data_dir)?;
        let lock = private_file(&data_dir.join("lock"))?;
        if lock.try_lock().is_err() {
            bail!("the data folder {} is in use by another hookmill; stop that first", data_dir.display());
        }
        let path = data_dir.join("hookmill.db");
        let connection = open_database(&path)?;
        let ids = Arc::new(IdSource::after(last_key(&connection)?));
        let outbound = Arc::new(ArcSwap::default());
        let silent = silent_sources(&connection)?;
        let topics = Arc::new(Topics::new(audit::newest_of_all(&connection)?));
        let writer =
            Writer::start(connection, queue, policy, ids.clone(), outbound.clone(), topics.clone(), on_commit)?;
        Ok(Self { writer, readers: Readers::new(path), ids, outbound, silent, topics, _lock: lock })
    }

    /// A new id.
    pub fn new_id(&self) -> Uuid {
        self.ids.next()
    }

    /// Whether it takes writes.
    pub fn is_open(&self) -> bool {
        self.writer.is_open()
    }

    /// Finishes every write that waits and closes the database.
    pub fn close(&self) {
        self.writer.close();
    }
}

fn silent_sources(connection: &Connection) -> Result<ArcSwap<BTreeMap<String, i64>>> {
    let mut query = connection.prepare("SELECT source, since FROM silent_sources")?;
    let sources = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(ArcSwap::from_pointee(sources.collect::<Result<_, _>>()?))
}

fn open_database(path: &Path) -> Result<Connection> {
    private_file(path)?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    prepare(&connection).with_context(|| format!("the database {} cannot be used", path.display()))?;
    Ok(connection)
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .with_context(|| format!("cannot open {}", path.display()))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Or else statements on tables with partial indexes are planned anew whenever a parameter has another value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = SCHEMA.len();
    ensure!(
        version <= known,
        "it has version {version} and this hookmill knows {known}; use the hookmill that wrote it"
    );
    if (1..known).contains(&version) {
        info!("the database is made version {known} from {version}; with many rows that takes a while");
    }
    for (step, sql) in SCHEMA.iter().enumerate().skip(version) {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {sql} PRAGMA user_version = {}; COMMIT", step + 1))?;
    }
    Ok(())
}

/// The largest key of any table, so that new ids come after all that there is.
fn last_key(connection: &Connection) -> Result<i64> {
    let mut last = 0;
    for table in ["events", "incidents", "audit", "deliveries"] {
        let key: Option<i64> = connection.query_row(&format!("SELECT max(key) FROM {table}"), [], |row| row.get(0))?;
        last = last.max(key.unwrap_or(0));
    }
    Ok(last.min(id::key_at(i64::MAX)))
}
