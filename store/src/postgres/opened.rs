//! A database that was opened, and the host that uses it.

use super::connection::Address;
use super::follow::{Follower, Seen, first_look};
use super::hosts;
use super::leases::HostLeases;
use super::migration::migrate;
use super::moving::refuse_moved;
use super::own_groups::OwnGroups;
use super::query::cell;
use super::readers::Readers;
use super::reads::sources::silent;
use super::time;
use super::writer::PostgresWriter;
use crate::columns::Id;
use crate::options::HostIdentity;
use crate::write_queue::WriteQueue;
use crate::writer_shared::WriterShared;
use anyhow::{Context, Result};
use hookmill_incident::{Clock, id};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_postgres::Client;
use uuid::Uuid;

/// A database that was opened and migrated, before its writer runs.
pub(crate) struct Opened {
    address: Address,
    client: Client,
    host: HostIdentity,
    /// The number that no other running host has, for the keys of rows.
    pub slot: u64,
    /// The row `head`, before anything else was read.
    seen: Seen,
    /// The identity of the database.
    pub identity: String,
    /// The largest key of any row.
    pub last_key: i64,
    /// The id of the newest audit entry.
    pub newest_audit: Uuid,
    /// The silent sources, each with the start of its silence.
    pub silent_sources: BTreeMap<String, i64>,
}

impl Opened {
    /// Opens the database for a host, and creates the tables if they are missing.
    pub async fn open(address: Address, host: HostIdentity) -> Result<Self> {
        let (mut client, _) = address.connect().await.context("cannot connect to the database")?;
        migrate(&mut client, address.profile).await.context("the database cannot be used")?;
        let slot = hosts::register(&client, &host).await?;
        // After it is registered: a move that begins now finds this host.
        if let Err(moved) = refuse_moved(&client, &address).await {
            hosts::remove(&client, &host.id).await?;
            return Err(moved);
        }
        let seen = first_look(&client, &host.id).await?;
        let identity = cell(&client, "SELECT id FROM identity", &[]).await?;
        let last_key = "SELECT greatest((SELECT last_key FROM head), (SELECT max(last_key) FROM restores))";
        let last_key = cell(&client, last_key, &[]).await?;
        let Id(newest_audit) = cell(&client, "SELECT newest_audit FROM head", &[]).await?;
        // Without an entry, it is the position before all.
        let newest_audit = newest_audit.max(id::before(0));
        let silent_sources = silent(&client).await?;
        Ok(Self { address, client, host, slot, seen, identity, last_key, newest_audit, silent_sources })
    }

    /// Sets the clock of the host by that of the database.
    pub async fn follow_time(&self, clock: &Clock) -> Result<()> {
        time::follow(&self.client, clock).await
    }

    /// Starts the threads of the host.
    pub fn start(self, queue: usize, shared: WriterShared) -> Result<(WriteQueue, Postgres)> {
        let readers = Readers::new(&self.address)?;
        let (id, own_groups) = (self.host.id.clone(), Arc::<OwnGroups>::default());
        let (address, topics) = (self.address.clone(), shared.topics.clone());
        let follower = Follower::start(address, id.clone(), self.seen, own_groups.clone(), topics);
        let leases = HostLeases::start(self.address.clone(), self.host, shared.clock.clone())?;
        let queue = WriteQueue::start(queue, PostgresWriter::new(self.address, id, own_groups, shared)?)?;
        Ok((queue, Postgres { readers, leases, _follower: follower }))
    }
}

/// The database, without its writer.
#[derive(Debug)]
pub(crate) struct Postgres {
    pub readers: Readers,
    pub leases: HostLeases,
    _follower: Follower,
}
