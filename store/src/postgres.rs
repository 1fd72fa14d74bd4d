//! The store in PostgreSQL, which many hosts share.
//!
//! Writes of all hosts are serial, as in SQLite: each group of writes is one transaction, whose first statement locks the
//! row of the table `head`. Reads have a pool of connections. Nothing outside this folder names SQL of PostgreSQL.

mod columns;
mod connection;
mod hosts;
mod lease_share;
mod leases;
#[cfg(test)]
mod loaded;
mod migration;
mod query;
mod readers;
mod reads;
#[cfg(test)]
mod test_database;
mod tls;

pub(crate) use connection::Address;
#[cfg(test)]
pub(crate) use loaded::loaded;

use readers::Readers;

/// The database, for reads.
#[derive(Debug)]
pub(crate) struct Postgres {
    pub readers: Readers,
}
