//! The store in PostgreSQL, which many hosts share.
//!
//! Writes of all hosts are serial, as in SQLite: each group of writes is one transaction, whose first statement locks the
//! row of the table `head`. Reads have a pool of connections. Nothing outside this folder names SQL of PostgreSQL.

mod ahead;
mod attempts;
mod batch;
mod beside_hosts;
mod buffer;
mod columns;
mod conditions;
mod connection;
#[cfg(test)]
mod dump;
mod epoch;
mod follow;
mod head;
mod hosts;
mod lease_rows;
mod lease_share;
mod leases;
mod migration;
mod moving;
mod opened;
mod own_groups;
mod plugin_files;
mod query;
mod readers;
mod reads;
mod retention;
#[cfg(test)]
mod scans;
mod search_rows;
mod session;
#[cfg(test)]
pub(crate) mod test_database;
mod time;
mod tls;
mod tokens;
mod tx;
mod writer;

pub(crate) use beside_hosts::BesideHosts;
pub use connection::Address;
#[cfg(test)]
pub(crate) use dump::{dump, tables};
pub(crate) use epoch::begin as begin_epoch;
pub(crate) use moving::MovingShared;
#[cfg(test)]
pub(crate) use moving::undo_move;
pub(crate) use opened::{Opened, Postgres};
#[cfg(test)]
pub(crate) use readers::Readers;
pub(crate) use tokens::SharedTokens;
